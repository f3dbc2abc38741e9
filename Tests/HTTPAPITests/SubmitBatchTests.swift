// SPDX-License-Identifier: Apache-2.0
import TaskModel
import TaskStore
import TestSupport
import Testing

@Suite("POST /v1/tasks/batch")
struct SubmitBatchTests {
  private func results(_ answer: Answer) throws -> [JSONNode] {
    #expect(answer.status == 202, "\(answer.text)")
    return try #require(answer.json?["results"]?.elements)
  }

  @Test("Entries are answered in order, and a bad one spoils no other")
  func mixed() async throws {
    let api = try await APIFixture.make()
    let entries = [
      #"{"type":"work","params":{"n": 1.0}}"#, #"{"type":"work","prams":1}"#, #"{"type":"nothing"}"#, #""text""#,
      #"{"type":"small","params":"\#(String(repeating: "x", count: 99))"}"#,
      #"{"type":"work","delay":"1h","priority":"low"}"#, #"{"type":"work","delay":"century"}"#,
      #"{"params":[2],"type":"work","key":"k"}"#, #"{"type":"work","key":"k"}"#, #"{"type":"small"}"#,
    ]
    let codes = [nil, "unknown_field", "unknown_type", "bad_request", "too_large", nil, "bad_request", nil, nil, nil]
    let texts = [
      "[\(entries.joined(separator: ","))]", " \n [ \(entries.joined(separator: " ,\n\n"))\n]\n",
      entries.joined(separator: "\n"), "\n\n" + entries.joined(separator: "\r\n \n") + "\n\n",
    ]
    for (round, text) in texts.enumerated() {
      let answer = try await api.post("/v1/tasks/batch", text)
      #expect(answer.headers["content-type"] == "application/json")
      let results = try results(answer)
      #expect(results.map { $0["error"]?["code"]?.text } == codes, "\(answer.text)")
      #expect(results[4]["error"]?["status"]?.integer == 413)
      let ids = results.map { $0["id"]?.text.flatMap { TaskID($0) } }
      #expect(ids.map { $0 != nil } == codes.map { $0 == nil })
      #expect(ids[8] == ids[7], "the key is there already")
      let first = try #require(ids[0])
      #expect(try await api.store.record(first)?.params == bytes(#"{"n": 1.0}"#))
      #expect(try await api.get("/v1/tasks/\(try #require(ids[5]))").json?["priority"]?.text == "low")
      let counts = try await api.store.states(of: ["work", "small"])
      // The key's task is that of the first round in all of them.
      #expect(counts["work"]?.counts[.pending] == round + 2)
      #expect(counts["work"]?.counts[.scheduled] == round + 1)
      #expect(counts["small"]?.counts[.pending] == round + 1)
    }
  }

  @Test("A line that is not JSON is that entry's error; a broken array is refused as a whole")
  func brokenJSON() async throws {
    let api = try await APIFixture.make()
    let good = #"{"type":"work"}"#
    let lines = [good, "{", good + ",", good + good, "{\"type\":\n\"work\"}", good].joined(separator: "\n")
    let results = try results(try await api.post("/v1/tasks/batch", lines))
    let codes = results.map { $0["error"]?["code"]?.text }
    #expect(codes == [nil, "bad_json", "bad_json", "bad_json", "bad_json", "bad_json", nil])
    #expect(results[2]["error"]?["offset"]?.integer == 15)
    #expect(try await api.store.states(of: ["work"])["work"]?.counts[.pending] == 2)
    for (body, offset) in [
      ("[", 1), ("[\(good)", 16), ("[\(good) \(good)]", 17), ("[\(good),]", 17), ("[\(good),,\(good)]", 17),
      ("[\(good)] x", 18), ("[{]", 2), ("[]]", 2),
    ] {
      let answer = try await api.post("/v1/tasks/batch", body)
      #expect(answer.status == 400, "\(body): \(answer.text)")
      #expect(answer.code == "bad_json", "\(body)")
      #expect(answer.json?["offset"]?.integer == offset, "\(body): \(answer.text)")
    }
    #expect(try await api.store.states(of: ["work"])["work"]?.counts[.pending] == 2)
  }

  @Test("An empty batch has no results", arguments: ["", "\n \r\n", "[]", " [ ] \n"])
  func empty(_ body: String) async throws {
    let api = try await APIFixture.make()
    let answer = try await api.post("/v1/tasks/batch", body)
    #expect(answer.status == 202)
    #expect(answer.text == #"{"results":[]}"#)
  }

