// SPDX-License-Identifier: Apache-2.0
import Foundation
import TaskModel
import TaskStore
import TestSupport
import Testing

@testable import Worker

@Suite("Cancels, and log lines that travel with the outcome")
struct CancelTests {
  @Test("A task that was taken and has not started is dropped; what runs beside it goes on")
  func takenNotStarted() async throws {
    let worker = try WorkerFixture("gate")
    // Short tasks before make the worker take ahead.
    for _ in 0..<20 { _ = try await worker.final(try await worker.submit("1")) }
    let running = [try await worker.submit(#""wait""#), try await worker.submit(#""wait""#)]
    let dropped = try await worker.submit("2")
    let kept = try await worker.submit("3")
    for id in [dropped, kept] {
      try await eventually("it is taken") { () async throws in
        try worker.redis.cli("getrange", "roost:{00}:t:\(id)", "1", "1") == "T"
      }
    }
    try await eventually("both threads are busy") { () async in
      running.allSatisfy { worker.journal.contains("gate \($0)") }
    }
    _ = try await worker.store.cancel(dropped)
    let record = try #require(try await worker.final(dropped))
    #expect(record.status == .cancelled)
    #expect(record.attempts == 0)
    try Data().write(to: URL(fileURLWithPath: worker.redis.directory.path + "/journal.open"))
    for id in running + [kept] { #expect(try await worker.final(id)?.status == .completed) }
    try worker.leavesNothingBehind()
    #expect(!worker.journal.contains { $0.hasSuffix("\(dropped)") })
  }

  @Test("An id that the worker does not know is forgotten")
  func unknown() async throws {
    let worker = try WorkerFixture()
    worker.core.cancel(try await worker.submit("1"))
    worker.core.cancel(try #require(TaskID("0192f00000007000800000000000000a")))
    #expect(try await worker.final(try await worker.submit("2"))?.status == .completed)
    try worker.leavesNothingBehind()
  }

  @Test("Lines and outcome travel together, and a repeated call doubles no line")
  func repeatedLines() async throws {
    let worker = try WorkerFixture("chatter")
    worker.proxy.spoilNext(.complete, .loseAnswer)
    let id = try await worker.submit("3")
    let record = try #require(try await worker.final(id))
    #expect(record.status == .completed)
    #expect(record.log.count == 3)
    try worker.leavesNothingBehind()
    // Line and outcome, the same again, the report of the handler.
    let calls = worker.proxy.takeLog().requests.filter { $0.script == .complete }
    #expect(calls.count == 3)
  }
}
