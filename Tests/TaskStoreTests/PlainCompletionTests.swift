// SPDX-License-Identifier: Apache-2.0
import Redis
import TaskModel
import TaskStore
import TestSupport
import Testing
import Threading

/// What somebody else does to a task that a worker has.
struct Disturbance: Sendable, CustomTestStringConvertible {
  let testDescription: String
  /// `worker` has the task, as the first of its batch 1.
  let act: @Sendable (_ fixture: StoreFixture, _ worker: String, _ id: TaskID) async throws -> Void
  /// What is left of it after the worker has completed the task, and what the worker is told.
  let answer: WriteAnswer?
  let isLeft: @Sendable (StoredRecord) -> Bool

  static let all = [
    Disturbance(
      testDescription: "a cancel",
      act: { fixture, _, id in
        var call = try ScriptConnection(fixture.connection(), keys: fixture.store.keys).command(.cancel, keyCount: 1)
        call.key { fixture.store.keys.appendRecord(id, to: &$0) }
        _ = try fixture.connection().call(call.command)
      }, answer: .written, isLeft: { $0.state == .completed && $0.has(.cancelAsked) }),
    Disturbance(
      testDescription: "a wait for its end",
      act: { fixture, _, id in
        var call = try ScriptConnection(fixture.connection(), keys: fixture.store.keys).command(.watch, keyCount: 1)
        call.key { fixture.store.keys.appendRecord(id, to: &$0) }
        _ = try fixture.connection().call(call.command)
      }, answer: .written, isLeft: { $0.state == .completed && $0.has(.watched) }),
    Disturbance(
      testDescription: "a heartbeat that does not name its batch",
      act: { fixture, worker, _ in
        _ = try Housekeeping(to: fixture.redis.address, keys: fixture.store.keys).beat(
          host: fixture.store.hostID, types: ["work"], workers: [.init(worker: worker, lastBatch: 1, held: [])])
      }, answer: .refused, isLeft: { $0.state == .pending }),
    Disturbance(
      testDescription: "a newer connection of its worker",
      act: { fixture, worker, _ in
        let newer = try WorkerSession(
          to: fixture.redis.address, keys: fixture.store.keys, worker: worker, epoch: 2, clock: fixture.store.clock)
        _ = try newer.hello(lastBatch: 1, held: [1], origins: [])
      }, answer: nil, isLeft: { $0.state == .taken }),
    Disturbance(
      testDescription: "that its lease is taken",
      act: { fixture, worker, _ in
        _ = try Housekeeping(to: fixture.redis.address, keys: fixture.store.keys).reap(worker)
      }, answer: nil, isLeft: { $0.state == .pending }),
  ]
}

@Suite("Completions past the script")
struct PlainCompletionTests {
  /// A worker that has two tasks in batch 1, on a connection through the proxy, and watches its fence.
  private struct Scene {
    let redis: RedisServer
    let proxy: RedisProxy
    let fixture: StoreFixture
    let session: WorkerSession
    let tasks: [TakenTask]

    init(count: Int = 2) async throws {
      redis = try RedisServer()
      proxy = try RedisProxy(redis)
      fixture = try StoreFixture(on: redis, at: proxy.address)
      for _ in 0..<count { _ = try await fixture.submit() }
      session = try fixture.session()
      tasks = try session.take(1, count: count)
      _ = proxy.takeLog()
    }

    /// The names of the commands since the last call of this, and the scripts by theirs.
    func commands() -> [String] { proxy.takeLog().requests.map { $0.script?.rawValue ?? $0.name } }

    func check() throws {
      let keyspace = try fixture.keyspace()
      #expect(keyspace.lost() == [])
      #expect(keyspace.differences() == [])
    }
  }

  private let past = ["MULTI", "RPUSH", "MSET", "completed", "EXEC", "WATCH", "GET"]

