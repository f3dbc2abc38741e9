// SPDX-License-Identifier: Apache-2.0
import Foundation
import Redis
import Synchronization
import TaskModel
import TaskStore
import TestSupport
import Testing
import Threading

@testable import Worker

@Suite("What one call carries, and what a worker holds")
struct SessionTests {
  private let redis: RedisServer
  private let store: TaskStore
  private let session: WorkerSession
  private let clock = RedisClock()

  init() async throws {
    redis = try RedisServer()
    store = TaskStore(address: redis.address, prefix: "roost", name: "test")
    store.start(types: [
      TypeDefinition(
        name: "t", executor: "p/t", callback: "p/c", exceptionHandler: nil, worker: "p", threads: 1,
        retentionAge: .seconds(3600), retentionCount: 1000, maxParams: 1 << 20, maxResult: 1 << 20)
    ])
    let store = store
    try await eventually("the store is connected") { () async in store.isConnected }
    session = try WorkerSession(
      to: redis.address, keys: Keys(prefix: "roost"), worker: RandomID.make(), epoch: 1, clock: clock)
    _ = try session.hello(lastBatch: 0, held: [], origins: [])
  }

  private func take(_ batch: Int64, handlers: Bool = false) throws -> WorkerSession.Taken {
    try session.exchange(
      writes: [], emptied: [], takes: [.init(type: "t", queue: handlers ? .handlers : .tasks, batch: batch, count: 10)]
    ).taken[0]
  }

  private func write(_ operation: TaskWrite.Operation, of task: TakenTask) -> TaskWrite {
    TaskWrite(
      id: task.id, fence: task.record.fence, ticket: task.ticket, operation: operation, attempts: 1, maxAttempts: 1,
      hasParamsKey: false,
      origin: 0, startedAt: clock.now)
  }

  @Test("That a task runs, what it reports and how it ended may be said in one call; its batch is gone then")
  func allAtOnce() async throws {
    let id = try await store.submit(Submission(type: "t", params: [0x31])).id
    let task = try #require(try take(1).tasks.first)
    let line = Array(#"{"at":"now","level":"info","message":"there"}"#.utf8)
    _ = try session.exchange(
      writes: [
        write(.running(deadline: clock.now), of: task),
        write(.progress(Progress(fraction: 0.5, note: "half")), of: task), write(.log([line]), of: task),
        write(.completed(result: [0x32]), of: task),
      ], emptied: [1], takes: [])
    let record = try #require(try await store.record(id))
    #expect(record.status == .completed)
    #expect(record.progress?.note == "half")
    #expect(record.log == [line])
    #expect(try redis.keys().allSatisfy { !$0.contains(":flight:") && !$0.contains(":run:") })
    store.close()
  }

  @Test("A take of handler calls brings results of about a megabyte, or one")
  func handlerBudget() async throws {
    let result = Array("\"\(String(repeating: "x", count: 700_000))\"".utf8)
    for batch in 1...5 {
      _ = try await store.submit(Submission(type: "t", params: [0x31]))
      let task = try #require(try take(Int64(batch)).tasks.first)
      var completion = write(.completed(result: result), of: task)
      completion.callsHandler = true
      _ = try session.exchange(writes: [completion], emptied: [], takes: [])
      _ = try session.exchange(writes: [write(.givenBack, of: task)], emptied: [Int64(batch)], takes: [])
    }
    let first = try take(6, handlers: true)
    #expect(first.tasks.count == 2)
    #expect(first.hasMore)
    #expect(try take(7, handlers: true).tasks.count == 2)
    let last = try take(8, handlers: true)
    #expect(last.tasks.count == 1)
    #expect(!last.hasMore)
    store.close()
  }

  @Test("Nothing is taken while more is to be written than goes into two calls")
  func writesFirst() async throws {
    let types = ["one", "two", "three"]
    let worker = try WorkerFixture("echo", types: types)
    // Tasks are taken ahead once it is known how short they are.
    for type in types { _ = try await worker.final(worker.submit("1", type: type)) }
    for type in types { try await worker.store.setPaused(type, true) }
    var late: [TaskID] = []
    for number in 0..<2400 {
      var submission = Submission(type: types[number % 3], params: [UInt8]("1".utf8))
      submission.expires = .at(Timestamp(millis: 1000))
      late.append(try await worker.store.submit(submission).id)
    }
    let seen = Lock((takes: 0, mostWaiting: 0))
    worker.proxy.intercept { request in
      if request.script == .take {
        // What expires is written by the thread that takes, so nothing comes to this between the two.
        let waiting = worker.core.state.withLock { $0.outbox.writes.count }
        seen.withLock { $0 = ($0.takes + 1, max($0.mostWaiting, waiting)) }
      }
      return .pass
    }
    for type in types { try await worker.store.setPaused(type, false) }
    for id in late { #expect(try await worker.final(id)?.status == .failed) }
    let (takes, mostWaiting) = seen.withLock { $0 }
    #expect(takes > 3 && mostWaiting <= WorkerSession.callTasks)
  }

  @Test("Nothing is taken ahead while more than a megabyte of params waits")
  func paramsAhead() async throws {
    store.close()
    let worker = try WorkerFixture("gate")
    let pool = worker.core.pools[0]
    for _ in 0..<20 { _ = try await worker.final(try await worker.submit("1")) }
    try await eventually("short tasks are taken ahead") { () async in pool.wanted > 2 }
    let running = [try await worker.submit(#""wait""#), try await worker.submit(#""wait""#)]
    try await eventually("both threads are busy") { () async in
      running.allSatisfy { worker.journal.contains("gate \($0)") }
    }
    #expect(pool.wanted > 0)
    let large = "\"\(String(repeating: "x", count: 600_000))\""
    var ids = running
    for _ in 0..<8 { ids.append(try await worker.submit(large)) }
    try await eventually("it has enough") { () async in pool.wanted == 0 }
    // One, and what one take may bring.
    #expect(pool.ids.count <= running.count + 3)
    try Data().write(to: URL(fileURLWithPath: worker.redis.directory.path + "/journal.open"))
    for id in ids { #expect(try await worker.final(id)?.status == .completed) }
    try worker.leavesNothingBehind()
  }
}
