// SPDX-License-Identifier: Apache-2.0
import Redis
import TaskModel
import TaskStore
import TestSupport
import Testing

/// New tasks and a worker that takes them, again and again.
struct LossFixture {
  let store: StoreFixture
  let housekeeping: Housekeeping

  init(_ type: TypeDefinition = StoreFixture.type, _ more: (inout TypeDefinition) -> Void = { _ in }) throws {
    var type = type
    more(&type)
    store = try StoreFixture(types: [type])
    housekeeping = try store.housekeeping()
  }

  var type: String { store.types[0].name }

  func submit(_ count: Int) async throws -> [TaskID] {
    var ids: [TaskID] = []
    for _ in 0..<count { ids.append(try await store.submit(type: type)) }
    return ids
  }

  /// A new worker with what it took; `runs` marks all of it as running.
  func worker(
    from queue: WorkerSession.Queue = .tasks, runs: Bool = false, count: Int = 100
  ) throws -> (session: WorkerSession, tasks: [TakenTask]) {
    let session = try store.session()
    let tasks = try session.take(1, count: count, type: type, from: queue).tasks
    if runs { _ = try session.write(tasks.map { $0.write(.running(deadline: nil)) }) }
    return (session, tasks)
  }

  /// Takes what waits and loses the worker over it.
  func lose(
    _ verdict: WorkerLoss.Verdict?, from queue: WorkerSession.Queue = .tasks, runs: Bool = false, counts: Bool = true
  ) throws {
    let (session, tasks) = try worker(from: queue, runs: runs)
    try #require(!tasks.isEmpty)
    let findings = verdict.map { verdict in tasks.map { WorkerLoss.Finding($0, verdict) } } ?? []
    #expect(try housekeeping.reap(session.worker, WorkerLoss(findings: findings, counts: counts)))
    try check()
  }

  @discardableResult
  func beat(isClockTrusted: Bool = true) throws -> Housekeeping.Report {
    try store.nextMillisecond()
    return try housekeeping.beat(
      host: store.store.hostID, types: [type], workers: [],
      latest: isClockTrusted ? RedisClock.forever : Timestamp(millis: 1))
  }

