// SPDX-License-Identifier: Apache-2.0
internal import Logging
internal import Redis
internal import TaskModel
internal import TaskStore
internal import Threading

/// The one owner of a worker's connection for tasks.
///
/// Duties: 1. send the writes that have gathered and take what free threads can use, in one go; 2. hand what was taken to
/// the pools; 3. after a broken connection make a new one, let Redis compare what it thinks this worker has, and repeat
/// the writes that were not answered. There is no timer: while one round is under way the next one gathers.
final class TakeLoop: Sendable {
  private let core: WorkerCore
  private let connect: @Sendable (_ epoch: Int64) throws -> WorkerSession
  private let origins: [TaskRecord.Origin]
  private let leaseLost: @Sendable () -> Void

  /// `leaseLost` is called once when Redis says that this worker has no lease.
  init(
    core: WorkerCore, origins: [TaskRecord.Origin],
    connect: @escaping @Sendable (_ epoch: Int64) throws -> WorkerSession,
    leaseLost: @escaping @Sendable () -> Void
  ) {
    self.core = core
    self.origins = origins
    self.connect = connect
    self.leaseLost = leaseLost
  }

  private struct Round {
    var writes: [WorkerCore.Queued] = []
    var takes: [WorkerSession.Take] = []
    /// Batches that turned out to be empty after the call that ended their last task.
    var emptied: [Int64] = []
    /// The listener's connection, and the number of its wait that is to be broken off.
    var unblocks: (client: Int64, wait: Int)?
  }

