// SPDX-License-Identifier: Apache-2.0
internal import Logging
internal import Redis
internal import TaskModel
internal import TaskStore
internal import Threading

/// The one owner of a worker's connection for tasks.
///
/// Duties: 1. send the writes that have gathered and take what free threads can use, in one go; 2. hand what was taken to
/// the pools; 3. between two rounds, stop what is to be stopped; 4. after a broken connection make a new one, let Redis
/// compare what it thinks this worker has, and repeat the writes that were not answered. There is no timer: while one round
/// is under way the next one gathers.
final class TakeLoop: Sendable {
  private let core: WorkerCore
  private let connect: @Sendable (_ epoch: Int64) throws -> WorkerSession
  private let origins: [TaskRecord.Origin]
  private let comesDue: @Sendable (_ millis: Int64) -> Void
  private let leaseLost: @Sendable () -> Void

  /// Retries that are due sooner are told of; heartbeats find the others in time.
  private static let soonMillis: Int64 = 1000

  /// `comesDue` is called when a retry was written that is due in so many milliseconds, less than a second; `leaseLost` is called once when Redis says that this worker has no lease.
  init(
    core: WorkerCore, origins: [TaskRecord.Origin],
    connect: @escaping @Sendable (_ epoch: Int64) throws -> WorkerSession,
    comesDue: @escaping @Sendable (_ millis: Int64) -> Void, leaseLost: @escaping @Sendable () -> Void
  ) {
    self.core = core
    self.origins = origins
    self.connect = connect
    self.comesDue = comesDue
    self.leaseLost = leaseLost
  }

  private struct Round {
    var outbox = Outbox()
    /// Batches that turned out to be empty after the call that ended their last task.
    var emptied: [Int64] = []
    var cancels: [TaskID] = []
    var wake: WakeProtocol.Round
  }

  /// Serves until the core ends; for a thread of its own.
  ///
  /// `session` has said hello already.
  func run(_ first: WorkerSession) {
    var session = first
    var epoch: Int64 = 1
    var unanswered = Outbox()
    // Told once, also when the connection comes and goes.
    var isOutage = false
    var backoff = Backoff(initial: .milliseconds(20), limit: .milliseconds(500))
    while true {
      do {
        while let round = gather(unanswered) {
          unanswered = round.outbox
          if !round.cancels.isEmpty { core.stop(Set(round.cancels)) }
          if round.wake.checksCancels { try checkCancels(session) }
          let (takes, emptied, answers, taken) = try exchange(session, round)
          settle(round.outbox, answers, emptied)
          // From here on a broken connection must not repeat them.
          unanswered = Outbox()
          for (index, order) in round.wake.orders.enumerated() {
            try hand(taken[index], of: takes[index], order.source, session)
          }
          core.roundEnded()
          backoff.reset()
          if isOutage { Log.info("outcomes and tasks flow again") }
          isOutage = false
        }
        return
      } catch is WorkerSession.LeaseLost {
        return leaseLost()
      } catch {
        if !isOutage { Log.warning("\(error); outcomes wait until it is mended") }
        isOutage = true
        core.state.withLock { $0.isWriting = !unanswered.isEmpty }
      }
      core.batches.gaveUp()
      repeat {
        if core.state.wait(until: MonotonicClock.now + backoff.next(), { $0.isOver ? true : nil }) != nil { return }
        epoch += 1
        do {
          session = try connect(epoch)
          let standing = core.batches.standing
          _ = try session.hello(lastBatch: standing.last, held: standing.held, origins: origins)
          core.state.withLock { $0.wake.takerConnected() }
          break
        } catch is WorkerSession.LeaseLost {
          return leaseLost()
        } catch {
          Log.debug("\(error)")
        }
      } while true
    }
  }

