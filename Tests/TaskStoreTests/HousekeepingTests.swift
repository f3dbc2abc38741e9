// SPDX-License-Identifier: Apache-2.0
import Redis
import TaskModel
import TaskStore
import TestSupport
import Testing

@Suite("Wake tokens and lost workers")
struct HousekeepingTests {
  private func tokens(_ fixture: StoreFixture, _ type: String = "work") throws -> Int64 {
    try fixture.command("LLEN", fixture.store.keys.wake(type)).integerValue ?? -1
  }

  private func takeToken(_ fixture: StoreFixture, _ type: String = "work") throws {
    try fixture.command("LPOP", fixture.store.keys.wake(type))
  }

  @Test("There is at most one token for a type, and a taker that leaves something makes the next")
  func tokens() async throws {
    let fixture = try StoreFixture()
    for _ in 0..<3 { _ = try await fixture.submit() }
    #expect(try tokens(fixture) == 1)
    let session = try fixture.session()
    try takeToken(fixture)
    _ = try session.take(1, count: 1)
    #expect(try tokens(fixture) == 1)
    _ = try session.take(2, count: 1)
    #expect(try tokens(fixture) == 1)
    try takeToken(fixture)
    _ = try session.take(3, count: 1)
    #expect(try tokens(fixture) == 0, "nothing is left")
  }

  @Test("Whatever brings work wakes a worker")
  func whatWakes() async throws {
    let fixture = try StoreFixture(types: [StoreFixture.type, StoreFixture.telling])
    let store = fixture.store
    let session = try fixture.session()
    let housekeeping = try fixture.housekeeping()
    func expectToken(_ what: String, _ type: String = "work") throws {
      #expect(try tokens(fixture, type) == 1, "\(what)")
      try takeToken(fixture, type)
    }
    let id = try await fixture.submit()
    try expectToken("a submission")
    _ = try session.write([try session.take(1)[0].write(.givenBack)], emptied: [1])
    try expectToken("a give-back")
    _ = try session.write([try session.take(2)[0].write(.retry(.broken, at: Timestamp(millis: 1000)))], emptied: [2])
    #expect(try tokens(fixture) == 0)
    _ = try housekeeping.beat(host: store.hostID, types: ["work"], workers: [])
    try expectToken("a due task")
    _ = try session.write([try session.take(3)[0].write(.failed(.broken))], emptied: [3])
    try await store.retry(id)
    try expectToken("a manual retry")
    _ = try session.take(4)
    try housekeeping.reap(session.worker)
    try expectToken("a lost worker")

    let other = try fixture.session()
    _ = try await fixture.submit(type: "telling")
    try takeToken(fixture, "telling")
    let taken = try other.take(1, type: "telling")
    _ = try other.write([taken[0].write(.completed(result: .one), callsHandler: true)])
    #expect(try tokens(fixture, "telling") == 0, "the handler call stays with its worker")
    _ = try other.write([taken[0].write(.handlerAgain("no", at: Timestamp(millis: 1000)))], emptied: [1])
    _ = try housekeeping.beat(host: store.hostID, types: ["telling"], workers: [])
    #expect(
      try fixture.command("LLEN", fixture.store.keys.handlerWake("telling")).integerValue == 1, "a handler's retry")
  }

  @Test("A heartbeat replaces a token that was lost with the worker that had taken it")
  func lostToken() async throws {
    let fixture = try StoreFixture()
    _ = try await fixture.submit()
    try takeToken(fixture)
    let housekeeping = try fixture.housekeeping()
    for _ in 0..<2 {
      _ = try housekeeping.beat(host: fixture.store.hostID, types: ["work"], workers: [])
      #expect(try tokens(fixture) == 1)
    }
  }

  @Test("A worker that waits for a token gets it as soon as there is a task")
  func waiting() async throws {
    let fixture = try StoreFixture()
    let connection = try RedisConnection(to: fixture.address, timeout: nil)
    connection.append(RedisCommand(words: "BLPOP", fixture.store.keys.wake("work"), "60"))
    async let id = fixture.submit()
    #expect(try connection.reply().arrayValue?.count == 2)
    _ = try await id
  }

  @Test("A worker loses its lease to another host only if its count did not move")
  func reapByCount() async throws {
    let fixture = try StoreFixture()
    let id = try await fixture.submit()
    let session = try fixture.session()
    _ = try session.take(1)
    let housekeeping = try fixture.housekeeping()
    let beat = Housekeeping.Beat(worker: session.worker, lastBatch: 1, held: [1])
    func count() throws -> String {
      let report = try housekeeping.beat(host: fixture.store.hostID, types: ["work"], workers: [])
      return try #require(report.beats[session.worker])
    }
    let seen = try count()
    _ = try housekeeping.beat(host: fixture.store.hostID, types: ["work"], workers: [beat])
    #expect(try housekeeping.reap(session.worker, ifStillAt: seen) == false)
    #expect(try fixture.keyspace().leases.count == 1)
    let again = try count()
    #expect(again != seen)
    // A new connection is a sign of life as well, and never brings back a count that was seen before.
    let second = try WorkerSession(
      to: fixture.address, keys: fixture.store.keys, worker: session.worker, epoch: 2, clock: fixture.store.clock)
    _ = try second.hello(lastBatch: 1, held: [1], origins: [])
    #expect(try ![seen, again].contains(count()))
    #expect(try housekeeping.reap(session.worker, ifStillAt: again) == false)
    #expect(try housekeeping.reap(session.worker, ifStillAt: count()))
    #expect(throws: WorkerSession.LeaseLost.self) { try second.take(2) }
    #expect(try fixture.keyspace().places["q"] == [id])
    #expect(try housekeeping.leases() == [fixture.store.hostID])
  }

  @Test("Work that is too much for one heartbeat is moved by several")
  func manyDue() async throws {
    let fixture = try StoreFixture()
    try await withThrowingTaskGroup(of: Void.self) { group in
      for _ in 0..<600 { group.addTask { _ = try await fixture.submit() } }
      try await group.waitForAll()
    }
    let session = try fixture.session()
    for batch in 1...3 {
      let taken = try session.take(Int64(batch), count: 256)
      let writes = taken.map { $0.write(.retry(.broken, at: Timestamp(millis: 1000))) }
      _ = try session.write(writes, emptied: [Int64(batch)])
    }
    let housekeeping = try fixture.housekeeping()
    var beats = 1
    while try housekeeping.beat(host: fixture.store.hostID, types: ["work"], workers: []).hasMore { beats += 1 }
    #expect(beats == 3)
    #expect(try fixture.keyspace().places["q"]?.count == 600)
    #expect(try fixture.keyspace().differences() == [])
  }
}
