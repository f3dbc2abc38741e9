// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

/// Answers each submission of a batch with its params as the id; those that have the word bad in them are refused.
private func accept(_ request: CannedHost.Request) -> (Int, String) {
  let results = request.body.split(separator: "\n").map { line in
    let params =
      line.components(separatedBy: "\"params\":").last?.dropLast().trimmingCharacters(in: .whitespacesAndNewlines) ?? ""
    return params.contains("bad")
      ? #"{"error":{"code":"too_large","detail":"no \#(params.dropFirst().dropLast())"}}"#
      : #"{"id":"id-\#(params.filter { $0 != "\"" })"}"#
  }
  return (202, "{\"results\":[\(results.joined(separator: ","))]}")
}

@Suite("submit --batch")
struct BatchSubmissionTests {
  @Test("Every line is a task; ids come in order, and an error is told with its line and ends with 1")
  func lines() throws {
    let host = try CannedHost(accept)
    let folder = try TemporaryDirectory()
    let input = "1\n\n 2 \r\n\"bad\"\n{\n3} ,\"key\":\"x\"\n4"
    let file = try folder.write("params", input)
    for word in ["-", "@\(file)"] {
      let outcome = try RoostCommand.run(
        ["submit", "a b", word, "--batch", "--delay", "5s", "--priority=low", "--url", host.url], input: input)
      #expect(outcome.code == 1)
      #expect(outcome.output == "id-1\nid-2\nid-4\n")
      #expect(
        outcome.errors == """
          roost: line 4: no bad
          roost: line 5: not JSON: a member name in quotes is missing at offset 1
          roost: line 6: not JSON: unexpected "}" after the value at offset 1

          """)
    }
    let head = #"{"type":"a b","delay":"5s","priority":"low","params":"#
    let bodies = host.requests.map { $0.body.replacing("\r", with: "") }
    #expect(bodies == Array(repeating: "\(head)1}\n\(head) 2 }\n\(head)\"bad\"}\n\(head)4}\n", count: 2))
    #expect(host.requests.allSatisfy { $0.method == "POST" && $0.path == "/v1/tasks/batch" })
  }

  @Test("With --json each line's answer is one line")
  func json() throws {
    let host = try CannedHost(accept)
    let outcome = try RoostCommand.run(
      ["submit", "t", "-", "--batch", "--json", "--url", host.url], input: "1\n\"bad\"\nx\n2")
    #expect(outcome.code == 1)
    #expect(
      outcome.output == """
        {"id":"id-1"}
        {"error":{"code":"too_large","detail":"no bad"}}
        {"error":{"detail":"not JSON: unexpected \\"x\\" at offset 0","code":"bad_json"}}
        {"id":"id-2"}

        """)
  }

  @Test("A request has at most 1,000 tasks and not many megabytes")
  func sizes() throws {
    let host = try CannedHost(accept)
    let outcome = try RoostCommand.run(
      ["submit", "t", "-", "--batch", "--url", host.url], input: (0..<2001).map { "\($0)\n" }.joined())
    #expect(outcome.code == 0)
    #expect(outcome.output == (0..<2001).map { "id-\($0)\n" }.joined())
    #expect(host.requests.map { $0.body.split(separator: "\n").count } == [1000, 1000, 1])
    let large = "\"\(String(repeating: "x", count: 1 << 20))\"\n"
    _ = try RoostCommand.run(
      ["submit", "t", "-", "--batch", "--url", host.url], input: String(repeating: large, count: 6))
    #expect(host.requests.dropFirst(3).map { $0.body.split(separator: "\n").count } == [4, 2])
  }

  @Test("No line is no task and no request")
  func empty() throws {
    let host = try CannedHost(accept)
    let outcome = try RoostCommand.run(["submit", "t", "-", "--batch", "--wait", "--url", host.url], input: "\n \n")
    #expect((outcome.code, outcome.output, outcome.errors) == (0, "", ""))
    #expect(host.requests.isEmpty)
  }

  @Test("A batch that is refused as a whole ends the verb and says which lines are not answered")
  func refused() throws {
    let host = try CannedHost { [rounds = Counter()] request in
      rounds.next() == 1
        ? accept(request) : (503, #"{"code":"redis_unavailable","detail":"Redis is away"}"#)
    }
    let outcome = try RoostCommand.run(
      ["submit", "t", "-", "--batch", "--url", host.url], input: (0..<1500).map { "\($0)\n" }.joined())
    #expect(outcome.code == 1)
    #expect(outcome.output == (0..<1000).map { "id-\($0)\n" }.joined())
    #expect(outcome.errors == "roost: Redis is away (while submitting lines 1001 to 1500)\n")
  }

  @Test("With --wait the results come in order, one a line, and failures with their line")
  func wait() throws {
    let host = try CannedHost { request in
      guard request.method == "GET" else { return accept(request) }
      let id = request.path.dropFirst("/v1/tasks/".count).prefix { $0 != "?" }
      let rest =
        id == "id-2"
        ? #""status":"FAILED","error":{"kind":"exception","message":"no"}"#
        : "\"status\":\"COMPLETED\",\"result\":{\"a\":\n \"\(id)\"}"
      return (200, #"{"id":"\#(id)","type":"t",\#(rest)}"#)
    }
    let words = ["submit", "t", "-", "--batch", "--wait", "--url", host.url]
    let outcome = try RoostCommand.run(words, input: "1\n2\n\"bad\"\n3\n")
    #expect(outcome.code == 1)
    #expect(outcome.output == "{\"a\":  \"id-1\"}\n{\"a\":  \"id-3\"}\n")
    #expect(
      outcome.errors == "roost: line 3: no bad\nroost: line 2: task id-2 is FAILED: exception: no\n")
    let json = try RoostCommand.run(words + ["--json"], input: "1\n2\n")
    #expect(json.code == 1)
    #expect(json.output.split(separator: "\n").count == 2)
    #expect(json.output.contains(#""id":"id-2","type":"t","status":"FAILED""#))
    #expect(host.requests.filter { $0.method == "GET" }.allSatisfy { $0.path.hasSuffix("?wait=30s") })
  }
}
