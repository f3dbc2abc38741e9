// SPDX-License-Identifier: Apache-2.0
import Foundation
import HTTPClient
import TaskModel
import TaskStore
import TestSupport
import Testing

@Suite("Timeouts and cancels")
struct StopTests {
  private func submit(_ host: HostFixture, _ type: String, _ params: String, timeout: Duration) async throws -> TaskID {
    var submission = Submission(type: type, params: Array(params.utf8))
    submission.timeout = timeout
    return try await host.store.submit(submission).id
  }

  private func kind(_ record: TaskRecord?) throws -> String? {
    try JSONNode.parse(try #require(record?.error))["kind"]?.text
  }

  private func running(_ host: HostFixture, _ entry: String, _ id: TaskID) async throws {
    try await eventually("it runs") { () async in host.count("\(entry) \(id)") == 1 }
  }

  // MARK: Timeouts

  @Test(
    "An executor that stops at its deadline fails with timeout, within its attempts; the task's own timeout counts first"
  )
  func timeout() async throws {
    let extra = #", "timeout": "100ms", "retry": {"attempts": 2, "backoff": "10ms", "maxBackoff": "10ms"}"#
    let host = try await HostFixture(["types": HostFixture.types(["nap", "gate"], extra: extra)])
    let id = try await host.submit("nap", "60000")
    let record = try #require(try await host.final(id))
    #expect(record.status == .failed)
    #expect(record.attempts == 2)
    #expect(try kind(record) == "timeout")
    #expect(host.count("nap \(id)") == 2)
    try await eventually("the exception handler was called") { () async in host.count("failed \(id)") == 1 }

    // One that ends before it would have been shown as running has its deadline on the record all the same.
    let short = try await submit(host, "nap", "60000", timeout: .milliseconds(1))
    let ended = try #require(try await host.final(short))
    #expect(try kind(ended) == "timeout" && ended.deadline != nil)

    let longer = try await submit(host, "nap", "300", timeout: .seconds(60))
    try await eventually("its deadline is shown") { try await host.store.record(longer)?.deadline != nil }
    let shown = try #require(try await host.store.record(longer))
    let start = try #require(shown.startedAt).millis
    #expect(try #require(shown.deadline).millis == start + 60_000)
    #expect(try await host.final(longer)?.status == .completed)
  }

  @Test("What is done after the deadline is done")
  func late() async throws {
    let host = try await HostFixture(["types": HostFixture.types(["gate"], extra: #", "timeout": "100ms""#)])
    let id = try await host.submit("gate", #""wait""#)
    try await eventually("its deadline is shown") { try await host.store.record(id)?.deadline != nil }
    let shown = try #require(try await host.store.record(id))
    try await eventually("the deadline is over") { () async throws in
      try host.redis("time").split(separator: "\n").first.flatMap { Int64($0) } ?? 0
        > (shown.deadline?.millis ?? .max) / 1000 + 1
    }
    try host.openGate()
    #expect(try await host.final(id)?.status == .completed)
  }

  // MARK: Cancels

  @Test("SCHEDULED and PENDING tasks are cancelled at once and never run")
  func waiting() async throws {
    let host = try await HostFixture(["types": HostFixture.types(["gate", "nap"], threads: 1)])
    var later = Submission(type: "nap", params: Array("1".utf8))
    later.due = .after(.seconds(3600))
    let scheduled = try await host.store.submit(later).id
    #expect(try await host.store.cancel(scheduled) == .cancelled)
    let first = try await host.submit("gate", #""wait""#)
    try await running(host, "gate", first)
    let pending = try await host.submit("gate", #""wait""#)
    #expect(try await host.store.cancel(pending) == .cancelled)
    try host.openGate()
    #expect(try await host.final(first)?.status == .completed)
    #expect(try await host.final(try await host.submit("gate"))?.status == .completed)
    #expect(host.count("gate \(pending)") == 0)
    await #expect(throws: TaskStoreError.self) { try await host.store.cancel(pending) }
    try await eventually("the callback was called") { () async in host.count("completed \(first)") == 1 }
    #expect(!host.journal.contains("failed \(pending)"))
  }

  @Test("A running task that heeds the request ends CANCELLED, without a handler")
  func cooperative() async throws {
    let host = try await HostFixture()
    let id = try await host.submit("nap", "60000")
    try await running(host, "nap", id)
    _ = try await host.store.cancel(id)
    let record = try #require(try await host.final(id))
    #expect(record.status == .cancelled)
    #expect(record.cancelRequestedAt != nil)
    #expect(record.error == nil)
    // The same worker goes on.
    let next = try await host.submit("nap", "1")
    #expect(try await host.final(next)?.status == .completed)
    try await eventually("its callback was called") { () async in host.count("completed \(next)") == 1 }
    #expect(!host.journal.contains { $0.hasSuffix("\(id)") && !$0.hasPrefix("nap") })
  }

  @Test("A running task that ignores the request goes on, and the record says that it was asked for")
  func stubborn() async throws {
    let host = try await HostFixture()
    let id = try await host.submit("gate", #""wait""#)
    try await running(host, "gate", id)
    #expect(try await host.store.cancel(id) != .cancelled)
    #expect(try await host.store.record(id)?.cancelRequestedAt != nil)
    try host.openGate()
    #expect(try await host.final(id)?.status == .completed)
  }

  @Test("Over HTTP: 200 when it is cancelled, 202 when it is asked for, 409 when it is final")
  func overHTTP() async throws {
    let host = try await HostFixture(["types": HostFixture.types(["gate", "nap"], threads: 1)])
    func cancel(_ id: TaskID) throws -> (Int, String?) {
      let reply = try host.send("POST", "/v1/tasks/\(id)/cancel")
      return (reply.status, try JSONNode.parse(reply.body)["status"]?.text)
    }
    let scheduled = try host.send("POST", "/v1/tasks", #"{"type":"nap","params":1,"delay":"1h"}"#)
    let id = try #require(try JSONNode.parse(scheduled.body)["id"]?.text.flatMap { TaskID($0) })
    #expect(try cancel(id) == (200, "CANCELLED"))
    #expect(try cancel(id) == (409, "CANCELLED"))
    let running = try await host.submit("gate", #""wait""#)
    try await self.running(host, "gate", running)
    let pending = try await host.submit("gate", #""wait""#)
    #expect(try cancel(pending) == (200, "CANCELLED"))
    #expect(try cancel(running) == (202, "IN_PROGRESS"))
    #expect(try host.send("GET", "/v1/tasks/\(running)").text.contains("cancelRequestedAt"))
    try host.openGate()
    #expect(try await host.final(running)?.status == .completed)
    #expect(try cancel(running) == (409, "COMPLETED"))
  }

  @Test("Cancels in the thick of it: every task ends, once, and nothing is left over")
  func underLoad() async throws {
    let host = try await HostFixture(["workers": #"{"workbench": {"processes": 2}}"#], workers: 2)
    var ids: [TaskID] = []
    var cancels: [Task<Void, Never>] = []
    for number in 0..<600 {
      ids.append(try await host.submit("nap", "\(number % 4 * 5)"))
      // Those just submitted wait, those before are taken or run.
      let victim = ids[number - number % 8]
      if number % 3 == 0 { cancels.append(Task { _ = try? await host.store.cancel(victim) }) }
    }
    for cancel in cancels { await cancel.value }
    var counts: [TaskStatus: Int] = [:]
    for id in ids { counts[try #require(try await host.final(id)).status, default: 0] += 1 }
    #expect(Set(counts.keys).isSubset(of: [.completed, .cancelled]))
    try await eventually("every callback was called") { () async in
      host.journal.filter { $0.hasPrefix("completed") }.count == counts[.completed]
    }
    try await eventually("nothing is left over") { () async throws in
      try host.redis("keys", "*").split(separator: "\n").allSatisfy { key in
        !["ctl:", "flight:", "run:", "q:", "hq:"].contains { key.contains("}:\($0)") }
      }
    }
  }

  @Test("A failure after a cancel is a cancel, and no further attempt")
  func failureAfterCancel() async throws {
    let host = try await HostFixture([
      "types": HostFixture.types(["nap"], extra: #", "timeout": "1ms", "retry": {"attempts": 1000, "backoff": "1ms"}"#)
    ])
    let id = try await host.submit("nap", "60000")
    try await running(host, "nap", id)
    _ = try await host.store.cancel(id)
    #expect(try await host.final(id)?.status == .cancelled)
  }

  @Test("A cancel whose message was lost with the connection is found in the record")
  func lostMessage() async throws {
    let host = try await HostFixture()
    let id = try await host.submit("nap", "60000")
    try await running(host, "nap", id)
    // What cancel.lua does to the record, without its message.
    let key = "roost:{00}:t:\(id)"
    try await eventually("it is shown as running") { try await host.store.record(id)?.status == .inProgress }
    try host.redis("setrange", key, "48", "\u{1}")
    let listener = try #require(
      try host.redis("client", "list").split(separator: "\n").first { $0.contains("cmd=blpop") })
    let client = try #require(listener.split(separator: " ").first { $0.hasPrefix("id=") }).dropFirst(3)
    try host.redis("client", "kill", "id", String(client))
    #expect(try await host.final(id)?.status == .cancelled)
  }

  @Test("A cancel function that blocks costs neither heartbeats nor other tasks")
  func jammed() async throws {
    let host = try await HostFixture(["types": HostFixture.types(["jammed", "echo", "nap"])])
    let workers = try host.workerPids()
    let id = try await host.submit("jammed")
    try await running(host, "jammed", id)
    _ = try await host.store.cancel(id)
    try await running(host, "jam", id)
    let beats = try beats(host)
    try await eventually("five heartbeats more") { () async throws in try self.beats(host) >= beats + 5 }
    #expect(try await host.final(try await host.submit("echo"))?.status == .completed)
    let other = try await host.submit("nap", "60000")
    try await running(host, "nap", other)
    _ = try await host.store.cancel(other)
    #expect(try await host.final(other)?.status == .cancelled)
    #expect(try await host.store.record(id)?.status == .inProgress)
    try host.openGate()
    #expect(try await host.final(id)?.status == .cancelled)
    #expect(try host.workerPids() == workers)
  }

  private func beats(_ host: HostFixture) throws -> Int {
    try host.redis("hvals", "roost:{00}:beats").split(separator: "\n").compactMap { Int($0) }.max() ?? 0
  }
}
