// SPDX-License-Identifier: Apache-2.0
import TaskModel
import TaskStore
import TestSupport
import Testing

private let never = "0192aaaaaaaa7000800000000000ff00"

@Suite("Actions on one task")
struct ActionTests {
  /// A task of each status, as far as a test worker can bring it there.
  private func tasks(_ api: APIFixture, _ worker: TestWorker) async throws -> [String: TaskID] {
    var ids: [String: TaskID] = [:]
    ids["COMPLETED"] = try await api.submit()
    try await worker.take("work", .completed(result: bytes("1")))
    ids["FAILED"] = try await api.submit()
    try await worker.take("work", .failed(TaskError(kind: .exception, message: "no")))
    ids["CANCELLED"] = try await api.submit()
    _ = try await api.request("POST", "/v1/tasks/\(try #require(ids["CANCELLED"]))/cancel")
    ids["IN_PROGRESS"] = try await api.submit()
    try await worker.take("work", .running(deadline: nil))
    ids["SCHEDULED"] = try await api.submit("1", #","delay":"1h""#)
    ids["PENDING"] = try await api.submit()
    for (status, id) in ids { #expect(try await api.status(id) == status) }
    return ids
  }

  @Test("Each action on each status does what the table of the contract says, or names the status it met")
  func allPairs() async throws {
    let api = try await APIFixture.make()
    let worker = try await api.worker()
    try await worker.begin()
    let retried: Set = ["FAILED", "CANCELLED"]
    let final: Set = ["COMPLETED", "FAILED", "CANCELLED"]
    for (method, suffix, allowed) in [
      ("POST", "/retry", retried), ("DELETE", "", final), ("POST", "/callback", []),
    ] as [(String, String, Set<String>)] {
      for (status, id) in try await tasks(api, worker) {
        let answer = try await api.request(method, "/v1/tasks/\(id)\(suffix)")
        let what = "\(method) \(suffix) of \(status): \(answer.status) \(answer.text)"
        guard allowed.contains(status) else {
          #expect(answer.status == 409, "\(what)")
          #expect(answer.code == "forbidden_transition", "\(what)")
          #expect(answer.json?["status"]?.text == status, "\(what)")
          #expect(try await api.status(id) == status, "\(what)")
          continue
        }
        if method == "DELETE" {
          #expect(answer.status == 204 && answer.body.isEmpty && answer.headers["content-type"] == nil, "\(what)")
          #expect(try await api.get("/v1/tasks/\(id)").status == 404, "\(what)")
        } else {
          #expect(answer.text == #"{"id":"\#(id)","status":"PENDING"}"#, "\(what)")
          #expect(try await api.status(id) == "PENDING", "\(what)")
        }
      }
    }
  }

  @Test("Cancel is final at once for what waits, asked for where it runs, and refused where it ended")
  func cancel() async throws {
    let api = try await APIFixture.make()
    let worker = try await api.worker()
    try await worker.begin()
    for (status, id) in try await tasks(api, worker) {
      let answer = try await api.post("/v1/tasks/\(id)/cancel", "{}")
      switch status {
      case "SCHEDULED", "PENDING":
        #expect(answer.status == 200)
        #expect(answer.text == #"{"id":"\#(id)","status":"CANCELLED"}"#)
      case "IN_PROGRESS":
        #expect(answer.status == 202)
        #expect(answer.text == #"{"id":"\#(id)","status":"IN_PROGRESS"}"#)
        #expect(try await api.get("/v1/tasks/\(id)").json?["cancelRequestedAt"]?.text != nil)
      default:
        #expect(answer.status == 409, "\(status)")
        #expect(answer.code == "forbidden_transition")
        #expect(answer.json?["status"]?.text == status)
      }
    }
    #expect(try await worker.take("work").isEmpty)
  }

  @Test("Cancel of a detached task is final at once")
  func cancelDetached() async throws {
    let api = try await APIFixture.make()
    let worker = try await api.worker()
    try await worker.begin()
    let id = try await api.submit()
    let deadline = Timestamp(millis: api.store.clock.now.millis + 3_600_000)
    try await worker.take("work", .running(deadline: nil), .detached(deadline: deadline))
    let answer = try await api.request("POST", "/v1/tasks/\(id)/cancel")
    #expect(answer.status == 200)
    #expect(answer.text == #"{"id":"\#(id)","status":"CANCELLED"}"#)
  }

  @Test("A retried task starts anew: no attempts, no error, its params")
  func retry() async throws {
    let api = try await APIFixture.make()
    let worker = try await api.worker()
    try await worker.begin()
    let id = try await api.submit("[1.0]")
    try await worker.take("work", .failed(TaskError(kind: .exception, message: "no")))
    #expect(try await api.get("/v1/tasks/\(id)").json?["attempts"]?.integer == 1)
    #expect(try await api.request("POST", "/v1/tasks/\(id)/retry").status == 200)
    let record = try await api.get("/v1/tasks/\(id)")
    #expect(record.json?["attempts"]?.integer == 0)
    #expect(record.json?["error"] == nil)
    #expect(record.text.contains(#""params":[1.0]"#))
    #expect(try await worker.take("work", .completed(result: bytes("2"))).map(\.id) == [id])
    #expect(try await api.get("/v1/tasks/\(id)/result").text == "2")
  }

  @Test("A retry that finds its key with another task is key_taken, and goes when that one is deleted")
  func keyTaken() async throws {
    var type = APIFixture.types[0]
    type.keyTTL = .zero
    let api = try await APIFixture.make(types: [type])
    let worker = try await api.worker()
    try await worker.begin()
    let first = try await api.submit("1", #","key":"k""#)
    try await worker.take("work", .failed(TaskError(kind: .exception, message: "no")))
    let second = try await api.submit("2", #","key":"k""#)
    let refused = try await api.request("POST", "/v1/tasks/\(first)/retry")
    #expect(refused.status == 409)
    #expect(refused.code == "key_taken")
    #expect(refused.detail.contains(first.description))
    _ = try await api.request("POST", "/v1/tasks/\(second)/cancel")
    #expect(try await api.request("DELETE", "/v1/tasks/\(second)").status == 204)
    #expect(try await api.request("POST", "/v1/tasks/\(first)/retry").status == 200)
  }

  @Test("While a handler call is pending, retry and another call are refused; given up, it is made again")
  func handlers() async throws {
    let api = try await APIFixture.make()
    let worker = try await api.worker()
    try await worker.begin()
    let id = try await api.submit(type: "small")
    let deadline = Timestamp(millis: api.store.clock.now.millis + 3_600_000)
    try await worker.take("small", .running(deadline: nil), .detached(deadline: deadline))
    _ = try await api.put("/v1/tasks/\(id)/status", #"{"status":"FAILED"}"#)
    for action in ["retry", "callback"] {
      let refused = try await api.request("POST", "/v1/tasks/\(id)/\(action)")
      #expect(refused.status == 409, "\(action)")
      #expect(refused.code == "handler_pending", "\(action)")
    }
    for _ in 0..<2 {
      try await worker.take("small", handlers: true, .handlerFailed("no answer"))
      #expect(try await api.get("/v1/tasks/\(id)").json?["callback"]?["status"]?.text == "failed")
      let again = try await api.request("POST", "/v1/tasks/\(id)/callback")
      #expect(again.status == 200)
      #expect(again.text == #"{"id":"\#(id)","status":"FAILED"}"#)
      let callback = try await api.get("/v1/tasks/\(id)").json?["callback"]
      #expect(callback?["status"]?.text == "pending")
      #expect(callback?["attempts"]?.integer == 0)
    }
    try await worker.take("small", handlers: true, .handlerDelivered)
    #expect(try await api.get("/v1/tasks/\(id)").json?["callback"]?["status"]?.text == "delivered")
    #expect(try await api.request("POST", "/v1/tasks/\(id)/retry").status == 200)
  }

  @Test("What was never issued is 404, and a body that says something is refused")
  func badRequests() async throws {
    let api = try await APIFixture.make()
    let id = try await api.submit()
    for (method, suffix) in [("POST", "/cancel"), ("POST", "/retry"), ("POST", "/callback"), ("DELETE", "")] {
      for unknown in [never, "x", never.uppercased()] {
        let answer = try await api.request(method, "/v1/tasks/\(unknown)\(suffix)")
        #expect(answer.status == 404, "\(method) \(unknown)\(suffix)")
        #expect(answer.code == "unknown_task", "\(method) \(unknown)\(suffix)")
      }
      for (body, code) in [(#"{"force":true}"#, "unknown_field"), ("{", "bad_json"), ("[]", "bad_request")] {
        let answer = try await api.request(method, "/v1/tasks/\(id)\(suffix)", body: bytes(body))
        #expect(answer.status == 400, "\(method) \(suffix) \(body)")
        #expect(answer.code == code, "\(method) \(suffix) \(body)")
      }
    }
    #expect(try await api.status(id) == "PENDING")
  }
}

@Suite("Actions on many tasks")
struct BulkTests {
  /// Failed tasks of both types, two with each kind of error; the other tasks are one completed and one pending.
  private func tasks(_ api: APIFixture) async throws -> [String: [TaskID]] {
    let worker = try await api.worker()
    try await worker.begin()
    var ids: [String: [TaskID]] = [:]
    for (type, kind) in [("work", ErrorKind.exception), ("work", .timeout), ("small", .exception)] {
      for _ in 0..<2 {
        ids["\(type) \(kind.name)", default: []].append(try await api.submit(type: type))
        try await worker.take(type, .failed(TaskError(kind: kind, message: "no")))
      }
    }
    ids["completed"] = [try await api.submit()]
    try await worker.take("work", .completed(result: bytes("1")))
    ids["pending"] = [try await api.submit()]
    return ids
  }

  private func statuses(_ api: APIFixture, _ ids: [TaskID]?) async throws -> Set<String> {
    var found: Set<String> = []
    for id in try #require(ids) { found.insert(try await api.status(id) ?? "gone") }
    return found
  }

  @Test("By type and kind only those are retried or deleted", arguments: [("retry", "PENDING"), ("delete", "gone")])
  func byType(_ action: String, _ outcome: String) async throws {
    let api = try await APIFixture.make()
    let ids = try await tasks(api)
    let some = try await api.post("/v1/tasks/\(action)", #"{"type":"work","kind":"timeout"}"#)
    #expect(some.status == 200)
    #expect(some.text == #"{"count":2}"#)
    #expect(try await statuses(api, ids["work timeout"]) == [outcome])
    #expect(try await statuses(api, ids["work exception"]) == ["FAILED"])
    #expect(try await api.post("/v1/tasks/\(action)", #"{"type":"work","kind":null}"#).text == #"{"count":2}"#)
    #expect(try await statuses(api, ids["work exception"]) == [outcome])
    #expect(try await statuses(api, ids["small exception"]) == ["FAILED"])
    #expect(try await statuses(api, ids["completed"]) == ["COMPLETED"])
    #expect(try await api.post("/v1/tasks/\(action)", #"{"type":"work"}"#).text == #"{"count":0}"#)
  }

  @Test("By ids those that allow it are counted, each once; malformed and unknown ones are none")
  func byIDs() async throws {
    let api = try await APIFixture.make()
    let ids = try await tasks(api).values.flatMap { $0 }
    let names = (ids.map(\.description) + [never, "x", ids[0].description]).map { "\"\($0)\"" }.joined(separator: ",")
    #expect(try await api.post("/v1/tasks/retry", "{\"ids\":[\(names)]}").text == #"{"count":6}"#)
    #expect(try await api.post("/v1/tasks/retry", "{\"ids\":[\(names)]}").text == #"{"count":0}"#)
    #expect(try await api.post("/v1/tasks/delete", "{\"ids\":[\(names)]}").text == #"{"count":1}"#)
    #expect(try await api.post("/v1/tasks/delete", #"{"ids":[]}"#).text == #"{"count":0}"#)
  }

  @Test("Bad bodies are refused with their code, and nothing is done", arguments: ["retry", "delete"])
  func badBodies(_ action: String) async throws {
    let api = try await APIFixture.make()
    let ids = try await tasks(api)
    let many = (0..<1001).map { "\"\(TaskID(high: 0x0192_0000_0000_7000, low: UInt64($0)))\"" }.joined(separator: ",")
    for (body, status, code, detail) in [
      ("", 400, "bad_json", ""), ("[]", 400, "bad_request", ""), ("{}", 400, "bad_request", "either"),
      (#"{"type":"work","ids":[]}"#, 400, "bad_request", "either"),
      (#"{"kind":"timeout"}"#, 400, "bad_request", "either"),
      (#"{"ids":[],"kind":"timeout"}"#, 400, "bad_request", "goes with"), (#"{"type":7}"#, 400, "bad_request", ""),
      (#"{"ids":"x"}"#, 400, "bad_request", "array of strings"), (#"{"ids":[1]}"#, 400, "bad_request", ""),
      (#"{"type":"work","kind":"timeuot"}"#, 400, "bad_request", "did you mean \"timeout\"?"),
      (#"{"type":"work","kind":""}"#, 400, "bad_request", "there are exception, timeout"),
      (#"{"type":"work","kind":1}"#, 400, "bad_request", ""),
      (#"{"type":"work","status":"FAILED"}"#, 400, "unknown_field", ""),
      (#"{"type":"nothing"}"#, 404, "unknown_type", ""), (#"{"type":"a b","kind":"crash"}"#, 404, "unknown_type", ""),
      (#"{"ids":[\#(many)]}"#, 413, "too_many", "1001"),
    ] {
      let answer = try await api.post("/v1/tasks/\(action)", body)
      #expect(answer.status == status, "\(body.prefix(60)): \(answer.text)")
      #expect(answer.code == code, "\(body.prefix(60)): \(answer.text)")
      #expect(answer.detail.contains(detail), "\(body.prefix(60)): \(answer.detail)")
    }
    #expect(try await statuses(api, ids["work timeout"]) == ["FAILED"])
  }
}