  /// Serves until the core ends; for a thread of its own.
  ///
  /// `session` has said hello already.
  func run(_ first: WorkerSession) {
    var session = first
    var epoch: Int64 = 1
    var unanswered: [WorkerCore.Queued] = []
    // Told once, also when the connection comes and goes.
    var isOutage = false
    var backoff = Backoff(initial: .milliseconds(20), limit: .milliseconds(500))
    while true {
      do {
        while var round = gather(unanswered) {
          unanswered = round.writes
          let (answers, taken) = try exchange(session, &round)
          settle(round.writes, answers)
          // From here on a broken connection must not repeat them.
          unanswered = []
          for (take, answer) in zip(round.takes, taken) { try hand(answer, of: take, session) }
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
      }
      core.batches.gaveUp()
      repeat {
        if core.state.wait(until: MonotonicClock.now + backoff.next(), { $0.isOver ? true : nil }) != nil { return }
        epoch += 1
        do {
          session = try connect(epoch)
          let standing = core.batches.standing
          _ = try session.hello(lastBatch: standing.last, held: standing.held, origins: origins)
          core.state.withLock { state in
            let names = Set(core.pools.map(\.type.name))
            (state.maybe, state.maybeHandlers) = (names, names)
          }
          break
        } catch is WorkerSession.LeaseLost {
          return leaseLost()
        } catch {
          Log.debug("\(error)")
        }
      } while true
    }
  }

  /// Waits until there is something to send; nil at the end.
  private func gather(_ unanswered: [WorkerCore.Queued]) -> Round? {
    core.state.wait { [core] state -> Round?? in
      if state.isOver { return .some(nil) }
      var round = Round(writes: unanswered)
      if unanswered.isEmpty { round.writes = Self.next(&state.writes) }
      round.emptied = state.emptied
      state.emptied = []
      if !state.isDraining {
        // A type that has run dry is not among those that the listener waits for: it must begin anew.
        if let listening = state.listening, let id = state.listenerID, state.brokenOff != state.listenNumber,
          !listening.isSuperset(of: core.quiet(state))
        {
          round.unblocks = (id, state.listenNumber)
        }
        for pool in core.pools {
          let name = pool.type.name
          let wanted = min(WorkerSession.callTasks, pool.wanted)
          if wanted > 0, state.maybe.contains(name) {
            round.takes.append(.init(type: name, handlers: false, batch: 0, count: wanted))
            // Not when the answer comes: a token may have come since, for what the answer does not know of.
            state.maybe.remove(name)
          }
          let calls = min(WorkerSession.callTasks, pool.handlers.wanted)
          if calls > 0, state.maybeHandlers.contains(name) {
            round.takes.append(.init(type: name, handlers: true, batch: 0, count: calls))
            state.maybeHandlers.remove(name)
          }
        }
      }
      if round.writes.isEmpty, round.takes.isEmpty, round.emptied.isEmpty, round.unblocks == nil { return nil }
      return .some(round)
    } ?? nil
  }

  /// The writes of the next call: at most one about each task, in their order, within the bounds of a call.
  private static func next(_ writes: inout [WorkerCore.Queued]) -> [WorkerCore.Queued] {
    var ids: Set<TaskID> = []
    var bytes = 0
    var count = 0
    for queued in writes.prefix(WorkerSession.callTasks) {
      bytes += queued.write.byteCount
      if count > 0, bytes > WorkerSession.callBytes || ids.contains(queued.write.id) { break }
      ids.insert(queued.write.id)
      count += 1
    }
    let chosen = Array(writes[..<count])
    writes.removeFirst(count)
    return chosen
  }

  private func exchange(
    _ session: WorkerSession, _ round: inout Round
  ) throws -> (answers: [WriteAnswer], taken: [WorkerSession.Taken]) {
    for index in round.takes.indices { round.takes[index].batch = core.batches.number() }
    var done: [Int64: Int] = [:]
    for queued in round.writes where queued.endsTask && !queued.write.callsHandler {
      done[queued.subject.batch, default: 0] += 1
    }
    let emptied = round.emptied + (done.isEmpty ? [] : core.batches.emptied(by: done))
    let (answers, taken, unblocked) = try session.exchange(
      writes: round.writes.map(\.write), emptied: emptied, takes: round.takes, unblock: round.unblocks?.client)
    // A wait that had not reached Redis yet was not broken off: it is tried again, or new tasks would not be heard of.
    if unblocked, let wait = round.unblocks?.wait { core.state.withLock { $0.brokenOff = wait } }
    return (answers, taken)
  }

  /// Gives the pools what was taken.
  ///
  /// When the connection breaks on the way, the batch is forgotten and so given back by the comparison that follows.
  private func hand(_ taken: WorkerSession.Taken, of take: WorkerSession.Take, _ session: WorkerSession) throws {
    core.state.withLock { state in
      if taken.left > 0 { state.maybe.insert(take.type) }
      if taken.handlersLeft > 0 { state.maybeHandlers.insert(take.type) }
    }
    guard let pool = core.pool(take.type), !taken.tasks.isEmpty else {
      return core.batches.answered(take.batch, count: 0)
    }
    if take.handlers {
      let calls = try handlerCalls(taken.tasks, take.batch, pool, session)
      core.batches.answered(take.batch, count: taken.tasks.count)
      pool.handlers.add(calls)
    } else {
      let bodies = try largeParams(taken.tasks, session)
      core.batches.answered(take.batch, count: taken.tasks.count)
      start(taken.tasks, bodies, take.batch, pool)
    }
  }

  private func settle(_ writes: [WorkerCore.Queued], _ answers: [WriteAnswer]) {
    for (queued, answer) in zip(writes, answers) {
      guard queued.endsTask else {
        if case .attempt(let attempt) = queued.subject { attempt.newsWasWritten() }
        continue
      }
      if case .handlerIsYours = answer, case .attempt(let attempt) = queued.subject {
        pool(of: attempt)?.handlers.add([attempt.handlerCall(after: queued.write)])
      } else if core.batches.settle(queued.subject.batch), queued.write.callsHandler {
        // Not counted as emptied beforehand, because a handler call was to be expected.
        core.state.withLock { $0.emptied.append(queued.subject.batch) }
      }
    }
  }

  private func pool(of attempt: Attempt) -> Pool? { core.pool(attempt.type.name) }

  /// Params that have keys of their own, one at a time: beside the largest nothing else is held in memory.
  private func largeParams(_ tasks: [TakenTask], _ session: WorkerSession) throws -> [TaskID: [UInt8]] {
    var bodies: [TaskID: [UInt8]] = [:]
    for task in tasks where task.record.hasParamsKey {
      bodies[task.id] = try session.bodies([session.keys.params(task.id)])[0]
    }
    return bodies
  }

  private func start(_ tasks: [TakenTask], _ bodies: [TaskID: [UInt8]], _ batch: Int64, _ pool: Pool) {
    var attempts: [Attempt] = []
    for task in tasks {
      let params = task.record.hasParamsKey ? bodies[task.id] : Array(task.record.params)
      let attempt = Attempt(task, params: params ?? [], batch: batch, type: pool.type, clock: core.clock)
      if params == nil {
        core.post(attempt.withoutParams(), attempt, endsTask: true)
      } else {
        attempts.append(attempt)
      }
    }
    if !attempts.isEmpty { core.start(attempts, in: pool) }
  }

  private func handlerCalls(
    _ tasks: [TakenTask], _ batch: Int64, _ pool: Pool, _ session: WorkerSession
  ) throws -> [HandlerCall] {
    try tasks.map { task in
      var record = TaskRecord(id: task.id, task.record)
      if task.record.hasParamsKey { record.params = try session.bodies([session.keys.params(task.id)])[0] ?? [] }
      if task.record.hasResultKey {
        record.result = try session.bodies([session.keys.result(task.id, name: task.record.resultName)])[0]
      }
      return HandlerCall(record, fence: task.record.fence, batch: batch, type: pool.type, clock: core.clock)
    }
  }
}
