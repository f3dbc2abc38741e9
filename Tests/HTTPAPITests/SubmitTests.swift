// SPDX-License-Identifier: Apache-2.0
import Foundation
import HTTPAPI
import HTTPServer
import TaskModel
import TaskStore
import TestSupport
import Testing

@Suite("POST /v1/tasks")
struct SubmitTests {
  @Test("A submission is answered with its id and place once it is stored, and keeps the sender's bytes")
  func accepted() async throws {
    let api = try await APIFixture.make()
    let params = #"{ "b":1.00, "a":[1e2],"b":"\u00e9ß" }"#
    let answer = try await api.post("/v1/tasks", "\n{\"params\": \(params) ,\"\\u0074ype\":\"work\"} ")
    #expect(answer.status == 202)
    #expect(answer.headers["content-type"] == "application/json")
    let id = try #require(answer.json?["id"]?.text)
    #expect(answer.text == #"{"id":"\#(id)","type":"work","status":"PENDING"}"#)
    #expect(answer.headers["location"] == "/v1/tasks/\(id)")
    let task = try #require(TaskID(id))
    #expect(try await api.store.record(task)?.params == bytes(params))
    let shown = try await api.get("/v1/tasks/\(id)")
    #expect(shown.status == 200)
    #expect(shown.text.contains("\"params\":\(params),"))
  }

