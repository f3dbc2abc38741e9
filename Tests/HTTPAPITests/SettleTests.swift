// SPDX-License-Identifier: Apache-2.0
import TaskModel
import TaskStore
import TestSupport
import Testing

@Suite("Finishing a detached task")
struct SettleTests {
  /// A new detached task.
  private func detach(_ api: APIFixture, _ type: String = "work") async throws -> TaskID {
    let id = try await api.submit(type: type)
    let worker = try await api.worker()
    try await worker.begin()
    let now = api.store.clock.now
    try await worker.take(type, .running(deadline: nil), .detached(deadline: Timestamp(millis: now.millis + 3_600_000)))
    #expect(try await api.get("/v1/tasks/\(id)").json?["detached"]?.boolean == true)
    return id
  }

  @Test("PUT result completes it with exactly the body's bytes", arguments: [2, 200_000])
  func result(size: Int) async throws {
    let api = try await APIFixture.make()
    let id = try await detach(api)
    let result = "{ \"a\" : \"\(String(repeating: "x", count: size))\" }"
    let answer = try await api.put("/v1/tasks/\(id)/result", result)
    #expect(answer.status == 200)
    #expect(answer.text == #"{"id":"\#(id)","status":"COMPLETED"}"#)
    #expect(try await api.get("/v1/tasks/\(id)/result").text == result)
    let again = try await api.put("/v1/tasks/\(id)/result", result)
    #expect(again.status == 409)
    #expect(again.code == "forbidden_transition")
    #expect(again.json?["status"]?.text == "COMPLETED")
  }

  @Test("PUT status gives it each final status")
  func statuses() async throws {
    let api = try await APIFixture.make()
    let completed = try await detach(api)
    let answer = try await api.put("/v1/tasks/\(completed)/status", #"{"status":"COMPLETED"}"#)
    #expect(answer.text == #"{"id":"\#(completed)","status":"COMPLETED"}"#)
    #expect(try await api.get("/v1/tasks/\(completed)/result").text == "null")

    let cancelled = try await detach(api)
    _ = try await api.put("/v1/tasks/\(cancelled)/status", #"{"status":"CANCELLED","error":null}"#)
    #expect(try await api.get("/v1/tasks/\(cancelled)/status").json?["status"]?.text == "CANCELLED")

    let failed = try await detach(api, "small")
    let error = #"{"message":"paper \"jam\"","code":-3,"detail":{"tray": 2.0}}"#
    let failure = try await api.put("/v1/tasks/\(failed)/status", #"{"error":\#(error),"status":"FAILED"}"#)
    #expect(failure.status == 200)
    let record = try await api.get("/v1/tasks/\(failed)")
    #expect(record.json?["status"]?.text == "FAILED")
    #expect(record.json?["error"]?["kind"]?.text == "exception")
    #expect(record.json?["error"]?["message"]?.text == "paper \"jam\"")
    #expect(record.json?["error"]?["code"]?.integer == -3)
    #expect(record.text.contains(#""detail":{"tray": 2.0}"#))
    #expect(record.json?["callback"]?["name"]?.text == "plugin/alert")
    #expect(record.json?["callback"]?["status"]?.text == "pending")

    let bare = try await detach(api)
    #expect(try await api.put("/v1/tasks/\(bare)/status", #"{"status":"FAILED"}"#).status == 200)
    #expect(try await api.get("/v1/tasks/\(bare)").json?["error"]?["kind"]?.text == "exception")
  }

  @Test("Any other task is 409 with the status met")
  func others() async throws {
    let api = try await APIFixture.make()
    let worker = try await api.worker()
    try await worker.begin()
    let completed = try await api.submit()
    try await worker.take("work", .completed(result: bytes("1")))
    let failed = try await api.submit()
    try await worker.take("work", .failed(TaskError(kind: .rejected, message: "no")))
    let running = try await api.submit()
    try await worker.take("work", .running(deadline: nil))
    let pending = try await api.submit()
    for (id, status) in [
      (completed, "COMPLETED"), (failed, "FAILED"), (running, "IN_PROGRESS"), (pending, "PENDING"),
    ] {
      for (path, body) in [("result", "1"), ("status", #"{"status":"CANCELLED"}"#)] {
        let answer = try await api.put("/v1/tasks/\(id)/\(path)", body)
        #expect(answer.status == 409, "\(status) \(path)")
        #expect(answer.code == "forbidden_transition", "\(status) \(path)")
        #expect(answer.json?["status"]?.text == status, "\(status) \(path)")
        #expect(try await api.get("/v1/tasks/\(id)/status").json?["status"]?.text == status)
      }
    }
  }

  @Test("Bad bodies are refused, and the task stays detached")
  func badBodies() async throws {
    let api = try await APIFixture.make()
    let id = try await detach(api, "small")
    let long = String(repeating: "x", count: 20_000)
    let cases: [(path: String, body: String, status: Int, code: String)] = [
      ("result", "", 400, "bad_json"), ("result", "{", 400, "bad_json"), ("result", "1 2", 400, "bad_json"),
      ("result", "\"\(String(repeating: "x", count: 99))\"", 413, "too_large"),
      ("status", "", 400, "bad_json"), ("status", "[", 400, "bad_json"), ("status", "[]", 400, "bad_request"),
      ("status", "\"COMPLETED\"", 400, "bad_request"), ("status", "{}", 400, "bad_request"),
      ("status", #"{"status":1}"#, 400, "bad_request"), ("status", #"{"status":"PENDING"}"#, 400, "bad_request"),
      ("status", #"{"status":"IN_PROGRESS"}"#, 400, "bad_request"),
      ("status", #"{"status":"completed"}"#, 400, "bad_request"),
      ("status", #"{"status":"FAILED","status":"FAILED"}"#, 400, "bad_request"),
      ("status", #"{"status":"FAILED","eror":{}}"#, 400, "unknown_field"),
      ("status", #"{"status":"COMPLETED","error":{"message":"x"}}"#, 400, "bad_request"),
      ("status", #"{"status":"FAILED","error":"x"}"#, 400, "bad_request"),
      ("status", #"{"status":"FAILED","error":{}}"#, 400, "bad_request"),
      ("status", #"{"status":"FAILED","error":{"message":1}}"#, 400, "bad_request"),
      ("status", #"{"status":"FAILED","error":{"message":"x","code":"12"}}"#, 400, "bad_request"),
      ("status", #"{"status":"FAILED","error":{"message":"x","code":1.5}}"#, 400, "bad_request"),
      ("status", #"{"status":"FAILED","error":{"message":"x","code":3000000000}}"#, 400, "bad_request"),
      ("status", #"{"status":"FAILED","error":{"message":"x","kind":"crash"}}"#, 400, "unknown_field"),
      ("status", #"{"status":"FAILED","error":{"message":"x","detail":"\#(long)"}}"#, 413, "too_large"),
    ]
    for (path, body, status, code) in cases {
      let answer = try await api.put("/v1/tasks/\(id)/\(path)", body)
      #expect(answer.status == status, "\(path) \(body.prefix(60)): \(answer.text)")
      #expect(answer.code == code, "\(path) \(body.prefix(60)): \(answer.text)")
    }
    #expect(try await api.get("/v1/tasks/\(id)").json?["detached"]?.boolean == true)
  }
}
