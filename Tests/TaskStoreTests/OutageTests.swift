// SPDX-License-Identifier: Apache-2.0
import Redis
import TaskModel
import TaskStore
import TestSupport
import Testing
import Threading

@Suite("Redis in trouble")
struct OutageTests {
  /// Ids that were answered, and submissions that were refused.
  private func submitMany(
    _ count: Int, _ fixture: StoreFixture, params: String = "null", meanwhile: @escaping @Sendable (Int) throws -> Void
  ) async throws -> (ids: [TaskID], refused: Int) {
    try await withThrowingTaskGroup(of: TaskID?.self) { group in
      for number in 0..<count {
        group.addTask {
          try meanwhile(number)
          do { return try await fixture.submit(params) } catch is TaskStoreError { return nil }
        }
      }
      var ids: [TaskID] = []
      var refused = 0
      for try await id in group { if let id { ids.append(id) } else { refused += 1 } }
      return (ids, refused)
    }
  }

  private func expectUnavailable(_ body: () async throws -> Void) async {
    let begin = ContinuousClock.now
    do {
      try await body()
      Issue.record("it went well")
    } catch TaskStoreError.unavailable {
      // Two seconds by the store's own limits; the rest is for a machine that is busy.
      #expect(ContinuousClock.now - begin < .seconds(15))
    } catch { Issue.record("\(error)") }
  }

  @Test(
    "While Redis is away, calls are answered as unavailable; once it is back everything is there",
    .timeLimit(.minutes(2)))
  func stopped() async throws {
    let fixture = try StoreFixture()
    let id = try await fixture.submit()
    fixture.redis.stop()
    for _ in 0..<2 {
      await expectUnavailable { _ = try await fixture.submit() }
      await expectUnavailable { _ = try await fixture.store.record(id) }
      await expectUnavailable { _ = try await fixture.store.cancel(id) }
    }
    #expect(!fixture.store.isConnected)
    try fixture.redis.start()
    try eventually("the store is connected again") { fixture.store.isConnected }
    #expect(try await fixture.store.getStatus(id) == .pending)
    let second = try await fixture.submit()
    #expect(try fixture.session().take(1).map(\.id) == [id, second])
  }

  @Test("A Redis that stands still is as one that is away", .timeLimit(.minutes(2)))
  func suspended() async throws {
    let fixture = try StoreFixture()
    let id = try await fixture.submit()
    fixture.redis.suspend()
    for _ in 0..<2 {
      await expectUnavailable { _ = try await fixture.submit() }
      await expectUnavailable { _ = try await fixture.store.getStatus(id) }
    }
    fixture.redis.resume()
    try eventually("the store is connected again") { fixture.store.isConnected }
    #expect(try await fixture.store.getStatus(id) == .pending)
    _ = try await fixture.submit()
    // What was told to be unavailable may have been stored all the same, but never half.
    #expect(try fixture.keyspace().lost() == [])
    #expect(try fixture.keyspace().differences() == [])
  }