  /// The record as Redis has it.
  func stored(_ id: TaskID) throws -> StoredRecord { try #require(try store.keyspace().records[id]) }

  func record(_ id: TaskID) async throws -> TaskRecord { try #require(try await store.store.record(id)) }

  func check() throws {
    let keyspace = try store.keyspace()
    #expect(keyspace.lost() == [])
    #expect(keyspace.differences() == [])
  }
}

extension TaskRecord {
  var errorText: String { String(decoding: error ?? [], as: UTF8.self) }
}

@Suite("What becomes of the tasks of a worker that was lost")
struct WorkerLossTests {
  private let past = Timestamp(millis: 1000)

  @Test(
    "A task that took its worker down waits to run alone, with its error and at no attempt", arguments: [false, true])
  func firstCrash(runs: Bool) async throws {
    let fixture = try LossFixture()
    let id = try await fixture.submit(1)[0]
    try fixture.lose(.crashed(.crash), runs: runs)
    let record = try await fixture.record(id)
    #expect(record.status == .pending && record.attempts == 0 && record.crashes == 1)
    #expect(record.error == TaskError.crash.json)
    #expect(try fixture.stored(id).has(.alone))
    #expect(try fixture.worker().tasks.isEmpty)
    #expect(try fixture.worker(from: .alone).tasks.map(\.id) == [id])
  }

  @Test("At its type's maxCrashes it is FAILED(crash), and its exception handler is called", arguments: [false, true])
  func lastCrash(runs: Bool) async throws {
    let fixture = try LossFixture(StoreFixture.telling)
    let id = try await fixture.submit(1)[0]
    try fixture.lose(.crashed(.crash))
    let second = TaskError(kind: .crash, message: "again")
    try fixture.lose(.crashed(second), from: .alone, runs: runs)
    let record = try await fixture.record(id)
    #expect(record.status == .failed && record.attempts == 0 && record.crashes == 2)
    #expect(record.error == second.json && record.handler.phase == .pending)
    #expect(record.startedAt != nil)
    #expect(try fixture.worker(from: .handlers).tasks.map(\.id) == [id])
    #expect(try await fixture.store.store.retry(.failed(type: "telling", kind: .timeout)) == 0)
    #expect(try await fixture.store.store.delete(.failed(type: "telling", kind: .crash)) == 1)
  }

  @Test("With maxCrashes 1 the first crash is the last")
  func maxCrashesOne() async throws {
    let fixture = try LossFixture { $0.maxCrashes = 1 }
    let id = try await fixture.submit(1)[0]
    try fixture.lose(.crashed(.crash))
    let record = try await fixture.record(id)
    #expect(record.status == .failed && record.attempts == 0 && record.crashes == 1)
    #expect(record.handler.phase == .none)
  }

  @Test("A suspect runs alone at no attempt, and the others go on where they were")
  func suspects() async throws {
    let fixture = try LossFixture()
    let ids = try await fixture.submit(4)
    let (session, tasks) = try fixture.worker(runs: true)
    let findings = [WorkerLoss.Finding(tasks[1], .suspect), .init(tasks[2], .suspect)]
    try fixture.housekeeping.reap(session.worker, WorkerLoss(findings: findings, counts: false))
    try fixture.check()
    for id in ids {
      let record = try await fixture.record(id)
      #expect(record.status == .pending && record.attempts == 0 && record.crashes == 0 && record.error == nil)
    }
    let places = try fixture.store.keyspace().places
    #expect(places["q"] == [ids[0], ids[3]] && places["sq"] == [ids[1], ids[2]])
  }

  @Test("Thousands of findings come to tasks of many batches")
  func manyFindings() async throws {
    let fixture = try LossFixture()
    let store = fixture.store.store
    for _ in 0..<4 {
      try await withThrowingTaskGroup(of: Void.self) { group in
        for _ in 0..<500 { group.addTask { _ = try await store.submit(Submission(type: "work", params: .one)) } }
        try await group.waitForAll()
      }
    }
    let session = try fixture.store.session()
    var findings: [WorkerLoss.Finding] = []
    for batch in 1...8 {
      for task in try session.take(Int64(batch), count: 256) {
        let error = TaskError(kind: .crash, message: "crash \(findings.count % 7)")
        findings.append(.init(task, findings.count % 2 == 0 ? .suspect : .crashed(error)))
      }
    }
    #expect(findings.count == 2000)
    try fixture.housekeeping.reap(session.worker, WorkerLoss(findings: findings))
    try fixture.check()
    let keyspace = try fixture.store.keyspace()
    #expect(Set(keyspace.places["sq"] ?? []) == Set(findings.map(\.id)))
    for (number, finding) in findings.enumerated() {
      let record = try #require(keyspace.records[finding.id])
      let error = TaskError(kind: .crash, message: "crash \(number % 7)")
      #expect(record.crashes == number % 2)
      #expect(Array(record.outcome) == (number % 2 == 0 ? [] : error.json))
    }
  }

  @Test("A finding about another take, or a task of another worker, is ignored")
  func otherTake() async throws {
    let fixture = try LossFixture()
    let ids = try await fixture.submit(2)
    let (session, tasks) = try fixture.worker(count: 1)
    let (other, others) = try fixture.worker()
    let findings = [
      WorkerLoss.Finding(id: ids[0], take: tasks[0].take + 1, verdict: .crashed(.crash)),
      .init(others[0], .crashed(.crash)), .init(id: TaskID(high: 1, low: 2), take: 1, verdict: .suspect),
    ]
    try fixture.housekeeping.reap(session.worker, WorkerLoss(findings: findings))
    try fixture.check()
    #expect(try fixture.stored(ids[0]).state == .pending && fixture.stored(ids[0]).crashes == 0)
    #expect(try fixture.stored(ids[1]).state == .taken)
    // The first take of a task that the worker has for the second time.
    let again = try other.take(2, count: 1)
    try #require(again.map(\.id) == [ids[0]])
    _ = try other.write([again[0].write(.givenBack)])
    let third = try other.take(3, count: 1)
    try fixture.housekeeping.reap(other.worker, WorkerLoss(findings: [.init(again[0], .crashed(.crash))]))
    #expect(third.map(\.id) == [ids[0]])
    #expect(try fixture.stored(ids[0]).crashes == 0)
    #expect(try fixture.store.keyspace().places["q"]?.count == 2)
  }

  @Test("A cancel that was asked for wins over all that is known", arguments: [0, 1, 2, 3])
  func cancelWins(number: Int) async throws {
    let fixture = try LossFixture(StoreFixture.telling)
    let id = try await fixture.submit(1)[0]
    let (session, tasks) = try fixture.worker(runs: true)
    _ = try await fixture.store.store.cancel(id, within: .zero)
    if number == 3 { _ = try session.write([tasks[0].write(.overdue)]) }
    let verdict: WorkerLoss.Verdict? = [.crashed(.crash), .suspect, .failed(.late), nil][number]
    let findings = verdict.map { [WorkerLoss.Finding(tasks[0], $0)] } ?? []
    try fixture.housekeeping.reap(session.worker, WorkerLoss(findings: findings))
    try fixture.check()
    let record = try await fixture.record(id)
    #expect(record.status == .cancelled && record.crashes == 0 && record.handler.phase == .none)
  }

  // MARK: Attempts that failed

  @Test("An attempt that its host ended is retried as its type says, and then FAILED", arguments: [false, true])
  func failedAttempts(runs: Bool) async throws {
    let fixture = try LossFixture(StoreFixture.patient)
    let id = try await fixture.submit(1)[0]
    for attempt in 1...2 {
      try fixture.lose(.failed(.late), runs: runs)
      let record = try await fixture.record(id)
      #expect(record.status == .scheduled && record.attempts == attempt && record.error == TaskError.late.json)
      #expect(record.dueAt != nil && record.maxAttempts == 3)
      try fixture.beat()
    }
    try fixture.lose(.failed(.late), runs: runs)
    let record = try await fixture.record(id)
    #expect(record.status == .failed && record.attempts == 3 && record.handler.phase == .pending)
    #expect(try await fixture.store.store.delete(.failed(type: "patient", kind: .timeout)) == 1)
  }

  @Test("An attempt that failed for good is not retried")
  func notRetryable() async throws {
    let fixture = try LossFixture(StoreFixture.patient)
    let id = try await fixture.submit(1)[0]
    try fixture.lose(.failed(.greedy))
    let record = try await fixture.record(id)
    #expect(record.status == .failed && record.attempts == 1 && record.error == TaskError.greedy.json)
    #expect(try await fixture.store.store.delete(.failed(type: "patient", kind: .memory)) == 1)
  }

  @Test("Jitter spreads what failed together, within the type's backoff, which doubles up to its limit")
  func jitter() async throws {
    let fixture = try LossFixture {
      $0.retry = RetryPolicy(attempts: 9, backoff: .seconds(100), maxBackoff: .seconds(300))
    }
    let ids = try await fixture.submit(100)
    for (attempt, longest) in [(1, 100), (2, 200), (3, 300), (4, 300)] {
      let before = try fixture.store.now()
      try fixture.lose(.failed(.late))
      let after = try fixture.store.now()
      let records = try fixture.store.keyspace().records
      let waits = try ids.map { try #require(records[$0]?.dueAt).millis - before.millis }
      #expect(records.values.allSatisfy { $0.attempts == attempt })
      let slack = after.millis - before.millis
      #expect(waits.allSatisfy { $0 >= 1 && $0 <= Int64(longest) * 1000 + slack }, "\(waits)")
      #expect(Set(waits).count > 90)
      // Of a hundred some are in the first and some in the last third.
      #expect(waits.contains { $0 < Int64(longest) * 333 } && waits.contains { $0 > Int64(longest) * 667 })
      for id in ids { _ = try await fixture.store.store.cancel(id) }
      _ = try await fixture.store.store.retry(.tasks(ids))
      // Their attempts start anew: as many fail at once before the next round.
      for _ in 0..<attempt { try await failAtOnce(fixture, ids) }
    }
  }

  /// One more failed attempt of each, and all are due.
  private func failAtOnce(_ fixture: LossFixture, _ ids: [TaskID]) async throws {
    let (session, tasks) = try fixture.worker()
    _ = try session.write(tasks.map { $0.write(.retry(.broken, at: past)) }, emptied: [1])
    while try fixture.beat().hasMore {}
  }

  // MARK: Overdue

  /// How a worker's task comes to be moved on without its word.
  enum Mover: CaseIterable { case reap, hello, heartbeat, giveBack }

  private func move(_ fixture: LossFixture, _ session: WorkerSession, _ task: TakenTask, _ batch: Int64, _ mover: Mover)
    throws
  {
    switch mover {
    case .reap: try fixture.housekeeping.reap(session.worker)
    case .hello:
      let again = try WorkerSession(
        to: fixture.store.address, keys: fixture.store.store.keys, worker: session.worker, epoch: 100 + batch,
        clock: fixture.store.store.clock)
      _ = try again.hello(lastBatch: batch, held: [], origins: [])
    case .heartbeat:
      _ = try fixture.housekeeping.beat(
        host: fixture.store.store.hostID, types: [fixture.type],
        workers: [.init(worker: session.worker, lastBatch: batch, held: [])])
    case .giveBack: #expect(try session.write([task.write(.givenBack)], emptied: [batch]) == [.written])
    }
    try fixture.check()
  }

  @Test("Whoever moves an overdue task on ends its attempt as timed out", arguments: Mover.allCases, [false, true])
  func overdue(mover: Mover, runs: Bool) async throws {
    let fixture = try LossFixture(StoreFixture.patient)
    let id = try await fixture.submit(1)[0]
    let (session, tasks) = try fixture.worker(runs: runs)
    for _ in 0..<2 { #expect(try session.write([tasks[0].write(.overdue)], emptied: [1]) == [.written]) }
    #expect(try fixture.stored(id).state == (runs ? .running : .taken), "nothing moves")
    #expect(try fixture.stored(id).verdict == tasks[0].take)
    try fixture.check()
    try move(fixture, session, tasks[0], 1, mover)
    let record = try await fixture.record(id)
    #expect(record.status == .scheduled && record.attempts == 1)
    #expect(
      record.errorText.contains(#""kind":"timeout""#) && record.errorText.contains("did not stop within its grace"))
  }

  @Test("A verdict of an older take means nothing to a later one", arguments: Mover.allCases)
  func oldVerdict(mover: Mover) async throws {
    let fixture = try LossFixture(StoreFixture.patient)
    let id = try await fixture.submit(1)[0]
    let (first, old) = try fixture.worker()
    _ = try first.write([old[0].write(.overdue)])
    _ = try first.write([old[0].write(.givenBack)], emptied: [1])
    try fixture.beat()
    let (session, tasks) = try fixture.worker()
    try #require(tasks.map(\.id) == [id])
    #expect(try first.write([old[0].write(.overdue)]) == [.refused])
    try move(fixture, session, tasks[0], 1, mover)
    let record = try await fixture.record(id)
    #expect(record.status == .pending && record.attempts == 1)
  }

  @Test("An overdue task that completes after all is completed")
  func completesAfterAll() async throws {
    let fixture = try LossFixture()
    let ids = try await fixture.submit(2)
    let (session, tasks) = try fixture.worker()
    _ = try session.write([tasks[0].write(.running(deadline: nil))])
    _ = try session.write(tasks.map { $0.write(.overdue) })
    #expect(try session.write(tasks.map { $0.write(.completed(result: .one)) }, emptied: [1]) == [.written, .written])
    try fixture.check()
    for id in ids { #expect(try await fixture.record(id).status == .completed) }
    #expect(try session.write([tasks[0].write(.overdue)]) == [.refused])
    #expect(try fixture.store.keyspace().flightCount == 0)
  }

  // MARK: Lost leases

  @Test("A task whose worker is lost five times while it runs is FAILED(crash)")
  func fiveLeases() async throws {
    let fixture = try LossFixture(StoreFixture.telling)
    let id = try await fixture.submit(1)[0]
    for number in 1...4 {
      try fixture.lose(nil, runs: true)
      try fixture.lose(nil, runs: true, counts: false)
      try fixture.lose(nil)
      let record = try fixture.stored(id)
      #expect(record.state == .pending && record.lostLeases == number && record.attempts == 0)
    }
    try fixture.lose(nil, runs: true)
    let record = try await fixture.record(id)
    #expect(record.status == .failed && record.attempts == 0 && record.handler.phase == .pending)
    #expect(record.errorText.contains("its worker was lost five times while it ran"))
    #expect(try await fixture.store.store.delete(.failed(type: "telling", kind: .crash)) == 1)
  }

  // MARK: Handler calls

  /// A completed task whose callback a worker is about to make.
  private func handlerCall(_ fixture: LossFixture) async throws -> TaskID {
    let id = try await fixture.submit(1)[0]
    let (session, tasks) = try fixture.worker()
    _ = try session.write([tasks[0].write(.completed(result: .one), callsHandler: true)])
    _ = try session.write([tasks[0].write(.givenBack)], emptied: [1])
    return id
  }

  @Test("A handler call that took its worker down, or may have, is a spent try", arguments: [true, false])
  func handlerCrash(isCulprit: Bool) async throws {
    let fixture = try LossFixture(StoreFixture.patient)
    let id = try await handlerCall(fixture)
    let verdict = isCulprit ? WorkerLoss.Verdict.crashed(.crash) : .suspect
    let message = isCulprit ? "ended by SIGSEGV" : "it may have been the one that took its worker down"
    try fixture.lose(verdict, from: .handlers)
    var record = try await fixture.record(id)
    #expect(record.status == .completed && record.result == .one && record.crashes == 0)
    #expect(record.handler == .init(phase: .pending, attempts: 1, lastError: message))
    #expect(try fixture.worker(from: .handlers).tasks.isEmpty, "it waits")
    try fixture.beat()
    try fixture.lose(verdict, from: .handlers)
    record = try await fixture.record(id)
    #expect(record.handler == .init(phase: .failed, attempts: 2, lastError: message), "all tries are spent")
    #expect(try await fixture.store.store.callHandler(id) == .completed)
    #expect(try fixture.worker(from: .handlers).tasks.map(\.id) == [id])
  }

  @Test("A handler call that nothing is known of is given back at no try", arguments: [true, false])
  func handlerGivenBack(isFailed: Bool) async throws {
    let fixture = try LossFixture(StoreFixture.patient)
    let id = try await handlerCall(fixture)
    for _ in 0..<6 { try fixture.lose(isFailed ? .failed(.late) : nil, from: .handlers) }
    #expect(try await fixture.record(id).handler == .init(phase: .pending, attempts: 0, lastError: nil))
    #expect(try fixture.worker(from: .handlers).tasks.map(\.id) == [id])
  }
}