  @Test("What nobody else has touched is completed without complete.lua, call after call")
  func undisturbed() async throws {
    let scene = try await Scene()
    for (index, task) in scene.tasks.enumerated() {
      let emptied: [Int64] = index == 1 ? [1] : []
      #expect(try scene.session.write([task.write(.completed(result: .one))], emptied: emptied) == [.written])
      #expect(scene.commands() == past)
    }
    #expect(try scene.fixture.keyspace().unfinished == [])
    #expect(try await scene.fixture.store.resultBytes(scene.tasks[0].id) == .one)
    try scene.check()
  }

  @Test("A task is completed blindly once, and not after anything else was written of it")
  func ticketsAreSpent() async throws {
    let scene = try await Scene(count: 5)
    let tasks = scene.tasks
    _ = try scene.session.write([
      tasks[0].write(.completed(result: .one)), tasks[1].write(.running(deadline: nil)),
      tasks[2].write(.progress(Progress(fraction: 0.5, note: "half"))), tasks[3].write(.givenBack),
      tasks[4].write(.log([Array("{}".utf8)])), tasks[4].write(.completed(result: .one)),
    ])
    _ = scene.commands()
    let writes = tasks.map { $0.write(.completed(result: .text(10))) }
    #expect(try scene.session.write(writes) == [.refused, .written, .written, .refused, .refused])
    #expect(scene.commands() == ["complete"])
    #expect(try await scene.fixture.store.resultBytes(tasks[0].id) == .one)
    #expect(try scene.fixture.keyspace().records[tasks[4].id]?.has(.log) == true)
    try scene.check()
  }

