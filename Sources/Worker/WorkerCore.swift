// SPDX-License-Identifier: Apache-2.0
internal import FlightBoard
internal import TaskModel
internal import TaskStore
internal import Threading
internal import WorkerControl

/// What the threads of a worker share: pools, writes that wait to be sent, and what is known of the queues.
final class WorkerCore: Sendable {
  struct State: Sendable {
    var outbox = Outbox()
    /// Batches without work left whose in-flight entry is still to be removed.
    var emptied: [Int64] = []
    var wake: WakeProtocol
    /// Tasks that somebody wants stopped.
    var cancels: [TaskID] = []
    /// Writes are under way, or wait for the next connection.
    var isWriting = false
    /// Nothing is sent any more.
    var isOver = false
  }

  let pools: [Pool]
  let lease: LeaseGuard
  let batches = BatchLedger()
  let clock: RedisClock
  let keys: Keys
  /// Only the take loop waits on it.
  let state: Monitor<State>
  /// Counts the rounds of the take loop; only the listener waits on it.
  let rounds = Monitor<UInt64>(0)
  /// Only the ticker waits on it.
  let ticking = Monitor(Ticking())
  let cancelThread = CancelThread()
  let overstayers = Overstayers()
  let recorder: FlightRecorder
  /// Which queues of its types it takes from.
  let queues: [WorkerSession.Queue]

  struct Ticking: Sendable {
    var isAsleep = false
    var isOver = false
  }

  /// `recorder` has the slots of the assignment that the types are from; a worker that `runsAlone` has one type of one thread.
  init(
    types: [LoadedType], lease: LeaseGuard, clock: RedisClock, keys: Keys, recorder: FlightRecorder,
    runsAlone: Bool = false
  ) {
    var slot = 0
    var pools: [Pool] = []
    for (index, type) in types.enumerated() {
      pools.append(Pool(type, index: index, firstSlot: slot))
      slot += type.definition.threads + type.definition.handlerThreads
    }
    self.pools = pools
    self.recorder = recorder
    queues = runsAlone ? [.alone] : [.tasks, .handlers]
    self.lease = lease
    self.clock = clock
    self.keys = keys
    state = Monitor(State(wake: WakeProtocol(pools: types.count, queues: queues)))
  }

  func pool(_ type: String) -> Pool? { pools.first { $0.type.name == type } }

  /// How many tasks or handler calls the free threads of a queue can use.
  func demand(_ source: WakeProtocol.Source) -> Int {
    let pool = pools[source.pool]
    return switch source.queue {
    case .tasks: min(WorkerSession.callTasks, pool.wanted)
    case .handlers: min(WorkerSession.callTasks, pool.handlers.wanted)
    // Also while the last one's handler is called: what takes the process down is to be known.
    case .alone: batches.openTasks == 0 ? 1 : 0
    }
  }

  func post(_ ending: Attempt.Ending, _ attempt: Attempt) {
    state.withLock { state in
      for write in ending.news { state.outbox.add(write, attempt, endsTask: false) }
      state.outbox.add(ending.write, attempt, endsTask: true)
    }
    state.signal()
  }

  /// What ends an attempt that did not start.
  func post(only write: TaskWrite, _ attempt: Attempt) {
    state.withLock { $0.outbox.add(write, attempt, endsTask: true) }
    state.signal()
  }

  func post(news: [TaskWrite], _ attempt: Attempt) {
    guard !news.isEmpty else { return }
    state.withLock { state in
      for write in news { state.outbox.add(write, attempt, endsTask: false) }
    }
    state.signal()
  }

  func post(_ write: TaskWrite, _ call: HandlerCall) {
    state.withLock { $0.outbox.add(write, call) }
    state.signal()
  }

  func giveBack(_ attempts: [Attempt], _ calls: [HandlerCall]) {
    guard !attempts.isEmpty || !calls.isEmpty else { return }
    state.withLock { state in
      for attempt in attempts { state.outbox.add(attempt.givingBack(), attempt, endsTask: true) }
      for call in calls { state.outbox.add(call.givingBack(), call) }
    }
    state.signal()
  }

  /// Somebody wants the task stopped: the take loop sees to it before its next round.
  func cancel(_ id: TaskID) {
    state.withLock { $0.cancels.append(id) }
    state.signal()
  }

  /// Drops those of the tasks that have not started and asks those that run to stop; ids of others are forgotten.
  ///
  /// For the take loop, between two rounds: whatever was taken when the cancel was asked for has been handed over then.
  func stop(_ ids: Set<TaskID>) {
    for pool in pools {
      let (removed, running) = pool.remove(ids)
      for attempt in removed { post(only: attempt.stopping(), attempt) }
      for attempt in running { attempt.requestStop(.cancel, cancelThread) }
    }
  }

  /// Asks everything that runs to stop, because the worker must go.
  func pressDrain() {
    for pool in pools {
      for attempt in pool.running { attempt.requestStop(.drain, cancelThread) }
      pool.handlers.requestStop()
    }
  }

  /// Hands a batch to its pool, and makes sure that the ticker looks.
  func start(_ attempts: [Attempt], in pool: Pool) {
    pool.add(attempts)
    let isAsleep = ticking.withLock { ticking in
      defer { ticking.isAsleep = false }
      return ticking.isAsleep
    }
    if isAsleep { ticking.signal() }
  }

  /// The take loop has finished a round: types may have run dry, or have free threads again.
  func roundEnded() {
    rounds.withLock { $0 &+= 1 }
    rounds.signal()
  }

  /// Takes nothing more, and gives back what has not started.
  func drain() {
    state.withLock { $0.wake.drainBegins() }
    state.signal()
    roundEnded()
    giveBackWaiting()
  }

  func giveBackWaiting() {
    giveBack(pools.flatMap { $0.removeWaiting() }, pools.flatMap { $0.handlers.removeWaiting() })
  }

  /// Whether nothing is under way and nothing waits to be written.
  var isIdle: Bool { batches.openTasks == 0 && isWritten }

  /// The same, but for what does not stop.
  var hasOnlyOverstayers: Bool {
    // In this order: one that ends in between counts as under way until its outcome is written.
    let open = batches.openTasks
    return open == overstayers.count && isWritten
  }

  /// Whether what has ended is written.
  var isWritten: Bool { state.withLock { $0.outbox.isEmpty && !$0.isWriting } }

  /// How long what runs needs to stop when it is asked to, at most.
  var neighboursNeed: Int64 {
    pools.filter { pool in pool.handlers.isBusy || pool.running.contains { !$0.overstays } }
      .map(\.type.definition.graceMillis).max() ?? 0
  }

  func end() {
    lease.end()
    state.withLock { $0.isOver = true }
    state.signal()
    roundEnded()
    ticking.withLock { $0.isOver = true }
    ticking.signal()
    for pool in pools { pool.end() }
  }
}
