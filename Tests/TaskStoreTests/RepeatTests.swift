// SPDX-License-Identifier: Apache-2.0
import Redis
import TaskModel
import TaskStore
import TestSupport
import Testing

@Suite("Repeated and late calls")
struct RepeatTests {
  /// completed.lua is part of a transaction that Redis refuses when it comes late.
  @Test(
    "A call that Redis gets twice leaves everything as one does",
    arguments: ScriptScene.all.filter { $0.script != .completed })
  func repeats(scene: ScriptScene) async throws {
    let redis = try RedisServer()
    let proxy = try RedisProxy(redis)
    let world = try SceneWorld(redis, proxy, prefix: "roost")
    try await scene.prepare(world)
    _ = proxy.takeLog()
    try await scene.act(world)
    let calls = proxy.takeLog().requests.filter { $0.script == scene.script }
    try #require(!calls.isEmpty)
    let before = try world.fixture.keyspace()
    let raw = try RawRedis(path: redis.directory.path + "/redis.sock")
    for call in calls {
      let answer = try raw.exchange(call.bytes)
      #expect(!answer.hasPrefix("-"), "\(answer)")
      switch scene.script {
      case .submit, .submitted: #expect(answer.hasPrefix("*1\r\n$"), "what was said, and nothing stored")
      case .hello: #expect(answer == "$-1\r\n", "the epoch is used up")
      case .reap: #expect(answer == ":0\r\n")
      default: break
      }
    }
    // Meant to change: heartbeats count, types were seen again, and a list that retention went through has moved on.
    let exceptions: Set<String> =
      switch scene.script {
      case .heartbeat: ["beats"]
      case .register: ["beats", "seen"]
      case .retain: ["n:telling"]
      default: []
      }
    let after = try world.fixture.keyspace()
    #expect(before.changes(to: after, except: exceptions) == [])
    #expect(after.lost() == [])
    #expect(after.differences() == [])
  }

  @Test("A repeated outcome is answered that the handler call is still the worker's, until it has reported")
  func sameReply() async throws {
    let fixture = try StoreFixture(types: [StoreFixture.telling])
    for _ in 0..<2 { _ = try await fixture.submit(type: "telling") }
    let session = try fixture.session()
    let taken = try session.take(1, type: "telling")
    let writes = [
      taken[0].write(.completed(result: .one), callsHandler: true),
      taken[1].write(.failed(.broken), callsHandler: true),
    ]
    #expect(try session.write(writes) == [.handlerIsYours, .handlerIsYours])
    #expect(try session.write(writes) == [.handlerIsYours, .handlerIsYours])
    #expect(try session.write([taken[0].write(.handlerDelivered)]) == [.written])
    #expect(try session.write([taken[0].write(.handlerDelivered)]) == [.refused])
    #expect(try session.write(writes) == [.refused, .handlerIsYours])
    // Another worker takes the call over: it is not the first one's any more.
    #expect(try session.write([taken[1].write(.givenBack)], emptied: [1]) == [.written])
    #expect(try session.write(writes) == [.refused, .refused])
  }

  @Test("The body of a large result stays when its write is repeated")
  func bodyStays() async throws {
    let fixture = try StoreFixture()
    let id = try await fixture.submit()
    let session = try fixture.session()
    let taken = try session.take(1)
    let result = [UInt8].text(5000)
    #expect(try session.write([taken[0].write(.completed(result: result))]) == [.written])
    #expect(try session.write([taken[0].write(.completed(result: result))], emptied: [1]) == [.refused])
    #expect(try fixture.keyspace().lost() == [])
    #expect(try await fixture.store.resultBytes(id) == result)
  }

  @Test("A call may say of a task that it runs and that it is done")
  func severalWrites() async throws {
    let fixture = try StoreFixture()
    let id = try await fixture.submit()
    let session = try fixture.session()
    let taken = try session.take(1)
    let writes: [TaskWrite.Operation] = [
      .running(deadline: nil), .progress(Progress(fraction: 0.25, note: "begun")), .completed(result: .one),
    ]
    #expect(try session.write(writes.map { taken[0].write($0) }, emptied: [1]) == [.written, .written, .written])
    let record = try #require(try await fixture.store.record(id))
    #expect(record.status == .completed)
    #expect(record.progress?.note == "begun")
    #expect(try fixture.keyspace().differences() == [])
  }