  /// Waits until there is something to do; nil at the end.
  private func gather(_ unanswered: Outbox) -> Round? {
    core.state.wait { [core] state -> Round?? in
      if state.isOver { return .some(nil) }
      let outbox = unanswered.isEmpty ? state.outbox.next() : unanswered
      // With more left to write than the next call carries, nothing is taken on top of it: it is in memory and in flight.
      let isBehind = state.outbox.writes.count > WorkerSession.callTasks
      var round = Round(outbox: outbox, wake: state.wake.roundBegins(isBehind ? { _ in 0 } : core.demand))
      (round.emptied, state.emptied) = (state.emptied, [])
      (round.cancels, state.cancels) = (state.cancels, [])
      state.isWriting = !round.outbox.isEmpty
      let isIdle = round.outbox.isEmpty && round.emptied.isEmpty && round.cancels.isEmpty && round.wake.isEmpty
      return isIdle ? nil : .some(round)
    } ?? nil
  }

  /// Reads from the records which of the worker's tasks are to be stopped: a message may have been lost.
  private func checkCancels(_ session: WorkerSession) throws {
    let ids = core.pools.flatMap(\.ids)
    if !ids.isEmpty { core.stop(Set(try session.cancelsAsked(among: ids))) }
  }

  private func exchange(
    _ session: WorkerSession, _ round: Round
  ) throws -> (
    takes: [WorkerSession.Take], emptied: [Int64], answers: [WriteAnswer], taken: [WorkerSession.Taken]
  ) {
    let takes = round.wake.orders.map { order in
      WorkerSession.Take(
        type: core.pools[order.source.pool].type.name, queue: order.source.queue, batch: core.batches.number(),
        count: order.count)
    }
    var done = BatchLedger.Tally()
    for (index, about) in round.outbox.about.enumerated()
    where about.endsTask && !round.outbox.writes[index].callsHandler {
      done.add(about.batch)
    }
    let emptied = round.emptied + core.batches.emptied(by: done)
    let interruption = round.wake.interruption
    let (answers, taken, unblocked) = try session.exchange(
      writes: round.outbox.writes, emptied: emptied, takes: takes, unblock: interruption?.client)
    if let interruption {
      core.state.withLock { $0.wake.interrupted(interruption, wasWaiting: unblocked) }
    }
    return (takes, emptied, answers, taken)
  }

  /// Gives the pools what was taken.
  ///
  /// When the connection breaks on the way, the batch is forgotten and so given back by the comparison that follows.
  private func hand(
    _ taken: WorkerSession.Taken, of take: WorkerSession.Take, _ source: WakeProtocol.Source, _ session: WorkerSession
  ) throws {
    if taken.hasMore { core.state.withLock { $0.wake.leftSome(in: source) } }
    let pool = core.pools[source.pool]
    let isHandlers = source.queue == .handlers
    let (tasks, late) = isHandlers ? (taken.tasks, []) : split(taken.tasks)
    let bodies = try bodies(of: tasks, results: isHandlers, session)
    core.batches.answered(take.batch, count: taken.tasks.count)
    expire(late, take.batch, pool)
    if tasks.isEmpty { return }
    if isHandlers {
      let origins = try origins(of: tasks, pool, session)
      pool.handlers.add(handlerCalls(tasks, bodies, origins, take.batch, pool))
    } else {
      start(tasks, bodies, take.batch, pool)
    }
  }

  /// The params and results of tasks that have keys of their own, by key; a take brings about 1 MiB of them, or one task's.
  private func bodies(
    of tasks: [TakenTask], results: Bool, _ session: WorkerSession
  ) throws -> [String: [UInt8]] {
    var keys: [String] = []
    for task in tasks {
      if task.record.hasParamsKey { keys.append(session.keys.params(task.id)) }
      if results, task.record.hasResultKey {
        keys.append(session.keys.result(task.id, name: task.record.resultName))
      }
    }
    if keys.isEmpty { return [:] }
    return Dictionary(zip(keys, try session.bodies(keys)).compactMap { key, body in body.map { (key, $0) } }) { $1 }
  }

