// SPDX-License-Identifier: Apache-2.0
import Foundation
import HTTPClient
import TaskModel
import TaskStore
import TestSupport
import Testing

@Suite("Tasks that somebody else finishes")
struct PendingTests {
  private static let plain = ["types": HostFixture.types(["pend", "bell", "detach"])]
  private static let brief = ["types": HostFixture.types(["pend", "bell", "detach"], extra: #", "timeout": "100ms""#)]

  private func running(_ host: HostFixture, _ entry: String, _ id: TaskID, times: Int = 1) async throws {
    try await eventually("it runs") { () async in host.count("\(entry) \(id)") == times }
  }

  private func kind(_ record: TaskRecord?) throws -> String? {
    try JSONNode.parse(try #require(record?.error))["kind"]?.text
  }

  // MARK: Pending: another thread of the worker

  @Test("Another thread completes a task, which kept its place among the type's threads")
  func finished() async throws {
    let host = try await HostFixture(["types": HostFixture.types(["pend"], threads: 1)])
    let ids = [try await host.submit("pend"), try await host.submit("pend")]
    try await running(host, "pend", ids[0])
    try await eventually("it is shown as running") { try await host.store.record(ids[0])?.status == .inProgress }
    #expect(host.count("pend \(ids[1])") == 0)
    try host.openGate()
    for id in ids {
      let record = try #require(try await host.final(id))
      #expect(record.status == .completed)
      #expect(record.result == Array(#""finished""#.utf8))
    }
  }

  @Test("A cancel reaches it by flag, or by the cancel function that finishes it", arguments: ["pend", "bell"])
  func cancelled(_ type: String) async throws {
    let host = try await HostFixture(Self.plain)
    let id = try await host.submit(type)
    try await running(host, type, id)
    _ = try await host.store.cancel(id)
    #expect(try await host.final(id)?.status == .cancelled)
    #expect(host.count("ring \(id)") == (type == "bell" ? 1 : 0))
  }

  @Test("Over HTTP, too")
  func cancelledOverHTTP() async throws {
    let host = try await HostFixture(Self.plain)
    let id = try await host.submit("bell")
    try await running(host, "bell", id)
    let reply = try host.send("POST", "/v1/tasks/\(id)/cancel")
    #expect(reply.status == 200 || reply.status == 202)
    #expect(try await host.final(id)?.status == .cancelled)
    #expect(try host.send("POST", "/v1/tasks/\(id)/cancel").status == 409)
  }

  @Test("At its deadline it is told and fails with timeout", arguments: ["pend", "bell"])
  func deadline(_ type: String) async throws {
    let host = try await HostFixture(Self.brief)
    let id = try await host.submit(type)
    let record = try await host.final(id)
    #expect(record?.status == .failed)
    #expect(try kind(record) == "timeout")
    try await eventually("the exception handler was called") { () async in host.count("failed \(id)") == 1 }
  }

  @Test("When its worker is killed it runs again", arguments: ["pend", "bell"])
  func killedWorker(_ type: String) async throws {
    let host = try await HostFixture(Self.plain)
    let id = try await host.submit(type)
    try await running(host, type, id)
    try host.workerPids().forEach { kill($0, SIGKILL) }
    try await running(host, type, id, times: 2)
    if type == "pend" { try host.openGate() } else { _ = try await host.store.cancel(id) }
    let record = try #require(try await host.final(id))
    #expect(record.status == (type == "pend" ? .completed : .cancelled))
    #expect(record.attempts <= 1)
  }

  @Test("When the host stops it is told that the worker must go, and is given back", arguments: ["pend", "bell"])
  func drained(_ type: String) async throws {
    let host = try await HostFixture(Self.plain)
    let id = try await host.submit(type)
    try await running(host, type, id)
    #expect(try await host.stop() == 0)
    try await host.start()
    try await running(host, type, id, times: 2)
    #expect(try await host.store.record(id)?.status.isFinal == false)
  }

  // MARK: Detached: somebody outside

  private func detached(_ host: HostFixture) async throws -> TaskID {
    let id = try await host.submit("detach")
    try await eventually("it is detached") { try await host.store.record(id)?.isDetached == true }
    return id
  }

  @Test("A detached task that nobody finishes fails at its deadline, and its exception handler is called")
  func detachedDeadline() async throws {
    let host = try await HostFixture(Self.brief)
    let id = try await host.submit("detach")
    let record = try await host.final(id)
    #expect(record?.status == .failed)
    #expect(try kind(record) == "timeout")
    try await eventually("the exception handler was called") { () async in host.count("failed \(id)") == 1 }
  }

  @Test("A detached task is cancelled at once")
  func detachedCancel() async throws {
    let host = try await HostFixture(Self.plain)
    let id = try await detached(host)
    #expect(try await host.store.cancel(id) == .cancelled)
    #expect(try await host.store.record(id)?.status == .cancelled)
  }

  @Test("A detached task survives its worker and its host")
  func detachedSurvives() async throws {
    let host = try await HostFixture(Self.plain)
    let id = try await detached(host)
    let deadline = try #require(try await host.store.record(id)?.deadline)
    let workers = try host.workerPids()
    workers.forEach { kill($0, SIGKILL) }
    try await eventually("another worker is there") { () async throws in
      host.lines(containing: "is ready").count == 2
    }
    #expect(try await host.store.record(id)?.isDetached == true)
    try await host.stop(SIGKILL)
    try await host.start()
    let record = try #require(try await host.store.record(id))
    #expect(record.isDetached)
    #expect(record.deadline == deadline)
    #expect(try host.send("PUT", "/v1/tasks/\(id)/result", #"{"by":"hand"}"#).status == 200)
    #expect(try await host.final(id)?.result == Array(#"{"by":"hand"}"#.utf8))
    try await eventually("its callback was called") { () async in host.count("completed \(id)") == 1 }
  }
}