  @Test("A batch with a pending handler call stays, even where the worker says that it is empty")
  func batchStays() async throws {
    let fixture = try StoreFixture(types: [StoreFixture.telling])
    for _ in 0..<2 { _ = try await fixture.submit(type: "telling") }
    let session = try fixture.session()
    let first = try session.take(1, count: 1, type: "telling")
    let second = try session.take(2, count: 1, type: "telling")
    let writes = [
      first[0].write(.completed(result: .one), callsHandler: true), second[0].write(.completed(result: .one)),
    ]
    _ = try session.write(writes, emptied: [1, 2])
    let keyspace = try fixture.keyspace()
    #expect(keyspace.lost() == [])
    #expect(keyspace.flight.map(\.id) == [first[0].id])
  }

  @Test("Commands of an older connection are refused, and a late hello changes nothing")
  func lateCommands() async throws {
    let redis = try RedisServer()
    let proxy = try RedisProxy(redis)
    let fixture = try StoreFixture(on: redis, at: proxy.address)
    for _ in 0..<3 { _ = try await fixture.submit() }
    let id = RandomID.make()
    let old = try fixture.session(id, epoch: 1)
    let taken = try old.take(1, count: 1)
    // What these two commands say arrives only after the connection that follows.
    proxy.intercept { $0.script == .take ? .delay : .pass }
    #expect(throws: (any Error).self) { try old.take(2, count: 1) }
    let other = try fixture.session(id, epoch: 2)
    proxy.intercept { $0.script == .complete ? .delay : .pass }
    #expect(throws: (any Error).self) { try other.write([taken[0].write(.completed(result: .one))]) }
    proxy.intercept { $0.script == .hello ? .delay : .pass }
    #expect(throws: (any Error).self) { try fixture.session(id, epoch: 3) }
    proxy.intercept(nil)
    let newest = try fixture.session(id, epoch: 4)
    let before = try fixture.keyspace()
    #expect(try proxy.deliverLate() == ["$-1\r\n", "$-1\r\n", "$-1\r\n"])
    #expect(before.changes(to: try fixture.keyspace()) == [])
    #expect(before.leases == [id: "4"])
    _ = try newest.take(3)
  }

  @Test("A worker whose lease was taken is refused, and neither heartbeat nor hello makes it a new one")
  func lateHeartbeat() async throws {
    let fixture = try StoreFixture()
    for _ in 0..<2 { _ = try await fixture.submit() }
    let id = RandomID.make()
    let session = try fixture.session(id)
    let taken = try session.take(1, count: 1)
    let housekeeping = try fixture.housekeeping()
    #expect(try housekeeping.reap(id))
    #expect(throws: WorkerSession.LeaseLost.self) { try session.take(2) }
    #expect(throws: WorkerSession.LeaseLost.self) { try session.write([taken[0].write(.completed(result: .one))]) }
    #expect(throws: WorkerSession.LeaseLost.self) { try fixture.session(id, epoch: 2) }
    let report = try housekeeping.beat(
      host: fixture.store.hostID, types: ["work"], workers: [.init(worker: id, lastBatch: 1, held: [1])])
    #expect(report.lost == [id])
    let keyspace = try fixture.keyspace()
    #expect(keyspace.leases == [:])
    #expect(report.beats[id] == nil)
    #expect(keyspace.places["q"]?.first == taken[0].id, "what it held is given back to the front")
    #expect(keyspace.lost() == [])
  }

  @Test("A hello that finds very many lost tasks gives back a part, and heartbeats the rest")
  func manyLost() async throws {
    let fixture = try StoreFixture()
    let count = 5000
    for start in stride(from: 0, to: count, by: 1000) {
      try await withThrowingTaskGroup(of: Void.self) { group in
        for _ in start..<(start + 1000) { group.addTask { _ = try await fixture.submit() } }
        try await group.waitForAll()
      }
    }
    let id = RandomID.make()
    let session = try fixture.session(id)
    for batch in 1...20 { _ = try session.take(Int64(batch), count: 256) }
    let again = try WorkerSession(
      to: fixture.address, keys: fixture.store.keys, worker: id, epoch: 2, clock: fixture.store.clock)
    _ = try again.hello(lastBatch: 20, held: [], origins: [])
    let housekeeping = try fixture.housekeeping()
    while try housekeeping.beat(
      host: fixture.store.hostID, types: ["work"], workers: [.init(worker: id, lastBatch: 20, held: [])]
    ).hasMore {}
    let keyspace = try fixture.keyspace()
    #expect(keyspace.flightCount == 0)
    #expect(keyspace.places["q"]?.count == count)
    #expect(keyspace.lost() == [])
  }
}