  /// `emptied` are the batches that Redis has been told are empty.
  private func settle(_ outbox: Outbox, _ answers: [WriteAnswer], _ emptied: [Int64]) {
    if let due = outbox.firstDue {
      let left = due.millis - core.clock.now.millis
      if left < Self.soonMillis { comesDue(left) }
    }
    var done = BatchLedger.Tally()
    for (index, answer) in zip(outbox.about.indices, answers) {
      guard outbox.about[index].endsTask else {
        if case .attempt(let attempt) = outbox.about[index].subject { attempt.newsWasWritten() }
        continue
      }
      if case .handlerIsYours = answer, case .attempt(let attempt) = outbox.about[index].subject {
        pool(of: attempt)?.handlers.add([attempt.handlerCall(after: outbox.writes[index])])
      } else {
        done.add(outbox.about[index].batch)
      }
    }
    // One with handler calls to be expected was not counted as emptied beforehand.
    let empty = core.batches.settle(done).filter { !emptied.contains($0) }
    if !empty.isEmpty { core.state.withLock { $0.emptied += empty } }
  }

  private func pool(of attempt: Attempt) -> Pool? { core.pool(attempt.type.name) }

  private func start(_ tasks: [TakenTask], _ bodies: [String: [UInt8]], _ batch: Int64, _ pool: Pool) {
    let now = MonotonicClock.now
    var attempts: [Attempt] = []
    attempts.reserveCapacity(tasks.count)
    for task in tasks {
      let params = task.record.hasParamsKey ? bodies[core.keys.params(task.id)]?[...] : task.record.params
      let attempt = Attempt(
        task, params: params ?? [], batch: batch, type: pool.type, clock: core.clock, takenAt: now)
      if params == nil {
        core.post(only: attempt.withoutParams(), attempt)
      } else {
        attempts.append(attempt)
      }
    }
    if !attempts.isEmpty { core.start(attempts, in: pool) }
  }

  /// Those that may start; the others were to be started before now, if Redis' clock is to be believed.
  private func split(_ tasks: [TakenTask]) -> (inTime: [TakenTask], late: [TakenTask]) {
    let now = core.clock.now
    guard tasks.contains(where: { $0.record.has(.expires) }), now <= core.clock.latestPlausible else {
      return (tasks, [])
    }
    func isLate(_ task: TakenTask) -> Bool {
      task.record.has(.expires) && task.record.extras.expiresMillis ?? .max <= now.millis
    }
    return (tasks.filter { !isLate($0) }, tasks.filter(isLate))
  }

  private func expire(_ tasks: [TakenTask], _ batch: Int64, _ pool: Pool) {
    for task in tasks {
      let attempt = Attempt(
        task, params: [], batch: batch, type: pool.type, clock: core.clock, takenAt: MonotonicClock.now)
      core.post(only: attempt.expiring(), attempt)
    }
  }

  /// Where the tasks of handler calls ran, which may have been elsewhere.
  private func origins(
    of tasks: [TakenTask], _ pool: Pool, _ session: WorkerSession
  ) throws -> [UInt32: TaskRecord.Origin] {
    try session.origins(Set(tasks.map(\.record.origin)).subtracting([pool.type.originNumber]))
  }

  private func handlerCalls(
    _ tasks: [TakenTask], _ bodies: [String: [UInt8]], _ origins: [UInt32: TaskRecord.Origin], _ batch: Int64,
    _ pool: Pool
  ) -> [HandlerCall] {
    tasks.map { task in
      let number = task.record.origin
      var record = TaskRecord(
        id: task.id, task.record, origin: origins[number] ?? (number == pool.type.originNumber ? pool.type.origin : nil)
      )
      if task.record.hasParamsKey { record.params = bodies[core.keys.params(task.id)] ?? [] }
      if task.record.hasResultKey {
        record.result = bodies[core.keys.result(task.id, name: task.record.resultName)]
      }
      return HandlerCall(record, fence: task.record.fence, batch: batch, type: pool.type, clock: core.clock)
    }
  }
}