  @Test("After a disturbance nothing is written blindly", arguments: Disturbance.all)
  func disturbedWhileWatching(by other: Disturbance) async throws {
    let scene = try await Scene()
    try await other.act(scene.fixture, scene.session.worker, scene.tasks[0].id)
    try complete(scene, other)
    if other.answer != nil { #expect(scene.commands() == past + ["complete"]) }
    try scene.check()
  }

  @Test("Nor after one that comes between a transaction and the next watching", arguments: Disturbance.all)
  func disturbedBetween(by other: Disturbance) async throws {
    let scene = try await Scene(count: 3)
    let isDone = Monitor(false)
    let failure = Monitor<(any Error)?>(nil)
    let (fixture, worker, id) = (scene.fixture, scene.session.worker, scene.tasks[0].id)
    scene.proxy.intercept { request in
      guard request.name == "WATCH", !isDone.withLock({ $0 }) else { return .pass }
      isDone.withLock { $0 = true }
      let isOver = Monitor(false)
      Task.detached {
        do { try await other.act(fixture, worker, id) } catch { failure.withLock { $0 = error } }
        isOver.withLock { $0 = true }
        isOver.signal()
      }
      isOver.wait { $0 ? true : nil }
      return .pass
    }
    #expect(try scene.session.write([scene.tasks[2].write(.completed(result: .one))]) == [.written])
    scene.proxy.intercept(nil)
    #expect(failure.withLock { $0 } == nil)
    #expect(scene.commands() == past)
    try complete(scene, other)
    #expect(scene.commands() == ["complete"])
    try scene.check()
  }

  @Test("Nor after one that a take has seen; what is taken then is completed past the script again")
  func seenByTake() async throws {
    for other in Disturbance.all.prefix(2) {
      let scene = try await Scene()
      try await other.act(scene.fixture, scene.session.worker, scene.tasks[0].id)
      _ = try await scene.fixture.submit()
      _ = scene.commands()
      let second = try scene.session.take(2)
      #expect(scene.commands() == ["take"])
      // The watching is outdated: the script once more, for a task that was not disturbed.
      #expect(try scene.session.write([second[0].write(.completed(result: .one))], emptied: [2]) == [.written])
      #expect(scene.commands() == ["complete"])
      _ = try await scene.fixture.submit()
      _ = scene.commands()
      let third = try scene.session.take(3)
      #expect(scene.commands() == ["UNWATCH", "WATCH", "take"])
      #expect(try scene.session.write([third[0].write(.completed(result: .one))], emptied: [3]) == [.written])
      #expect(scene.commands() == past)
      try complete(scene, other)
      #expect(scene.commands() == ["complete"])
      try scene.check()
    }
  }

  /// The worker completes the disturbed task and the one beside it.
  private func complete(_ scene: Scene, _ other: Disturbance) throws {
    let writes = scene.tasks.prefix(2).map { $0.write(.completed(result: .one)) }
    if let answer = other.answer {
      let refusesBoth = answer == .refused
      #expect(try scene.session.write(writes) == [answer, refusesBoth ? .refused : .written])
    } else {
      #expect(throws: WorkerSession.LeaseLost.self) { try scene.session.write(writes) }
    }
    let record = try #require(try scene.fixture.keyspace().records[scene.tasks[0].id])
    #expect(other.isLeft(record), "\(other.testDescription): \(record.state)")
  }

  @Test("A task of an earlier connection is completed by the script, also when the fence stands where it stood")
  func earlierConnection() async throws {
    let scene = try await Scene()
    let fence = try scene.fixture.keyspace().fences
    let newer = try scene.fixture.session(scene.session.worker, epoch: 2)
    // As after a crash of Redis that lost the last second.
    let key = scene.fixture.store.keys.fence(of: scene.session.worker)
    try scene.fixture.command("SET", key, fence[scene.session.worker] ?? "")
    for _ in scene.tasks { _ = try await scene.fixture.submit() }
    #expect(try newer.take(2).count == scene.tasks.count)
    _ = scene.commands()
    _ = try newer.write(scene.tasks.map { $0.write(.completed(result: .one)) })
    #expect(scene.commands() == ["complete"])
  }

  @Test("A worker whose lease is taken completes nothing, also before all that it held has moved on")
  func halfReaped() async throws {
    let scene = try await Scene()
    _ = try await scene.fixture.submit()
    let others = try scene.session.take(2)
    var reap = try ScriptConnection(scene.fixture.connection(), keys: scene.fixture.store.keys).command(.reap)
    reap.add(scene.session.worker)
    reap.add(Array(scene.tasks[0].record.fence.prefix(8)))
    for word in ["", "1", ""] { reap.add(word) }
    #expect(try scene.fixture.connection().call(reap.command) == .integer(1), "one batch is left")
    let writes = (scene.tasks + others).map { $0.write(.completed(result: .one)) }
    #expect(throws: WorkerSession.LeaseLost.self) { try scene.session.write(writes) }
    let records = try scene.fixture.keyspace().records.values
    #expect(records.allSatisfy { $0.state != .completed })
  }

  @Test("When Redis has lost everything, the worker has no lease")
  func flushed() async throws {
    let scene = try await Scene()
    try scene.fixture.command("FLUSHALL")
    #expect(throws: WorkerSession.LeaseLost.self) {
      try scene.session.write([scene.tasks[0].write(.completed(result: .one))])
    }
    #expect(try scene.fixture.keyspace().records.isEmpty)
  }

  @Test("When Redis is full, completions go through the script, and past it again later")
  func full() async throws {
    let scene = try await Scene(count: 4)
    try scene.fixture.command("CONFIG", "SET", "maxmemory", "1")
    let writes = scene.tasks.map { $0.write(.completed(result: .one)) }
    #expect(try scene.session.write([writes[0]]) == [.written])
    #expect(scene.commands() == past + ["complete"])
    #expect(try scene.session.write([writes[1], scene.tasks[2].write(.failed(.broken))]) == [.written, .written])
    try scene.fixture.command("CONFIG", "SET", "maxmemory", "0")
    _ = scene.commands()
    #expect(try scene.session.write([writes[3]], emptied: [1]) == [.written])
    #expect(scene.commands() == past)
    #expect(try scene.fixture.keyspace().unfinished == [])
    try scene.check()
  }

