// SPDX-License-Identifier: Apache-2.0
import Redis
import TaskModel
import TaskStore
import TestSupport
import Testing

@Suite("Tasks that run alone")
struct AloneTests {
  private let past = Timestamp(millis: 1000)

  /// Tasks that wait to run alone.
  private func suspects(_ count: Int, _ fixture: LossFixture) async throws -> [TaskID] {
    let ids = try await fixture.submit(count)
    try fixture.lose(.suspect)
    return ids
  }

  private func tokens(_ fixture: LossFixture, alone: Bool) throws -> Int64? {
    let keys = fixture.store.store.keys
    return try fixture.store.command("LLEN", alone ? keys.aloneWake(fixture.type) : keys.wake(fixture.type))
      .integerValue
  }

  @Test("Who takes other tasks neither wakes for them nor hears of them; who takes them hears of those alone")
  func wakes() async throws {
    let fixture = try LossFixture()
    let ids = try await suspects(3, fixture)
    let keys = fixture.store.store.keys
    try fixture.store.command("DEL", keys.wake("work"))
    #expect(try tokens(fixture, alone: true) == 1)
    let session = try fixture.store.session()
    let nothing = try session.take(1, from: .tasks)
    #expect(nothing.tasks.isEmpty && !nothing.hasMore)
    try fixture.store.command("DEL", keys.aloneWake("work"))
    let first = try session.take(2, count: 1, from: .alone)
    #expect(first.tasks.map(\.id) == [ids[0]] && first.hasMore)
    #expect(try tokens(fixture, alone: true) == 1, "more is left")
    try fixture.store.command("DEL", keys.aloneWake("work"))
    #expect(try fixture.beat().alone == ["work": 2])
    #expect(try tokens(fixture, alone: true) == 1, "the heartbeat looks after lost tokens")
    #expect(try tokens(fixture, alone: false) == 0)
    try fixture.store.command("DEL", keys.aloneWake("work"))
    _ = try await fixture.submit(1)
    let rest = try session.take(3, from: .alone)
    #expect(rest.tasks.map(\.id) == [ids[1], ids[2]] && !rest.hasMore)
    #expect(try tokens(fixture, alone: true) == 0)
    #expect(try fixture.beat().alone == [:])
    // One that is given back waits behind the others.
    _ = try session.write(rest.tasks.map { $0.write(.givenBack) }, emptied: [3])
    _ = try session.write([first.tasks[0].write(.givenBack)], emptied: [2])
    #expect(try session.take(4, from: .alone).tasks.map(\.id) == [ids[1], ids[2], ids[0]])
    try fixture.check()
  }

  @Test("They are taken whatever their priority, and others keep theirs")
  func priorities() async throws {
    let fixture = try LossFixture()
    for priority in [TaskPriority.high, .low] { _ = try await fixture.store.submit { $0.priority = priority } }
    try fixture.lose(.suspect)
    let low = try await fixture.store.submit { $0.priority = .low }
    let session = try fixture.store.session()
    #expect(try session.take(1, from: .alone).tasks.count == 2)
    #expect(try session.take(2).map(\.id) == [low])
    try fixture.check()
  }

  @Test("Nothing of a paused type is taken, and resuming wakes")
  func paused() async throws {
    let fixture = try LossFixture()
    let ids = try await suspects(1, fixture)
    try await fixture.store.store.setPaused("work", true)
    try fixture.store.command("DEL", fixture.store.store.keys.aloneWake("work"))
    #expect(try fixture.worker(from: .alone).tasks.isEmpty)
    try fixture.beat()
    #expect(try tokens(fixture, alone: true) == 0)
    try await fixture.store.store.setPaused("work", false)
    #expect(try tokens(fixture, alone: true) == 1)
    #expect(try fixture.worker(from: .alone).tasks.map(\.id) == ids)
  }

