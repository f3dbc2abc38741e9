// SPDX-License-Identifier: Apache-2.0
import Foundation
import Redis
import TaskModel
import TaskStore
import Testing
import TestSupport

@Suite("A host with real workers")
struct HostTests {
  @Test("Tasks run, and their handlers are called with what became of them")
  func outcomes() async throws {
    let host = try await HostFixture()
    let echo = try await host.submit("echo", #"{"n": 1.0}"#)
    let fail = try await host.submit("fail")
    let reject = try await host.submit("reject")
    let garbage = try await host.submit("garbage")
    let flood = try await host.submit("flood")

    let echoed = try #require(try await host.final(echo))
    #expect(echoed.status == .completed)
    #expect(echoed.result == Array(#"{"n": 1.0}"#.utf8))
    #expect(echoed.attempts == 1)
    #expect(echoed.origin?.plugin == "workbench")
    let failed = try #require(try await host.final(fail))
    #expect(failed.status == .failed)
    let error = try JSONNode.parse(failed.error ?? [])
    #expect(error["kind"]?.text == "exception")
    #expect(error["message"]?.text == "on purpose")
    #expect(error["code"]?.integer == 7)
    #expect(error["detail"]?["a"]?.integer == 1)
    for (id, kind, words) in [
      (reject, "rejected", "can never work"), (garbage, "exception", "JSON"), (flood, "exception", "maxResult"),
    ] {
      let error = try JSONNode.parse(try #require(try await host.final(id)?.error))
      #expect(error["kind"]?.text == kind)
      #expect(error["message"]?.text?.contains(words) == true)
    }
    try await eventually("all handlers were called") { () async in host.journal.count == 5 }
    #expect(host.journal.contains("completed \(echo)"))
    #expect(host.journal.contains("failed \(fail)"))
    try await eventually("the record says so") { try await host.store.record(fail)?.handler.phase == .delivered }
  }

  @Test("A long task is IN_PROGRESS while it runs, with its progress, and a detached one until somebody finishes it")
  func longTasks() async throws {
    let host = try await HostFixture()
    let gate = try await host.submit("gate", #""wait""#)
    try await eventually("it is shown with progress") {
      let record = try await host.store.record(gate)
      return record?.status == .inProgress && record?.progress?.fraction == 0.5 && record?.progress?.note == "waiting"
    }
    let detached = try await host.submit("detach")
    try await eventually("it is detached") { try await host.store.record(detached)?.isDetached == true }
    #expect(try await host.store.settle(detached, .completed(result: Array("42".utf8))) == .completed)
    #expect(try await host.final(detached)?.result == Array("42".utf8))
    try host.openGate()
    #expect(try await host.final(gate)?.status == .completed)
    try await eventually("its callback was called") { () async in host.journal.contains("completed \(detached)") }
  }

  @Test("SIGTERM lets running tasks finish, gives back the rest and leaves nothing behind")
  func orderlyStop() async throws {
    let host = try await HostFixture()
    var naps: [TaskID] = []
    for _ in 0..<12 { naps.append(try await host.submit("nap", "600")) }
    try await eventually("some run") { () async in host.journal.count >= 4 }
    let workers = try host.workerPids()
    #expect(try await host.stop() == 0)
    #expect(workers.allSatisfy { kill($0, 0) != 0 })
    #expect(throws: RedisError.self, "its Redis is gone") {
      try RedisConnection(to: host.store.address, timeout: .seconds(1))
    }
    try await host.start()
    for id in naps { #expect(try await host.final(id)?.status == .completed) }
    for id in naps { #expect(try await host.store.record(id)?.attempts == 1) }
  }

  @Test("A killed worker is started again and its tasks run again")
  func killedWorker() async throws {
    let host = try await HostFixture()
    let id = try await host.submit("gate", #""wait""#)
    try await eventually("it runs") { () async in host.journal.contains("gate \(id)") }
    for pid in try host.workerPids() { kill(pid, SIGKILL) }
    try host.openGate()
    let record = try #require(try await host.final(id))
    #expect(record.status == .completed)
    #expect(record.attempts == 1)
    #expect(host.journal.filter { $0 == "gate \(id)" }.count == 2)
  }
}
