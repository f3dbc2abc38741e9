// SPDX-License-Identifier: Apache-2.0
import Foundation
import TaskModel
import TaskStore
import TestSupport
import Threading
import Testing

@Suite("Anything in any order")
struct RandomisedTests {
  /// Always the same steps, and others at each run.
  static let seeds: [UInt64] =
    ProcessInfo.processInfo.environment["ROOST_SEED"].flatMap(UInt64.init).map { [$0] }
    ?? [20_261_124, .random(in: 1...1_000_000)]

  @Test(
    "What Redis holds agrees with a model after each of many random steps, and nothing is left over at the end",
    arguments: seeds)
  func agreesWithModel(seed: UInt64) async throws {
    print("seed \(seed); set ROOST_SEED for another")
    let play = try RandomPlay(seed: seed)
    for number in 0..<2000 {
      try await play.next()
      try play.check()
      try #require(play.problems == [], "after step \(number) of seed \(seed)")
    }
    for worker in play.workers { try play.housekeeping.reap(worker.id) }
    for type in ["work", "telling"] { try await play.fixture.store.setPaused(type, false) }
    // What is scheduled far ahead is cancelled, or this would not end.
    for (id, task) in play.tasks where [.scheduled, .detached].contains(task.state) {
      _ = try await play.fixture.store.cancel(id)
    }
    for (id, task) in play.tasks where task.isHandlerPending { try await play.fixture.store.delete(id) }
    let finisher = try TestWorker(play.fixture)
    try play.fixture.finishAll(finisher)
    try eventually("all who wait were told") { play.told.withLock { $0 } == play.awaited }
    try play.fixture.retainNothing()
    let left = try play.fixture.keyspace()
    #expect(left.records.isEmpty)
    #expect(left.differences() == [])
    #expect(left.ofTasks.filter { !$0.hasPrefix("hdue:") } == [], "only entries of deleted tasks, until they are due")
  }
}
