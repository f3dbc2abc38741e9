// SPDX-License-Identifier: Apache-2.0
import HTTPAPI
import TaskModel
import TaskStore
import TestSupport
import Testing

@Suite("GET /v1/tasks")
struct ListTests {
  /// All pages in turn.
  private func walk(_ api: APIFixture, _ query: String) async throws -> [JSONNode] {
    var found: [JSONNode] = []
    var cursor = ""
    for _ in 0..<200 {
      let answer = try await api.get("/v1/tasks?\(query)\(cursor)")
      #expect(answer.status == 200, "\(answer.text)")
      found += answer.json?["tasks"]?.elements ?? []
      guard let next = answer.json?["cursor"]?.text else { return found }
      cursor = "&cursor=\(next)"
    }
    throw ClientError(description: "the pages do not end")
  }

  private func ids(_ records: [JSONNode]) -> [String] { records.map { $0["id"]?.text ?? "" } }

  @Test("Pages go through all statuses and types in the order of the list, each task once")
  func pages() async throws {
    let api = try await APIFixture.make()
    let worker = try await api.worker()
    try await worker.begin()
    var finished: [String] = []
    var running: [String] = []
    var pending: [String] = []
    for round in 0..<3 {
      for type in ["work", "small"] {
        finished.append(try await api.submit(type: type).description)
        try await worker.take(
          type, round == 1 ? .failed(TaskError(kind: .exception, message: "no")) : .completed(result: bytes("1")))
      }
    }
    for _ in 0..<2 {
      for type in ["work", "small"] {
        running.append(try await api.submit(type: type).description)
        try await worker.take(type, .running(deadline: nil))
      }
    }
    for _ in 0..<3 {
      for type in ["work", "small"] { pending.append(try await api.submit(type: type).description) }
    }
    for limit in [1, 2, 5, 500] {
      let all = try await walk(api, "limit=\(limit)")
      let shown = all.map { $0["status"]?.text ?? "" }
      #expect(
        Array(shown.prefix(10)) == [String](repeating: "IN_PROGRESS", count: 4)
          + [String](repeating: "PENDING", count: 6))
      for type in ["work", "small"] {
        let ofType = Set(ids(all.filter { $0["type"]?.text == type }))
        func listed(_ status: String) -> [String] {
          ids(all.filter { $0["status"]?.text == status }).filter(ofType.contains)
        }
        #expect(listed("IN_PROGRESS") == running.filter(ofType.contains))
        #expect(listed("PENDING") == pending.reversed().filter(ofType.contains))
        #expect(listed("COMPLETED") + listed("FAILED") == [4, 0, 2].map { finished.filter(ofType.contains)[$0 / 2] })
      }
      #expect(Set(ids(all)) == Set(running + pending + finished))
      #expect(all.count == 16, "limit \(limit)")
    }
    #expect(Set(ids(try await walk(api, "status=IN_PROGRESS&limit=3"))) == Set(running))
    #expect(Set(ids(try await walk(api, "status=PENDING&limit=4"))) == Set(pending))
    #expect(
      try await walk(api, "status=FAILED&limit=1").map { $0["type"]?.text }.sorted { $0 ?? "" < $1 ?? "" } == [
        "small", "work",
      ])
    #expect(try await walk(api, "status=COMPLETED&limit=1&type=small").count == 2)
    #expect(try await walk(api, "status=SCHEDULED").isEmpty)
    #expect(try await walk(api, "type=small&limit=2").count == 8)
    #expect(try await walk(api, "type=nothing").isEmpty)
  }

  @Test("Params and results are there only when they are asked for")
  func parts() async throws {
    let api = try await APIFixture.make()
    let worker = try await api.worker()
    try await worker.begin()
    _ = try await api.submit("[1.50]")
    try await worker.take("work", .completed(result: bytes("{\"r\": 1}")))
    let plain = try await api.get("/v1/tasks").text
    #expect(!plain.contains("\"params\"") && !plain.contains("\"result\""))
    #expect(plain.hasSuffix("}],\"cursor\":null}"))
    let params = try await api.get("/v1/tasks?include=params").text
    #expect(params.contains("\"params\":[1.50]") && !params.contains("\"result\""))
    let both = try await api.get("/v1/tasks?include=params%2Cresult,log").text
    #expect(both.contains("\"params\":[1.50]") && both.contains("\"result\":{\"r\": 1}"))
  }

  @Test("The log of a task stands in its record, and in a list when it is asked for")
  func log() async throws {
    let api = try await APIFixture.make()
    let worker = try await api.worker()
    try await worker.begin()
    let id = try await api.submit()
    let lines = [1, 2].map { #"{"at":"2026-11-24T10:00:0\#($0).000Z","level":"info","message":"line \#($0)"}"# }
    try await worker.take("work", .log(lines.map { bytes($0) }), .completed(result: bytes("1")))
    let log = "\"log\":[\(lines.joined(separator: ","))]"
    #expect(try await api.get("/v1/tasks/\(id)").text.contains(log))
    #expect(try await api.get("/v1/tasks?include=log").text.contains(log))
    #expect(try await !api.get("/v1/tasks?include=result").text.contains("\"log\""))
  }

  @Test("callback=failed lists the tasks whose handler was given up, and no others")
  func failedHandlers() async throws {
    let api = try await APIFixture.make()
    let worker = try await api.worker()
    try await worker.begin()
    var ids: [TaskID] = []
    for _ in 0..<3 {
      let id = try await api.submit(type: "small")
      let deadline = Timestamp(millis: api.store.clock.now.millis + 3_600_000)
      try await worker.take("small", .running(deadline: nil), .detached(deadline: deadline))
      _ = try await api.put("/v1/tasks/\(id)/status", #"{"status":"\#(ids.isEmpty ? "FAILED" : "COMPLETED")"}"#)
      ids.append(id)
    }
    #expect(try await api.get("/v1/tasks?callback=failed").text == #"{"tasks":[],"cursor":null}"#)
    try await worker.take("small", count: 2, handlers: true, .handlerFailed("no answer"))
    try await worker.take("small", handlers: true, .handlerDelivered)
    let all = try await walk(api, "callback=failed&limit=1")
    #expect(Set(all.compactMap { $0["id"]?.text }) == Set(ids[..<2].map(\.description)))
    #expect(all.allSatisfy { $0["callback"]?["status"]?.text == "failed" })
    #expect(all.allSatisfy { $0["callback"]?["lastError"]?.text == "no answer" })
    #expect(try await walk(api, "callback=failed&status=FAILED&limit=1").map { $0["id"]?.text } == [ids[0].description])
    #expect(try await walk(api, "callback=failed&type=work").isEmpty)
    #expect(try await walk(api, "callback=failed&status=PENDING").isEmpty)
  }

  @Test("Bad queries are refused by the name of the parameter")
  func badQueries() async throws {
    let api = try await APIFixture.make()
    for (query, parameter) in [
      ("limit=0", "limit"), ("limit=501", "limit"), ("limit=-1", "limit"), ("limit=1.5", "limit"), ("limit=", "limit"),
      ("limit=a", "limit"), ("limit=1&limit=2", "limit"), ("status=DONE", "status"), ("status=pending", "status"),
      ("status=", "status"), ("type=a%20b", "type"), ("type=", "type"), ("cursor=x", "cursor"), ("cursor=", "cursor"),
      ("cursor=%00".replacing("%00", with: "cmVz"), "cursor"), ("include=all", "include"),
      ("include=params,,x", "include"),
      ("tenant=a", "tenant"), ("callback=pending", "callback"), ("callback=", "callback"), ("page=2", "page"),
      ("Limit=2", "Limit"),
    ] {
      let answer = try await api.get("/v1/tasks?\(query)")
      #expect(answer.status == 400, "\(query): \(answer.text)")
      #expect(answer.code == "bad_request", "\(query)")
      #expect(answer.json?["parameter"]?.text == parameter, "\(query): \(answer.text)")
    }
    #expect(try await api.get("/v1/tasks?tenant=a").detail.contains("not supported yet"))
    #expect(try await api.get("/v1/tasks?status=PENDNG").detail.contains("did you mean \"PENDING\"?"))
    #expect(try await api.get("/v1/tasks?limt=2").detail.contains("did you mean \"limit\"?"))
  }
}