  @Test("One that expires before it starts is FAILED(expired)", arguments: [true, false])
  func expires(isTaken: Bool) async throws {
    let fixture = try LossFixture()
    let id = try await fixture.store.submit { $0.expires = .after(.milliseconds(600)) }
    try fixture.lose(.suspect)
    let expires = try #require(try await fixture.store.store.record(id)).createdAt.millis + 600
    try eventually("it has expired") { try fixture.store.now().millis > expires }
    if isTaken {
      let (session, tasks) = try fixture.worker(from: .alone)
      #expect(try session.write(tasks.map { $0.write(.expired) }, emptied: [1]) == [.written])
    } else {
      try fixture.beat()
    }
    #expect(try await fixture.record(id).errorText.contains("expired"))
    try fixture.check()
  }

  /// How an attempt ends that took no worker down.
  enum End: CaseIterable { case retried, timedOut, overdue, detached }

  @Test(
    "Once an attempt has ended otherwise than by a crash, the task runs among others again", arguments: End.allCases)
  func cleared(end: End) async throws {
    let fixture = try LossFixture(StoreFixture.patient)
    let id = try await suspects(1, fixture)[0]
    let (session, tasks) = try fixture.worker(from: .alone, runs: true)
    #expect(try fixture.stored(id).has(.alone))
    switch end {
    case .retried: _ = try session.write([tasks[0].write(.retry(.broken, at: past))], emptied: [1])
    case .timedOut:
      try fixture.housekeeping.reap(session.worker, WorkerLoss(findings: [.init(tasks[0], .failed(.late))]))
    case .overdue: _ = try session.write([.overdue, .givenBack].map { tasks[0].write($0) }, emptied: [1])
    case .detached: _ = try session.write([tasks[0].write(.detached(deadline: past))], emptied: [1])
    }
    #expect(try !fixture.stored(id).has(.alone))
    try fixture.beat()
    try fixture.check()
    if end != .detached { #expect(try fixture.worker().tasks.map(\.id) == [id]) }
  }

  @Test("Giving it back, and losing its worker again, leaves it alone")
  func staysAlone() async throws {
    let fixture = try LossFixture()
    let id = try await suspects(1, fixture)[0]
    let (session, tasks) = try fixture.worker(from: .alone)
    _ = try session.write([tasks[0].write(.givenBack)], emptied: [1])
    try fixture.lose(nil, from: .alone, runs: true)
    #expect(try fixture.worker(from: .alone).tasks.map(\.id) == [id])
  }

  @Test("One that is completed by its worker has its result and no error")
  func completed() async throws {
    let fixture = try LossFixture()
    let id = try await fixture.submit(1)[0]
    try fixture.lose(.crashed(.crash))
    let (session, tasks) = try fixture.worker(from: .alone)
    #expect(try session.write([tasks[0].write(.completed(result: .one))], emptied: [1]) == [.written])
    let record = try await fixture.record(id)
    #expect(record.status == .completed && record.result == .one && record.error == nil && record.crashes == 1)
    try fixture.check()
  }

  @Test("A manual retry starts anew: no crashes, no lost leases, no verdict, and not alone")
  func manualRetry() async throws {
    let fixture = try LossFixture()
    let id = try await fixture.submit(1)[0]
    try fixture.lose(nil, runs: true)
    try fixture.lose(.crashed(.crash))
    let (session, tasks) = try fixture.worker(from: .alone, runs: true)
    _ = try session.write([tasks[0].write(.overdue)])
    try fixture.housekeeping.reap(session.worker, WorkerLoss(findings: [.init(tasks[0], .crashed(.crash))]))
    var record = try fixture.stored(id)
    #expect(record.state == .failed && record.crashes == 2 && record.lostLeases == 1 && record.verdict == tasks[0].take)
    try await fixture.store.store.retry(id)
    record = try fixture.stored(id)
    #expect(record.state == .pending && record.crashes == 0 && record.lostLeases == 0 && record.verdict == 0)
    #expect(!record.has(.alone) && record.outcome.isEmpty && record.attempts == 0)
    #expect(try fixture.worker(from: .alone).tasks.isEmpty)
    #expect(try fixture.worker().tasks.map(\.id) == [id])
    try fixture.check()
  }

  @Test("A list shows each once, also one that left entries in other queues")
  func listed() async throws {
    let fixture = try LossFixture()
    let ids = try await fixture.submit(8)
    // Cancelled and retried, it stands in its queue twice when it is taken.
    _ = try await fixture.store.store.cancel(ids[0])
    try await fixture.store.store.retry(ids[0])
    let (session, tasks) = try fixture.worker(count: 6)
    try fixture.housekeeping.reap(session.worker, WorkerLoss(findings: tasks.map { .init($0, .suspect) }))
    #expect(try fixture.store.keyspace().places["q"]?.filter { $0 == ids[0] }.count == 1)
    // This one stands where those wait that run alone, and does not any more.
    _ = try await fixture.store.store.cancel(ids[1])
    try await fixture.store.store.retry(ids[1])
    try fixture.check()
    for limit in [1, 2, 3, 50] {
      var query = TaskQuery()
      (query.limit, query.status) = (limit, .pending)
      var seen: [TaskID] = []
      repeat {
        let page = try #require(try await fixture.store.store.page(query))
        seen += page.records.map(\.id)
        query.cursor = page.cursor
      } while query.cursor != nil && seen.count < 100
      #expect(seen.count == 8 && Set(seen) == Set(ids), "limit \(limit)")
    }
    // Each is taken from its own queue, once.
    let alone = try fixture.worker(from: .alone).tasks.map(\.id)
    let others = try fixture.worker().tasks.map(\.id)
    #expect(Set(alone) == Set([ids[0]] + ids[2...5]) && alone.count == 5)
    #expect(Set(others) == [ids[1], ids[6], ids[7]] && others.count == 3)
  }

  @Test("Cancelled ones do not pile up where nobody takes")
  func ghosts() async throws {
    let fixture = try LossFixture()
    let ids = try await suspects(100, fixture)
    for id in ids.reversed() { _ = try await fixture.store.store.cancel(id) }
    #expect(try fixture.store.keyspace().places["sq"] == nil, "the newest entry goes with its task")
    for _ in 0..<3 { _ = try await suspects(100, fixture) }
    let waiting = try fixture.store.keyspace().places["sq"] ?? []
    #expect(waiting.count == 300)
    for id in waiting.dropLast(10) { _ = try await fixture.store.store.cancel(id) }
    #expect(try fixture.store.keyspace().places["sq"]?.count == 300)
    try fixture.beat()
    try fixture.beat()
    #expect(try fixture.store.keyspace().places["sq"].map { $0.count < 50 } ?? false)
    var query = TaskQuery()
    query.status = .pending
    #expect(try await fixture.store.store.page(query)?.records.map(\.id) == waiting.suffix(10).reversed())
    #expect(try fixture.worker(from: .alone).tasks.map(\.id) == waiting.suffix(10))
  }

  @Test("While the clock is not trusted nothing expires and no deadline passes, but what is due moves")
  func untrustedClock() async throws {
    let fixture = try LossFixture(StoreFixture.patient)
    let ids = try await fixture.submit(3)
    let (session, tasks) = try fixture.worker()
    let operations: [TaskWrite.Operation] = [
      .detached(deadline: past), .retry(.broken, at: past), .completed(result: .one),
    ]
    _ = try session.write(
      zip(tasks, operations).map { $0.write($1, callsHandler: $0.id == ids[2]) })
    _ = try session.write([tasks[2].write(.handlerAgain("no", at: past))], emptied: [1])
    let expiring = try await fixture.store.submit(type: "patient") { $0.expires = .at(past) }
    let report = try fixture.beat(isClockTrusted: false)
    #expect(report.nextDue == nil && !report.hasMore)
    #expect(try fixture.stored(ids[0]).state == .detached && fixture.stored(expiring).state == .pending)
    #expect(try fixture.stored(ids[1]).state == .pending)
    #expect(try fixture.store.keyspace().places["hq"] == [ids[2]])
    try fixture.beat()
    #expect(try fixture.stored(ids[0]).state == .failed && fixture.stored(expiring).state == .failed)
    try fixture.check()
  }
}