  @Test(
    "Every id that was answered is stored exactly once, however often the connection is killed",
    arguments: ["null", "large"])
  func killedConnections(params: String) async throws {
    let fixture = try StoreFixture()
    let body = params == "large" ? String(decoding: [UInt8].text(2000), as: UTF8.self) : params
    let (ids, refused) = try await submitMany(600, fixture, params: body) { number in
      // Such a call may kill another one of its kind.
      if number % 20 == 0 { _ = try? fixture.command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes") }
    }
    #expect(ids.count + refused == 600)
    #expect(ids.count > 300)
    let keyspace = try fixture.keyspace()
    #expect(Set(ids).isSubset(of: Set(keyspace.records.keys)))
    let queue = keyspace.places["q"] ?? []
    #expect(queue.count == Set(queue).count)
    #expect(Set(queue) == Set(keyspace.records.keys))
    #expect(keyspace.differences() == [])
    #expect(keyspace.lost() == [])
    if refused == 0 { #expect(keyspace.records.count == 600) }
  }

  @Test("Forgotten scripts are loaded again by whoever needs them")
  func scriptFlush() async throws {
    let fixture = try StoreFixture()
    let id = try await fixture.submit()
    let session = try fixture.session()
    let housekeeping = try fixture.housekeeping()
    try fixture.command("SCRIPT", "FLUSH")
    let second = try await fixture.submit()
    try fixture.command("SCRIPT", "FLUSH")
    #expect(try await fixture.store.cancel(second) == .cancelled, "an action is not lost either")
    try fixture.command("SCRIPT", "FLUSH")
    #expect(try await fixture.store.page(TaskQuery())?.records.map(\.id) == [id, second])
    try fixture.command("SCRIPT", "FLUSH")
    #expect(try housekeeping.beat(host: fixture.store.hostID, types: ["work"], workers: []).isKnown)
    try fixture.command("SCRIPT", "FLUSH")
    #expect(throws: RedisError.self) { try session.take(1) }
    let again = try WorkerSession(
      to: fixture.address, keys: fixture.store.keys, worker: session.worker, epoch: 2, clock: fixture.store.clock)
    _ = try again.hello(lastBatch: 1, held: [], origins: [])
    #expect(try again.take(2).map(\.id) == [id])
  }

  @Test("Without memory for more, submissions are refused; all else goes on")
  func outOfMemory() async throws {
    let fixture = try StoreFixture(
      ["--maxmemory-policy", "noeviction"], types: [StoreFixture.type, StoreFixture.telling])
    let store = fixture.store
    var ids: [TaskID] = []
    for _ in 0..<5 { ids.append(try await fixture.submit()) }
    let telling = try await fixture.submit(type: "telling")
    let session = try fixture.session()
    let detached = try session.take(1, count: 1)
    _ = try session.write([detached[0].write(.detached(deadline: Timestamp(millis: 4_000_000_000_000)))], emptied: [1])
    let failed = try session.take(2, count: 1)
    _ = try session.write([failed[0].write(.failed(.broken))], emptied: [2])
    try fixture.command("CONFIG", "SET", "maxmemory", "1")

    await #expect(throws: TaskStoreError.outOfMemory) { try await fixture.submit() }
    await #expect(throws: TaskStoreError.outOfMemory) {
      try await fixture.submit(String(decoding: [UInt8].text(3000), as: UTF8.self))
    }
    await #expect(throws: TaskStoreError.outOfMemory) { try await store.retry(failed[0].id) }
    await #expect(throws: TaskStoreError.outOfMemory) {
      try await store.settle(detached[0].id, .completed(result: .text(3000)))
    }
    #expect(try fixture.keyspace().records.count == 6)
    #expect(try fixture.keyspace().lost() == [])

    let taken = try session.take(3) + session.take(4, type: "telling")
    #expect(taken.count == 4)
    let answers = try session.write(
      [
        taken[0].write(.completed(result: .text(3000))), taken[1].write(.completed(result: .one)),
        taken[2].write(.givenBack), taken[3].write(.completed(result: .text(5000)), callsHandler: true),
      ], emptied: [3])
    #expect(answers == [.written, .written, .written, .handlerIsYours])
    #expect(try session.write([taken[3].write(.handlerDelivered)], emptied: [4]) == [.written])
    #expect(try await store.resultBytes(taken[0].id) == .text(3000))
    #expect(try await store.resultBytes(telling) == .text(5000))
    #expect(try await store.settle(detached[0].id, .completed(result: .one)) == .completed)
    #expect(try await store.cancel(taken[2].id) == .cancelled)
    let other = RandomID.make()
    _ = try fixture.session(other)
    #expect(try fixture.housekeeping().reap(other))
    #expect(try fixture.keyspace().lost() == [])
    #expect(try fixture.keyspace().differences() == [])
    try await store.delete(telling)
    try fixture.retainNothing()
    #expect(try fixture.keyspace().records.isEmpty)

    try fixture.command("CONFIG", "SET", "maxmemory", "0")
    _ = try await fixture.submit()
  }

  @Test("A submission that was stored before memory ran out is not said to be refused")
  func storedBeforeFull() async throws {
    let redis = try RedisServer(["--maxmemory-policy", "noeviction"])
    let proxy = try RedisProxy(redis)
    let fixture = try StoreFixture(on: redis, at: proxy.address)
    for params in ["null", String(decoding: [UInt8].text(3000), as: UTF8.self)] {
      let isDone = Monitor(false)
      proxy.intercept { request in
        // The answer is lost, and before the repeat memory runs out.
        if request.script == .submit, !isDone.withLock({ $0 }) {
          isDone.withLock { $0 = true }
          return .loseAnswer
        }
        if request.name == "AUTH" || request.name == "INFO", isDone.withLock({ $0 }) {
          let connection = try? RedisConnection(to: redis.address, timeout: .seconds(5))
          _ = try? connection?.call(RedisCommand(words: "CONFIG", "SET", "maxmemory", "1"))
        }
        return .pass
      }
      let id = try await fixture.submit(params)
      #expect(try await fixture.store.getStatus(id) == .pending)
      proxy.intercept(nil)
      try fixture.command("CONFIG", "SET", "maxmemory", "0")
    }
    #expect(try fixture.keyspace().differences() == [])
  }
}