  @Test("When Redis has forgotten the scripts, what a transaction has done is still counted", arguments: [false, true])
  func forgotten(mixed: Bool) async throws {
    let scene = try await Scene()
    try scene.fixture.command("SCRIPT", "FLUSH")
    let writes = [
      scene.tasks[0].write(.completed(result: .one)),
      scene.tasks[1].write(mixed ? .failed(.broken) : .completed(result: .one)),
    ]
    #expect(try scene.session.write(writes, emptied: [1]) == [.written, .written])
    #expect(try scene.fixture.keyspace().unfinished == [])
    try scene.check()
  }

  @Test("What is done is counted with it, also when Redis has forgotten the scripts and the worker dies then")
  func forgottenAndLost() async throws {
    let scene = try await Scene()
    try scene.fixture.command("SCRIPT", "FLUSH")
    scene.proxy.spoilNext(.completed, .loseAnswer)
    #expect(throws: (any Error).self) {
      try scene.session.write(scene.tasks.map { $0.write(.completed(result: .one)) }, emptied: [1])
    }
    _ = try scene.fixture.housekeeping().reap(scene.session.worker)
    #expect(try scene.fixture.keyspace().unfinished == [])
    try scene.check()
  }

  @Test("Where transactions are forbidden, all goes through scripts")
  func withoutTransactions() async throws {
    let redis = try RedisServer()
    let proxy = try RedisProxy(redis)
    try redis.cli("ACL", "SETUSER", "default", "-multi")
    let fixture = try StoreFixture(on: redis, at: proxy.address)
    fixture.store.note(["work": .init(pending: 0, scheduled: 0)])
    let id = try await fixture.submit()
    let session = try fixture.session()
    let task = try session.take(1)[0]
    #expect(try session.write([task.write(.completed(result: .one))], emptied: [1]) == [.written])
    #expect(try await fixture.store.resultBytes(id) == .one)
    let names = Set(proxy.takeLog().requests.map(\.name))
    #expect(names.isDisjoint(with: ["MSET", "MSETNX", "RPUSH", "WATCH"]))
    #expect(try fixture.keyspace().unfinished == [])
  }

  @Test("Where a command of the transaction is forbidden, nothing of it is done, and no task is lost")
  func forbiddenCommand() async throws {
    let scene = try await Scene()
    try scene.redis.cli("ACL", "SETUSER", "default", "-rpush")
    #expect(throws: RedisError.self) { try scene.session.write([scene.tasks[0].write(.completed(result: .one))]) }
    try scene.redis.cli("ACL", "SETUSER", "default", "+rpush")
    #expect(try scene.fixture.keyspace().records[scene.tasks[0].id]?.state == .taken)
    try scene.check()
  }

  /// Requests of an exchange with plain completions and others, up to this many.
  static let points = Array(0..<8)

  @Test(
    "Wherever the connection breaks, each task is completed once", arguments: points,
    [RedisProxy.Verdict.loseRequest, .loseAnswer, .cutAnswer, .delay])
  func breaks(at point: Int, how verdict: RedisProxy.Verdict) async throws {
    let redis = try RedisServer()
    let proxy = try RedisProxy(redis)
    let fixture = try StoreFixture(on: redis, at: proxy.address)
    for _ in 0..<4 { _ = try await fixture.submit() }
    let worker = try TestWorker(fixture)
    let ids = try worker.take().map(\.id)
    // MULTI RPUSH MSET completed complete EXEC WATCH GET; then the first of the connection that follows.
    let count = Monitor(0)
    proxy.intercept { _ in
      let number = count.withLock { count in
        defer { count += 1 }
        return count
      }
      return number == point ? verdict : .pass
    }
    try worker.write { $0.task.id == ids[1] ? .failed(.broken) : .completed(result: .one) }
    proxy.intercept(nil)
    #expect(count.withLock { $0 } > point)
    _ = try proxy.deliverLate()
    try worker.connect()
    let keyspace = try fixture.keyspace()
    #expect(keyspace.unfinished == [])
    #expect(keyspace.finished.map(\.id).sorted() == ids.sorted())
    #expect(keyspace.lost() == [])
    #expect(keyspace.differences() == [])
  }
}