  @Test("Ten thousand entries are accepted, one more is too many and none of them is stored", .timeLimit(.minutes(3)))
  func limit() async throws {
    let api = try await APIFixture.make()
    for (start, separator, end) in [("[", ",", "]"), ("", "\n", "")] {
      func body(_ count: Int) -> String {
        start + (0..<count).map { #"{"type":"work","params":\#($0)}"# }.joined(separator: separator) + end
      }
      let before = try await api.store.states(of: ["work"])["work"]?.counts[.pending] ?? 0
      let refused = try await api.post("/v1/tasks/batch", body(10_001))
      #expect(refused.status == 413)
      #expect(refused.code == "too_many")
      #expect(refused.json?["limit"]?.integer == 10_000)
      #expect(try await api.store.states(of: ["work"])["work"]?.counts[.pending] == before)
      let results = try results(try await api.post("/v1/tasks/batch", body(10_000)))
      let ids = results.compactMap { $0["id"]?.text.flatMap { TaskID($0) } }
      #expect(Set(ids).count == 10_000)
      #expect(try await api.store.record(ids[9_999])?.params == bytes("9999"))
      #expect(try await api.store.states(of: ["work"])["work"]?.counts[.pending] == before + 10_000)
    }
  }

  @Test("A full type refuses only what is too much")
  func queueFull() async throws {
    var type = APIFixture.types[0]
    type.queueCapacity = 3
    let api = try await APIFixture.make(types: [type])
    let lines = Array(repeating: #"{"type":"work"}"#, count: 5).joined(separator: "\n")
    let results = try results(try await api.post("/v1/tasks/batch", lines))
    #expect(results.map { $0["error"]?["code"]?.text } == [nil, nil, nil, "queue_full", "queue_full"])
    #expect(results[4]["error"]?["limit"]?.integer == 3)
  }

  @Test("The traceparent of the request goes with each entry")
  func trace() async throws {
    let api = try await APIFixture.make()
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    let answer = try await api.request(
      "POST", "/v1/tasks/batch", headers: ["traceparent: \(trace)"],
      body: bytes("{\"type\":\"work\"}\n{\"type\":\"work\"}"))
    for result in try results(answer) {
      let id = try #require(result["id"]?.text.flatMap { TaskID($0) })
      #expect(try await api.store.record(id)?.trace == trace)
    }
  }

  @Test("Types that another host has just brought are found, and Redis is asked once for all that are not known")
  func unknownTypes() async throws {
    let api = try await APIFixture.make()
    let other = TaskStore(address: api.redis.address, prefix: "roost", name: "other")
    var type = APIFixture.types[0]
    type.name = "foreign"
    other.start(types: [type])
    try await eventually("the other host is known") { () async in other.isConnected }
    let redis = api.redis
    func reads() async throws -> Int {
      let stats = try await offPool { try redis.cli("info", "commandstats") }
      let line = stats.split(whereSeparator: \.isNewline).first { $0.hasPrefix("cmdstat_hvals:calls=") }
      return line.flatMap { Int($0.dropFirst("cmdstat_hvals:calls=".count).prefix { $0 != "," }) } ?? 0
    }
    let before = try await reads()
    let lines = (0..<500).map { #"{"type":"\#($0 % 2 == 0 ? "nothing\($0)" : "foreign")"}"# }
    let results = try results(try await api.post("/v1/tasks/batch", lines.joined(separator: "\n")))
    for (index, result) in results.enumerated() {
      #expect(result["error"]?["code"]?.text == (index % 2 == 0 ? "unknown_type" : nil))
    }
    // The heartbeat of a host reads them too, now and then.
    #expect(try await reads() - before < 20)
    other.close()
  }

  @Test("While Redis is away a batch is 503, one whose entries are all bad is told so entry by entry")
  func outage() async throws {
    let api = try await APIFixture.make()
    try await offPool { api.redis.stop() }
    let answer = try await api.post("/v1/tasks/batch", "{\"type\":\"work\"}\n{\n{\"type\":\"nothing\"}")
    #expect(answer.status == 503)
    #expect(answer.code == "redis_unavailable")
    #expect(answer.headers["retry-after"] == "1")
    let bad = try results(try await api.post("/v1/tasks/batch", "{\n{\"typ\":1}"))
    #expect(bad.map { $0["error"]?["code"]?.text } == ["bad_json", "unknown_field"])
  }
}
