// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

private let id = "0192f0e4000070008000000000000000"
private let other = "0192f0e4000070008000000000000100"

private func record(_ status: String, _ more: String = "") -> String {
  #"{"id":"\#(id)","type":"t","status":"\#(status)","attempts":1,"createdAt":"2026-11-24T10:00:00.000Z"\#(more)}"#
}

private func problem(_ status: Int, _ code: String, _ detail: String) -> (Int, String) {
  (status, #"{"type":"about:blank","title":"Title","status":\#(status),"code":"\#(code)","detail":"\#(detail)"}"#)
}

private let failed = record(
  "FAILED", #","error":{"kind":"crash","message":"it fell\nover","retryable":false,"signal":"SIGSEGV"}"#)

/// Output and exit codes against canned answers; what a real host answers is tested with one.
@Suite("Verbs that ask a host")
struct ClientTests {
  @Test("submit sends type and params byte for byte and prints the id alone")
  func submit() throws {
    let folder = try TemporaryDirectory()
    let file = try folder.write("params.json", "{\"n\": 1.50}\n")
    let host = try CannedHost { _ in (202, #"{"id":"\#(id)","type":"t","status":"PENDING"}"#) }
    for (words, input) in [
      (["submit", "a/b", "{\"n\": 1.50}"], ""), (["submit", "a/b", "@\(file)"], ""),
      (["submit", "a/b", "-"], "{\"n\": 1.50}"), (["submit", "--", "a/b", "-1"], ""),
      (["submit", "a/b", "-1"], ""), (["submit", "a/b"], ""),
    ] {
      let outcome = try RoostCommand.run(words, environment: ["ROOST_URL": host.url], input: input)
      #expect(outcome.code == 0)
      #expect(outcome.output == "\(id)\n")
      #expect(outcome.errors == "")
    }
    let object = #"{"type":"a/b","params":{"n": 1.50}}"#
    let bodies = host.requests.map { $0.body.replacingOccurrences(of: "\n", with: "") }
    let number = #"{"type":"a/b","params":-1}"#
    #expect(bodies == [object, object, object, number, number, #"{"type":"a/b"}"#])
    #expect(host.requests.allSatisfy { $0.method == "POST" && $0.path == "/v1/tasks" })
    let json = try RoostCommand.run(["submit", "t", "1", "--json", "--url", host.url])
    #expect(json.output == #"{"id":"\#(id)","type":"t","status":"PENDING"}"# + "\n")
  }

  @Test("The token comes from --token, then ROOST_TOKEN, and a slash at the end of the URL is no harm")
  func token() throws {
    let host = try CannedHost { _ in (200, #"{"tasks":[],"cursor":null}"#) }
    let environment = ["ROOST_TOKEN": "from-env"]
    _ = try RoostCommand.run(["list", "--url", host.url + "/", "--token", "given"], environment: environment)
    _ = try RoostCommand.run(["list", "--url", host.url], environment: environment)
    _ = try RoostCommand.run(["list", "--url", host.url])
    #expect(host.requests.map { $0.headers["authorization"] } == ["Bearer given", "Bearer from-env", nil])
    #expect(host.requests.allSatisfy { $0.path == "/v1/tasks" })
  }

  @Test("submit --wait asks until the task is final and prints its result, or with --json its record")
  func submitAndWait() throws {
    let done = record("COMPLETED", #","result":{"a": 1.50}"#)
    for (options, expected) in [([], #"{"a": 1.50}"#), (["--json"], done)] {
      let host = try CannedHost { [rounds = Counter()] request in
        if request.method == "POST" { return (202, #"{"id":"\#(id)","type":"t","status":"PENDING"}"#) }
        return (200, rounds.next() < 3 ? record("IN_PROGRESS") : done)
      }
      let outcome = try RoostCommand.run(["submit", "t", "1", "--wait", "--url", host.url] + options)
      #expect(outcome.code == 0)
      #expect(outcome.output == expected + "\n")
      #expect(host.requests.dropFirst().map(\.path) == Array(repeating: "/v1/tasks/\(id)?wait=30s", count: 3))
    }
  }

  @Test("submit --wait of a task that fails prints no result and ends with 1")
  func waitForFailure() throws {
    let host = try CannedHost { $0.method == "POST" ? (202, #"{"id":"\#(id)"}"#) : (200, failed) }
    let outcome = try RoostCommand.run(["submit", "t", "--wait", "--url", host.url])
    #expect(outcome.code == 1)
    #expect(outcome.output == "")
    #expect(outcome.errors == "roost: task \(id) is FAILED: crash: SIGSEGV: it fell over\n")
  }

  @Test("submit --wait names the task when the host refuses on the way")
  func waitIsCut() throws {
    let host = try CannedHost {
      $0.method == "POST" ? (202, #"{"id":"\#(id)"}"#) : problem(503, "redis_unavailable", "Redis is away")
    }
    let outcome = try RoostCommand.run(["submit", "t", "--wait", "--url", host.url])
    #expect(outcome.code == 1)
    #expect(outcome.errors == "roost: Redis is away (while waiting for task \(id))\n")
  }

  @Test("A null result is a result")
  func nullResult() throws {
    let host = try CannedHost {
      $0.method == "POST" ? (202, #"{"id":"\#(id)"}"#) : (200, record("COMPLETED", #","result":null"#))
    }
    let outcome = try RoostCommand.run(["submit", "t", "--wait", "--url", host.url])
    #expect(outcome.code == 0)
    #expect(outcome.output == "null\n")
  }

  @Test("status of one task is the word alone, of several a line each, and an unknown one ends with 3")
  func status() throws {
    let host = try CannedHost { _ in (200, #"{"statuses":{"\#(id)":"COMPLETED","\#(other)":"PENDING","x":null}}"#) }
    let one = try RoostCommand.run(["status", id, "--url", host.url])
    #expect(one.code == 0 && one.output == "COMPLETED\n")
    #expect(host.requests.map(\.body) == [#"{"ids":["\#(id)"]}"#])
    let several = try RoostCommand.run(["status", other, id, "x", "y", "--url", host.url])
    #expect(several.code == 3)
    #expect(several.output == "\(other) PENDING\n\(id) COMPLETED\n")
    #expect(several.errors == "roost: unknown tasks x, y\n")
    let json = try RoostCommand.run(["status", id, "x", "--json", "--url", host.url])
    #expect(json.code == 3)
    #expect(json.output == #"{"statuses":{"\#(id)":"COMPLETED","x":null}}"# + "\n")
  }

  @Test("status asks for at most 1,000 tasks at once")
  func manyStatuses() throws {
    let host = try CannedHost { request in
      let ids = request.body.components(separatedBy: "\"").filter { $0.hasPrefix("id-") }
      return (200, #"{"statuses":{\#(ids.map { "\"\($0)\":\"PENDING\"" }.joined(separator: ","))}}"#)
    }
    let ids = (0..<2001).map { "id-\($0)" }
    let outcome = try RoostCommand.run(["status", "--url", host.url] + ids)
    #expect(outcome.code == 0)
    #expect(outcome.output == ids.map { "\($0) PENDING\n" }.joined())
    #expect(host.requests.count == 3)
  }

  @Test("result prints the sender's bytes")
  func result() throws {
    let host = try CannedHost { _ in (200, #"{"b": 1.50, "a": "é"}"#) }
    let outcome = try RoostCommand.run(["result", id, "--url", host.url])
    #expect(outcome.code == 0)
    #expect(outcome.output == #"{"b": 1.50, "a": "é"}"# + "\n")
    #expect(host.requests.map(\.path) == ["/v1/tasks/\(id)/result"])
  }

  @Test("result of a task that is not COMPLETED ends with 1 and says why")
  func noResult() throws {
    for (status, code, answer, message) in [
      (409, "not_final", record("IN_PROGRESS"), "task \(id) is IN_PROGRESS"),
      (410, "no_result", failed, "task \(id) is FAILED: crash: SIGSEGV: it fell over"),
    ] {
      let host = try CannedHost { request in
        request.path.hasSuffix("/result") ? problem(status, code, "no") : (200, answer)
      }
      let outcome = try RoostCommand.run(["result", id, "--url", host.url])
      #expect(outcome.code == 1)
      #expect(outcome.output == "")
      #expect(outcome.errors == "roost: \(message)\n")
      let json = try RoostCommand.run(["result", id, "--json", "--url", host.url])
      #expect(json.code == 1)
      #expect(json.output == problem(status, code, "no").1 + "\n")
    }
  }

  @Test(
    "What the host does not know ends with 3", arguments: [["result", "x/y"], ["watch", "x/y"], ["submit", "t"]])
  func unknown(_ words: [String]) throws {
    let host = try CannedHost { _ in problem(404, "unknown_task", "there is no such task") }
    let outcome = try RoostCommand.run(words + ["--url", host.url])
    #expect(outcome.code == 3)
    #expect(outcome.errors == "roost: there is no such task\n")
    #expect(host.requests.allSatisfy { !$0.path.contains("x/y") })
  }

  @Test("A refusal ends with 1 and the host's words, a stranger on the port with 1 and its URL")
  func refused() throws {
    let host = try CannedHost { _ in problem(429, "queue_full", "the queue of t is full") }
    let outcome = try RoostCommand.run(["submit", "t", "--url", host.url])
    #expect(outcome.code == 1)
    #expect(outcome.errors == "roost: the queue of t is full\n")
    let stranger = try CannedHost { _ in (404, "<html>") }
    let strange = try RoostCommand.run(["result", id, "--url", stranger.url])
    #expect(strange.code == 1)
    #expect(strange.errors == "roost: \(stranger.url) does not answer like a Roost host (HTTP status 404)\n")
  }

  @Test("reload prints the generation that serves and what waits for a restart")
  func reload() throws {
    let body = #"{"generation":3,"restartNeeded":["http.listen","na\u001bme"]}"#
    let host = try CannedHost { _ in (200, body) }
    let outcome = try RoostCommand.run(["reload", "--url", host.url])
    #expect(outcome.code == 0 && outcome.errors == "")
    #expect(outcome.output == "generation 3\nhttp.listen waits for a restart\nna me waits for a restart\n")
    #expect(host.requests.map { "\($0.method) \($0.path) \($0.body)" } == ["POST /v1/reload "])
    #expect(try RoostCommand.run(["reload", "--json", "--url", host.url]).output == body + "\n")
  }

  @Test("A refused reload ends with 1 and names every error on a line of its own")
  func refusedReload() throws {
    let body =
      #"{"title":"t","status":422,"code":"reload_refused","detail":"nothing was changed","errors":["#
      + #"{"path":"types.a.threads","message":"0 is out of range","line":3,"column":9},"#
      + #"{"path":"","message":"two\nlines"}]}"#
    let host = try CannedHost { _ in (422, body) }
    let outcome = try RoostCommand.run(["reload", "--url", host.url])
    #expect(outcome.code == 1 && outcome.output == "")
    #expect(outcome.errors == "roost: nothing was changed\ntypes.a.threads: 0 is out of range\ntwo lines\n")
    let json = try RoostCommand.run(["reload", "--json", "--url", host.url])
    #expect((json.code, json.output, json.errors) == (1, body + "\n", ""))
  }

  @Test("A reload that is not to be had now ends with 1, a host that is not there with 4")
  func noReload() throws {
    for (status, code) in [(409, "reload_running"), (503, "redis_unavailable")] {
      let host = try CannedHost { _ in problem(status, code, "not now") }
      let outcome = try RoostCommand.run(["reload", "--url", host.url])
      #expect((outcome.code, outcome.output, outcome.errors) == (1, "", "roost: not now\n"))
    }
    let stranger = try CannedHost { _ in (200, "<html>") }
    #expect(try RoostCommand.run(["reload", "--url", stranger.url]).code == 1)
    let port = ClosedPort()
    for verb in ["reload", "workers"] {
      for options in [[], ["--json"]] {
        let outcome = try RoostCommand.run([verb, "--url", port.url] + options)
        #expect(outcome.code == 4 && outcome.output == "")
      }
    }
  }

  @Test("workers prints a line for each process with how many tasks of which types it runs")
  func workers() throws {
    func task(_ type: String) -> String {
      #"{"task":"\#(id)","type":"\#(type)","startedAt":"2026-11-24T10:00:00.000Z"}"#
    }
    let body =
      #"{"workers":[{"id":"0a","name":"h/a/1","host":"h","pid":17,"generation":1,"threads":["#
      + [task("nap"), task("echo"), task("nap")].joined(separator: ",")
      + #"]},{"id":"0b","name":"h/long/2","host":"h","pid":12345,"generation":2,"threads":[]}]}"#
    let host = try CannedHost { _ in (200, body) }
    let outcome = try RoostCommand.run(["workers", "--url", host.url])
    #expect(outcome.code == 0 && outcome.errors == "")
    #expect(
      outcome.output == """
        NAME      PID    GENERATION  RUNS
        h/a/1     17     1           echo 1, nap 2
        h/long/2  12345  2           -

        """)
    #expect(try RoostCommand.run(["workers", "--json", "--url", host.url]).output == body + "\n")
    #expect(host.requests.allSatisfy { $0.method == "GET" && $0.path == "/v1/workers" })
  }

  @Test("watch in a pipe prints a line for each change and nothing twice")
  func watchInPipe() throws {
    let host = try CannedHost { [rounds = Counter()] _ in
      switch rounds.next() {
      case 1, 2: (200, record("PENDING"))
      case 3, 4: (200, record("IN_PROGRESS", #","progress":{"fraction":0.4,"note":"draft\u001bing"}"#))
      default: (200, record("COMPLETED", #","result":1,"progress":{"fraction":0.9,"note":"x"}"#))
      }
    }
    let outcome = try RoostCommand.run(["watch", id, "--url", host.url])
    #expect(outcome.code == 0)
    #expect(outcome.output == "PENDING\nIN_PROGRESS 40% draft ing\nCOMPLETED\n")
  }

  @Test("watch --json prints an object for each change; a failure ends with 1")
  func watchJSON() throws {
    let host = try CannedHost { [rounds = Counter()] _ in
      (200, rounds.next() == 1 ? record("IN_PROGRESS", #","progress":{"fraction":0.4}"#) : failed)
    }
    let outcome = try RoostCommand.run(["watch", id, "--json", "--url", host.url])
    #expect(outcome.code == 1)
    let lines = outcome.output.split(separator: "\n")
    #expect(lines.first == #"{"id":"\#(id)","type":"t","status":"IN_PROGRESS","progress":{"fraction":0.4}}"#)
    #expect(lines.count == 2)
    #expect(outcome.errors == "roost: task \(id) is FAILED: crash: SIGSEGV: it fell over\n")
  }

  @Test("list prints aligned columns and says how to go on; its options become the query")
  func list() throws {
    let host = try CannedHost { _ in
      (200, #"{"tasks":[\#(record("PENDING")),\#(failed)],"cursor":"next page"}"#)
    }
    let words = ["list", "--type", "a b", "--status=failed", "--limit", "2", "--cursor", "x&y", "--url", host.url]
    let outcome = try RoostCommand.run(words)
    #expect(outcome.code == 0)
    #expect(
      outcome.output == """
        ID                                TYPE  STATUS   CREATED                   NOTE
        \(id)  t     PENDING  2026-11-24T10:00:00.000Z
        \(id)  t     FAILED   2026-11-24T10:00:00.000Z  crash: SIGSEGV: it fell over

        """)
    #expect(outcome.errors == "There are more: go on with --cursor next page\n")
    #expect(host.requests.map(\.path) == ["/v1/tasks?type=a%20b&status=FAILED&limit=2&cursor=x%26y"])
    let json = try RoostCommand.run(["list", "--json", "--url", host.url])
    #expect(json.output == #"{"tasks":[\#(record("PENDING")),\#(failed)],"cursor":"next page"}"# + "\n")
    #expect(json.errors == "")
  }
  @Test("The options of submit become the members of the submission, and what the host cannot read ends with 2")
  func submitOptions() throws {
    let host = try CannedHost { _ in (200, #"{"id":"\#(id)","type":"t","status":"COMPLETED"}"#) }
    let outcome = try RoostCommand.run([
      "submit", "t", "{}", "--delay", "10s", "--expires=1h", "--timeout", "5m", "--priority", "high", "--key", "a\"b",
      "--url", host.url,
    ])
    #expect((outcome.code, outcome.output, outcome.errors) == (0, "\(id)\n", ""))
    _ = try RoostCommand.run(["submit", "t", "--at", "2027-01-01T00:00:00+08:00", "--url", host.url])
    #expect(
      host.requests.map(\.body) == [
        #"{"type":"t","delay":"10s","expires":"1h","timeout":"5m","priority":"high","key":"a\"b","params":{}}"#,
        #"{"type":"t","runAt":"2027-01-01T00:00:00+08:00"}"#,
      ])
    let strict = try CannedHost { _ in problem(400, "bad_request", "it is not a duration") }
    for words in [["submit", "t", "--delay", "-5s"], ["list", "--type", "a b"], ["list", "--callback", "x"]] {
      let refused = try RoostCommand.run(words + ["--url", strict.url])
      #expect(refused.code == 2)
      #expect(refused.errors == "roost: it is not a duration\nSee roost \(words[0]) --help.\n")
    }
  }

  @Test("cancel, retry and delete act on each task, tell what they did, and go on after a refusal")
  func actions() throws {
    let host = try CannedHost { request in
      switch request.path {
      case let path where path.contains("missing"): problem(404, "unknown_task", "there is no task missing")
      case let path where path.contains("final"): problem(409, "forbidden_transition", "task final is FAILED")
      case let path where path.contains("late"): (202, #"{"id":"late","status":"COMPLETED"}"#)
      case let path where path.contains("running"): (202, #"{"id":"running","status":"IN_PROGRESS"}"#)
      case let path where path.hasSuffix("/cancel"): (200, #"{"id":"x","status":"CANCELLED"}"#)
      case let path where path.hasSuffix("/retry"): (200, #"{"id":"x","status":"PENDING"}"#)
      default: (204, "")
      }
    }
    for (words, code, output, errors) in [
      (["cancel", "x"], 0, "CANCELLED\n", ""),
      (
        ["cancel", "running"], 0, "IN_PROGRESS\n",
        "Task running was asked to stop; roost watch follows it to its end.\n"
      ),
      (
        ["cancel", "late"], 1, "COMPLETED\n",
        "roost: task late is COMPLETED: it ended before it could be stopped\n"
      ),
      (["cancel", "final"], 1, "", "roost: task final is FAILED\n"),
      (["cancel", "missing"], 3, "", "roost: there is no task missing\n"),
      (
        ["cancel", "x", "missing", "final", "y"], 3, "x CANCELLED\ny CANCELLED\n",
        "roost: there is no task missing\nroost: task final is FAILED\n"
      ),
      (["cancel", "x", "--json"], 0, "{\"id\":\"x\",\"status\":\"CANCELLED\"}\n", ""),
      (["retry", "x"], 0, "PENDING\n", ""), (["retry", "x", "y"], 0, "x PENDING\ny PENDING\n", ""),
      (["retry", "final"], 1, "", "roost: task final is FAILED\n"),
      (["delete", "x", "y"], 0, "", ""), (["delete", "x", "--json"], 0, "", ""),
      (["delete", "final", "missing"], 1, "", "roost: task final is FAILED\nroost: there is no task missing\n"),
    ] as [([String], Int32, String, String)] {
      let outcome = try RoostCommand.run(words + ["--url", host.url])
      #expect(outcome.code == code, "\(words)")
      #expect(outcome.output == output, "\(words)")
      #expect(outcome.errors == errors, "\(words)")
    }
    #expect(
      host.requests.suffix(2).map { "\($0.method) \($0.path)" } == [
        "DELETE /v1/tasks/final", "DELETE /v1/tasks/missing",
      ])
  }

  @Test("pause and resume tell how many tasks there are")
  func pause() throws {
    let type = #"{"name":"t","paused":true,"counts":{"PENDING":3,"SCHEDULED":1,"IN_PROGRESS":2}}"#
    let host = try CannedHost { _ in (200, type) }
    for verb in ["pause", "resume"] {
      let outcome = try RoostCommand.run([verb, "t/x", "--url", host.url])
      #expect(outcome.code == 0)
      #expect(outcome.output == "t/x is \(verb)d: 3 PENDING, 1 SCHEDULED, 2 IN_PROGRESS\n")
      #expect(try RoostCommand.run([verb, "t/x", "--json", "--url", host.url]).output == type + "\n")
    }
    #expect(host.requests.map(\.path).first == "/v1/types/t%2Fx/pause")
  }

  @Test("Scheduled tasks are shown with when they are due and what failed before, lost handlers with their error")
  func scheduled() throws {
    let due = "2026-11-24T10:00:05.000Z"
    let waiting = record(
      "SCHEDULED", #","dueAt":"\#(due)","error":{"kind":"exception","message":"no"},"progress":{"fraction":0.5}"#)
    let lost = record(
      "COMPLETED", #","callback":{"name":"notify/log","status":"failed","attempts":10,"lastError":"no answer"}"#)
    let host = try CannedHost { _ in (200, #"{"tasks":[\#(waiting),\#(lost)],"cursor":null}"#) }
    let list = try RoostCommand.run(["list", "--callback", "failed", "--url", host.url])
    let rows = list.output.split(separator: "\n").map(String.init)
    #expect(rows[1].hasSuffix("  SCHEDULED  2026-11-24T10:00:00.000Z  due \(due) exception: no"))
    #expect(rows[2].hasSuffix("  COMPLETED  2026-11-24T10:00:00.000Z  notify/log: no answer"))
    #expect(host.requests.map(\.path) == ["/v1/tasks?callback=failed"])
    for (options, line) in [
      ([], "SCHEDULED due \(due) exception: no"),
      (
        ["--json"],
        #"{"id":"\#(id)","type":"t","status":"SCHEDULED","dueAt":"\#(due)","progress":{"fraction":0.5},"#
          + #""error":{"kind":"exception","message":"no"}}"#
      ),
    ] {
      let host = try CannedHost { [rounds = Counter()] _ in
        (200, rounds.next() == 1 ? waiting : record("COMPLETED", #","dueAt":"\#(due)""#))
      }
      let watch = try RoostCommand.run(["watch", id, "--url", host.url] + options)
      #expect(watch.code == 0)
      #expect(watch.output.split(separator: "\n").first.map(String.init) == line)
      #expect(!(watch.output.split(separator: "\n").last ?? "").contains("due"))
    }
    let word = try CannedHost { _ in (200, #"{"statuses":{"\#(id)":"SCHEDULED"}}"#) }
    #expect(try RoostCommand.run(["status", id, "--url", word.url]).output == "SCHEDULED\n")
  }
}
