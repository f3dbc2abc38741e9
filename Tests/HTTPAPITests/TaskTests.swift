// SPDX-License-Identifier: Apache-2.0
import Foundation
import HTTPAPI
import HTTPServer
import TaskModel
import TaskStore
import TestSupport
import Testing

@Suite("Reading one task")
struct TaskTests {
  @Test("An id that was never issued, or is none at all, is 404 everywhere")
  func unknownIDs() async throws {
    let api = try await APIFixture.make()
    let never = "0192aaaaaaaa7000800000000000ff00"
    for id in [never, never.uppercased(), "7", "%2e%2e", "a%2Fb", String(repeating: "a", count: 3000)] {
      for (method, path, body) in [
        ("GET", "/v1/tasks/\(id)", nil), ("GET", "/v1/tasks/\(id)?wait=60s", nil),
        ("GET", "/v1/tasks/\(id)/status", nil), ("GET", "/v1/tasks/\(id)/result", nil),
        ("PUT", "/v1/tasks/\(id)/result", "1"), ("PUT", "/v1/tasks/\(id)/status", #"{"status":"CANCELLED"}"#),
      ] as [(String, String, String?)] {
        let answer = try await api.request(method, path, body: body.map(bytes))
        #expect(answer.status == 404, "\(method) \(path.prefix(80)): \(answer.text)")
        #expect(answer.code == "unknown_task", "\(method) \(path.prefix(80))")
        #expect(answer.body.count < 400)
      }
    }
  }

  @Test("Status and result follow a task from PENDING to COMPLETED, and the result is the sender's bytes")
  func completes() async throws {
    let api = try await APIFixture.make()
    let id = try await api.submit("{}")
    func expectNotFinal(_ status: String) async throws {
      #expect(try await api.get("/v1/tasks/\(id)/status").text == #"{"id":"\#(id)","status":"\#(status)"}"#)
      let answer = try await api.get("/v1/tasks/\(id)/result")
      #expect(answer.status == 409)
      #expect(answer.code == "not_final")
      #expect(answer.json?["status"]?.text == status)
    }
    try await expectNotFinal("PENDING")
    let worker = try await api.worker()
    try await worker.begin()
    let taken = try await worker.take("work", .running(deadline: nil))
    try await expectNotFinal("IN_PROGRESS")
    let result = #"{"x" : 1.0, "x":"é"}"#
    try await worker.say(.completed(result: bytes(result)), of: taken)

    let answer = try await api.get("/v1/tasks/\(id)/result")
    #expect(answer.status == 200)
    #expect(answer.headers["content-type"] == "application/json")
    #expect(answer.text == result)
    let record = try await api.get("/v1/tasks/\(id)")
    #expect(record.json?["status"]?.text == "COMPLETED")
    #expect(record.text.contains("\"result\":\(result),"))
    #expect(record.json?["plugin"]?["name"]?.text == "plugin")
    #expect(record.json?["worker"]?.text == "test/plugin/1")
  }

  @Test("A null result is a result")
  func nullResult() async throws {
    let api = try await APIFixture.make()
    let id = try await api.submit()
    let worker = try await api.worker()
    try await worker.begin()
    try await worker.take("work", .completed(result: bytes("null")))
    let answer = try await api.get("/v1/tasks/\(id)/result")
    #expect(answer.status == 200)
    #expect(answer.text == "null")
  }

  @Test("A task that failed or was cancelled has no result, and its error is told")
  func noResult() async throws {
    let api = try await APIFixture.make()
    let failed = try await api.submit()
    let worker = try await api.worker()
    try await worker.begin()
    try await worker.take("work", .failed(TaskError(kind: .exception, message: "no \"ink\"", code: 12)))
    let cancelled = try await api.submit()
    _ = try await api.store.cancel(cancelled)

    let answer = try await api.get("/v1/tasks/\(failed)/result")
    #expect(answer.status == 410)
    #expect(answer.code == "no_result")
    #expect(answer.json?["error"]?["kind"]?.text == "exception")
    #expect(answer.json?["error"]?["message"]?.text == "no \"ink\"")
    #expect(answer.json?["error"]?["code"]?.integer == 12)
    let other = try await api.get("/v1/tasks/\(cancelled)/result")
    #expect(other.status == 410)
    #expect(other.code == "no_result")
    #expect(other.json?["error"]?.kind == "null")
    #expect(other.detail.contains("CANCELLED"))
  }

  @Test("HEAD answers as GET does, without the body")
  func head() async throws {
    let api = try await APIFixture.make()
    let id = try await api.submit()
    for path in [
      "/v1/tasks", "/v1/tasks/\(id)", "/v1/tasks/\(id)/status", "/v1/tasks/\(id)/result", "/v1/types", "/healthz",
    ] {
      let (get, head) = (try await api.get(path), try await api.request("HEAD", path))
      #expect(head.status == get.status, "\(path)")
      #expect(head.headers["content-type"] == get.headers["content-type"], "\(path)")
      #expect(head.headers["content-length"] == "\(get.body.count)", "\(path)")
    }
  }
}

@Suite("GET /v1/tasks/{id}?wait=")
struct WaitTests {
  @Test("A wait is answered when the task is final")
  func completes() async throws {
    let api = try await APIFixture.make()
    let id = try await api.submit()
    async let waiting = api.get("/v1/tasks/\(id)?wait=60s")
    try await eventually("somebody waits") { try await api.isWaitedFor(id) }
    let worker = try await api.worker()
    try await worker.begin()
    try await worker.take("work", .running(deadline: nil), .completed(result: bytes("7")))
    let answer = try await waiting
    #expect(answer.json?["status"]?.text == "COMPLETED")
    #expect(answer.json?["result"]?.integer == 7)
    #expect(try await api.get("/v1/tasks/\(id)?wait=60s").json?["status"]?.text == "COMPLETED")
  }