  @Test("Missing params are null")
  func noParams() async throws {
    let api = try await APIFixture.make()
    let answer = try await api.post("/v1/tasks", #"{"type":"work"}"#)
    let id = try #require(answer.json?["id"]?.text.flatMap { TaskID($0) })
    #expect(try await api.store.record(id)?.params == bytes("null"))
  }

  @Test("Params of hundreds of kilobytes are kept byte for byte")
  func largeParams() async throws {
    let api = try await APIFixture.make()
    let params = "[" + (0..<60_000).map { "\($0).50" }.joined(separator: ", ") + "]"
    let id = try await api.submit(params)
    #expect(try await api.store.record(id)?.params == bytes(params))
  }

  @Test("A traceparent of the W3C's form is kept, any other is ignored")
  func trace() async throws {
    let api = try await APIFixture.make()
    let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    let cases: [(String, String?)] = [
      (good, good), (good.uppercased(), nil), (good + "-x", nil), ("", nil), ("ff" + good.dropFirst(2), nil),
      ("00-00000000000000000000000000000000-00f067aa0ba902b7-01", nil),
      ("00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01", nil),
    ]
    for (value, kept) in cases {
      let answer = try await api.request(
        "POST", "/v1/tasks", headers: ["traceparent: \(value)"], body: bytes(#"{"type":"work"}"#))
      let id = try #require(answer.json?["id"]?.text.flatMap { TaskID($0) })
      #expect(try await api.store.record(id)?.trace == kept, "\(value)")
    }
  }

  @Test("Each bad body is refused with its code, and nothing is stored")
  func badBodies() async throws {
    let api = try await APIFixture.make()
    let deep = String(repeating: "[", count: 10_000) + String(repeating: "]", count: 10_000)
    let cases: [(body: [UInt8], status: Int, code: String, offset: Int?, detail: String)] = [
      (bytes(""), 400, "bad_json", 0, "empty"),
      (bytes("  "), 400, "bad_json", 2, "missing"),
      (bytes("type=work"), 400, "bad_json", 0, "unexpected"),
      (bytes("{"), 400, "bad_json", 1, "ends inside an object"),
      (bytes(#"{"type":"work""#), 400, "bad_json", 14, "ends inside an object"),
      (bytes(#"{"type":"work",}"#), 400, "bad_json", 15, "member name"),
      (bytes(#"{,}"#), 400, "bad_json", 1, "member name"),
      (bytes(#"{"type" "work"}"#), 400, "bad_json", 8, "\":\""),
      (bytes(#"{"type":"work" "params":1}"#), 400, "bad_json", 15, "\",\""),
      (bytes(#"{"type":"work"} x"#), 400, "bad_json", 16, "after the value"),
      (bytes(#"{"type":"work","params":01}"#), 400, "bad_json", 25, ""),
      (bytes(#"{"type":"work","params":{"a":}}"#), 400, "bad_json", 29, ""),
      ([0xef, 0xbb, 0xbf] + bytes(#"{"type":"work"}"#), 400, "bad_json", 0, ""),
      (bytes(#"{"type":"work","params":""#) + [0xc3, 0x28] + bytes(#""}"#), 400, "bad_json", 25, "invalid UTF-8"),
      (
        bytes(#"{"type":"work","params":""#) + [0xed, 0xa0, 0x80] + bytes(#""}"#), 400, "bad_json", 25, "invalid UTF-8"
      ),
      (bytes(#"{"type":"work","params":\#(deep)}"#), 400, "bad_json", 24 + 512, "nested deeper"),
      (bytes(deep), 400, "bad_json", 512, "nested deeper"),
      (bytes("[]"), 400, "bad_request", nil, "a submission is a JSON object"),
      (bytes("null"), 400, "bad_request", nil, "a submission is a JSON object"),
      (bytes("{}"), 400, "bad_request", nil, "needs the member \"type\""),
      (bytes(#"{"type":7}"#), 400, "bad_request", nil, "\"type\" is not a string"),
      (bytes(#"{"type":null}"#), 400, "bad_request", nil, "\"type\" is not a string"),
      (bytes(#"{"type":"work","type":"work"}"#), 400, "bad_request", nil, "\"type\" stands more than once"),
      (bytes(#"{"params":1,"type":"work","params":1}"#), 400, "bad_request", nil, "more than once"),
      (bytes(#"{"type":"work","prams":1}"#), 400, "unknown_field", nil, "did you mean \"params\"?"),
      (bytes(#"{"type":"work","zzzzzz":1}"#), 400, "unknown_field", nil, "no member \"zzzzzz\""),
      (bytes(#"{"type":"work","zzzzzz":1"#), 400, "bad_json", 25, "ends inside"),
      (bytes(#"{"type":"nothing"}"#), 404, "unknown_type", nil, "\"nothing\""),
      (bytes(#"{"type":"a b"}"#), 404, "unknown_type", nil, "\"a b\""),
      (bytes(#"{"type":""}"#), 404, "unknown_type", nil, "\"\""),
      (
        bytes(#"{"type":"small","params":"\#(String(repeating: "x", count: 99))"}"#), 413, "too_large", nil, "100 bytes"
      ),
    ]
    for (body, status, code, offset, detail) in cases {
      let shown = String(decoding: body.prefix(60), as: UTF8.self)
      let answer = try await api.request("POST", "/v1/tasks", body: body)
      #expect(answer.status == status, "\(shown): \(answer.text)")
      #expect(answer.code == code, "\(shown): \(answer.text)")
      #expect(answer.json?["status"]?.integer == status, "\(shown)")
      #expect(answer.json?["offset"]?.integer == offset, "\(shown): \(answer.text)")
      #expect(detail.isEmpty || answer.detail.contains(detail), "\(shown): \(answer.detail)")
      #expect(answer.json?["type"]?.text == "about:blank" && answer.json?["title"]?.text != nil, "\(shown)")
    }
    #expect(try await api.store.states(of: ["work"])["work"]?.counts[.pending] == 0)
  }

  @Test(
    "Members that belong to the API and cannot be used yet are refused by name",
    arguments: ["tenant", "then"])
  func planned(member: String) async throws {
    let api = try await APIFixture.make()
    let answer = try await api.post("/v1/tasks", #"{"type":"work","\#(member)":"1s"}"#)
    #expect(answer.status == 400)
    #expect(answer.code == "unknown_field")
    #expect(answer.json?["field"]?.text == member)
    #expect(answer.detail == "the member \"\(member)\" is not supported yet; leave it out")
  }

  @Test("A body of 100 MB, and one of a size not announced, is refused with the limit, and the server goes on")
  func hugeBody() async throws {
    let api = try await APIFixture.make(maxBody: 1 << 20)
    let address = api.server.address
    for (head, pieces) in [("Content-Length: \(100 << 20)", 100), ("Transfer-Encoding: chunked", 40)] {
      let answer = try await offPool {
        let client = try Client(address)
        try client.send("POST", "/v1/tasks", headers: [head])
        let piece = [UInt8](repeating: UInt8(ascii: "x"), count: 1 << 20)
        let isChunked = head.hasPrefix("Transfer")
        for _ in 0..<pieces { try client.send(isChunked ? bytes("100000\r\n") + piece + bytes("\r\n") : piece) }
        if isChunked { try client.send(bytes("0\r\n\r\n")) }
        return try client.answer()
      }
      #expect(answer.status == 413, "\(head)")
      #expect(answer.code == "too_large", "\(head)")
      #expect(answer.json?["limit"]?.integer == 1 << 20, "\(head)")
    }
    _ = try await api.submit()
  }
}

@Suite("Without Redis")
struct OutageTests {
  @Test("While Redis is away every route that needs it is 503 with Retry-After, and all work again once it is back")
  func stopped() async throws {
    let api = try await APIFixture.make()
    let id = try await api.submit("1")
    #expect(try await api.get("/readyz").status == 200)
    try await offPool { api.redis.stop() }
    let requests: [(String, String, String?)] = [
      ("POST", "/v1/tasks", #"{"type":"work"}"#), ("POST", "/v1/tasks", #"{"type":"nothing"}"#),
      ("GET", "/v1/tasks", nil), ("GET", "/v1/tasks/\(id)", nil), ("GET", "/v1/tasks/\(id)?wait=60s", nil),
      ("GET", "/v1/tasks/\(id)/status", nil), ("GET", "/v1/tasks/\(id)/result", nil),
      ("POST", "/v1/tasks/status", #"{"ids":["\#(id)"]}"#), ("POST", "/v1/tasks/results", #"{"ids":["\#(id)"]}"#),
      ("PUT", "/v1/tasks/\(id)/result", "1"), ("PUT", "/v1/tasks/\(id)/status", #"{"status":"CANCELLED"}"#),
      ("POST", "/v1/tasks/\(id)/cancel", nil), ("POST", "/v1/tasks/\(id)/retry", nil),
      ("DELETE", "/v1/tasks/\(id)", nil),
      ("POST", "/v1/tasks/\(id)/callback", nil), ("POST", "/v1/tasks/retry", #"{"type":"work"}"#),
      ("POST", "/v1/tasks/delete", #"{"ids":["\#(id)"]}"#), ("POST", "/v1/types/work/pause", nil),
      ("POST", "/v1/types/work/resume", nil),
      ("GET", "/v1/types", nil), ("GET", "/v1/types/work", nil), ("GET", "/v1/types/nothing", nil),
    ]
    try await withThrowingTaskGroup { group in
      for (method, path, body) in requests {
        group.addTask { ("\(method) \(path)", try await api.request(method, path, body: body.map(bytes))) }
      }
      for try await (request, answer) in group {
        #expect(answer.status == 503, "\(request): \(answer.text)")
        #expect(answer.code == "redis_unavailable", "\(request)")
        #expect(answer.headers["retry-after"] == "1", "\(request)")
      }
    }
    let ready = try await api.get("/readyz")
    #expect(ready.status == 503)
    #expect(ready.text == #"{"reasons":["Redis does not answer"]}"#)
    #expect(ready.headers["content-type"] == "application/json")
    #expect(try await api.get("/healthz").status == 200)

    try await offPool { try api.redis.start() }
    try await eventually("submissions are accepted") {
      try await api.post("/v1/tasks", #"{"type":"work"}"#).status == 202
    }
    #expect(try await api.get("/v1/tasks/\(id)/status").text == #"{"id":"\#(id)","status":"PENDING"}"#)
    try await eventually("the host is ready") { try await api.get("/readyz").status == 200 }
  }

  @Test("A Redis that stands still gives 503, not a hanging request")
  func suspended() async throws {
    let api = try await APIFixture.make()
    api.redis.suspend()
    let answer = try await api.post("/v1/tasks", #"{"type":"work"}"#)
    api.redis.resume()
    #expect(answer.status == 503)
    #expect(answer.code == "redis_unavailable")
  }

  @Test("A Redis without memory gives 503 that says so, and reading goes on")
  func outOfMemory() async throws {
    let api = try await APIFixture.make(redis: ["--maxmemory", "3mb", "--maxmemory-policy", "noeviction"])
    let first = try await api.submit("1")
    let body = #"{"type":"work","params":"\#(String(repeating: "x", count: 100_000))"}"#
    var refused: Answer?
    for _ in 0..<200 where refused == nil {
      let answer = try await api.post("/v1/tasks", body)
      if answer.status != 202 { refused = answer }
    }
    #expect(refused?.status == 503)
    #expect(refused?.code == "redis_unavailable")
    #expect(refused?.detail.contains("no memory left") == true)
    #expect(refused?.headers["retry-after"] != nil)
    #expect(try await api.get("/v1/tasks/\(first)/status").status == 200)
  }
}

@Suite("POST /v1/tasks?wait=")
struct SubmitAndWaitTests {
  @Test("It is answered with the record when the task is final")
  func completes() async throws {
    let api = try await APIFixture.make()
    async let waiting = api.post("/v1/tasks?wait=60s", #"{"type":"work","params":[1]}"#)
    let worker = try await api.worker()
    try await worker.begin()
    try await eventually("the task is there") {
      try await api.store.states(of: ["work"])["work"]?.counts[.pending] == 1
    }
    let task = try #require(
      try await worker.take("work", .running(deadline: nil), .completed(result: bytes("7"))).first)
    let answer = try await waiting
    #expect(answer.status == 200)
    #expect(answer.headers["location"] == "/v1/tasks/\(task.id)")
    let record = try await api.get("/v1/tasks/\(task.id)")
    #expect(answer.text == record.text)
    #expect(answer.json?["result"]?.integer == 7)
  }

  @Test("At the end of the wait it is 202 with the record as it is", arguments: ["1ms", "100ms"])
  func ends(wait: String) async throws {
    let api = try await APIFixture.make()
    let answer = try await api.post("/v1/tasks?wait=\(wait)", #"{"type":"work"}"#)
    #expect(answer.status == 202)
    let id = try #require(answer.json?["id"]?.text)
    #expect(answer.text == (try await api.get("/v1/tasks/\(id)").text))
    #expect(answer.headers["location"] == "/v1/tasks/\(id)")
    #expect(try await api.get("/v1/tasks/\(id)/status").status == 200)
  }

  @Test("A bad wait is 400, a bad submission what it is without, and neither stores anything")
  func refused() async throws {
    let api = try await APIFixture.make()
    let late = try await api.post("/v1/tasks?wait=61s", #"{"type":"work"}"#)
    #expect((late.status, late.code) == (400, "bad_request"))
    let unknown = try await api.post("/v1/tasks?wait=60s", #"{"type":"nothing"}"#)
    #expect((unknown.status, unknown.code) == (404, "unknown_type"))
    #expect(try await api.store.states(of: ["work"])["work"]?.counts[.pending] == 0)
  }

  @Test("A key that is taken waits for the first task of it")
  func takenKey() async throws {
    let api = try await APIFixture.make()
    let first = try await api.submit("1", type: "work", #","key":"order""#)
    let body = #"{"type":"work","key":"order"}"#
    let early = try await api.post("/v1/tasks?wait=100ms", body)
    #expect((early.status, early.json?["id"]?.text) == (202, "\(first)"))
    async let waiting = api.post("/v1/tasks?wait=60s", body)
    try await eventually("somebody waits") { try await api.isWaitedFor(first) }
    _ = try await api.post("/v1/tasks/\(first)/cancel", "")
    let answer = try await waiting
    #expect((answer.status, answer.json?["status"]?.text) == (200, "CANCELLED"))
  }

  @Test("A client that goes leaves its task there, and a server that stops answers with the record as it is")
  func goneAndStopped() async throws {
    let api = try await APIFixture.make()
    let address = api.server.address
    let body = bytes(#"{"type":"work"}"#)
    try await offPool {
      let client = try Client(address)
      try client.send("POST", "/v1/tasks?wait=60s", body: body)
      client.closeSendingHalf()
      _ = try client.ends()
    }
    let staying = try await offPool {
      let client = try Client(address)
      try client.send("POST", "/v1/tasks?wait=60s", body: body)
      return client
    }
    try await eventually("both are stored") {
      try await api.store.states(of: ["work"])["work"]?.counts[.pending] == 2
    }
    try await offPool { api.server.stop(within: .seconds(30)) }
    let answer = try await offPool { try staying.answer() }
    #expect((answer.status, answer.json?["status"]?.text) == (202, "PENDING"))
  }
}