  @Test("At the end of the wait the record is answered as it is", arguments: ["0s", "100ms", "1s"])
  func ends(wait: String) async throws {
    let api = try await APIFixture.make()
    let id = try await api.submit()
    let answer = try await api.get("/v1/tasks/\(id)?wait=\(wait)")
    #expect(answer.status == 200)
    #expect(answer.json?["status"]?.text == "PENDING")
  }

  @Test(
    "A wait that is no duration or too long is refused",
    arguments: ["", "30", "s", "-1s", "1.5s", "61s", "2m", "60001ms", "99999999999999999999s", "true"])
  func badWaits(wait: String) async throws {
    let api = try await APIFixture.make()
    let id = try await api.submit()
    let answer = try await api.get("/v1/tasks/\(id)?wait=\(wait)")
    #expect(answer.status == 400)
    #expect(answer.code == "bad_request")
    #expect(answer.detail.contains("wait=\(wait)"))
  }

  @Test("A client that goes ends its wait at once, and the server goes on")
  func gone() async throws {
    let api = try await APIFixture.make()
    let id = try await api.submit()
    let address = api.server.address
    let hasEnded = try await offPool {
      let client = try Client(address)
      try client.send("GET", "/v1/tasks/\(id)?wait=60s")
      client.closeSendingHalf()
      for _ in 0..<20 { try Client(address).send("GET", "/v1/tasks/\(id)?wait=60s") }
      return try client.ends()
    }
    #expect(hasEnded)
    #expect(try await api.get("/v1/tasks/\(id)/status").status == 200)
  }

  @Test("A thousand waits for one task are all answered by its end, and the server answers others meanwhile")
  func thousand() async throws {
    raiseDescriptorLimit()
    let api = try await APIFixture.make()
    let id = try await api.submit()
    let address = api.server.address
    let clients = try await offPool {
      try (0..<1000).map { _ in
        let client = try Client(address)
        try client.send("GET", "/v1/tasks/\(id)?wait=60s")
        return client
      }
    }
    #expect(try await api.get("/v1/tasks/\(id)/status").json?["status"]?.text == "PENDING")
    let worker = try await api.worker()
    try await worker.begin()
    try await worker.take("work", .completed(result: bytes("7")))
    let answers = try await offPool { try clients.map { try $0.answer() } }
    #expect(answers.count == 1000)
    #expect(answers.allSatisfy { $0.status == 200 && $0.json?["result"]?.integer == 7 })
  }

  @Test("A server that stops answers who waits with the record as it is")
  func stop() async throws {
    let api = try await APIFixture.make()
    let address = api.server.address
    var clients: [Client] = []
    for _ in 0..<10 {
      let id = try await api.submit()
      clients.append(
        try await offPool {
          let client = try Client(address)
          try client.send("GET", "/v1/tasks/\(id)?wait=60s")
          return client
        })
      try await eventually("somebody waits") { try await api.isWaitedFor(id) }
    }
    let waiting = clients
    try await offPool { api.server.stop(within: .seconds(30)) }
    let answers = try await offPool { try waiting.map { try $0.answer() } }
    #expect(answers.allSatisfy { $0.json?["status"]?.text == "PENDING" })
  }

  private func raiseDescriptorLimit() {
    var limit = rlimit()
    getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
    limit.rlim_cur = limit.rlim_max
    setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
  }
}
