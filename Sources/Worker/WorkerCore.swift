// SPDX-License-Identifier: Apache-2.0
internal import TaskModel
internal import TaskStore
internal import Threading

/// What the threads of a worker share: pools, writes that wait to be sent, and what is known of the queues.
final class WorkerCore: Sendable {
  /// A write that waits for its turn.
  struct Queued: Sendable {
    var write: TaskWrite
    /// The attempt or handler call that it is about.
    var subject: Subject
    /// Whether the attempt or handler call is over with it.
    var endsTask: Bool
  }

  enum Subject: Sendable {
    case attempt(Attempt)
    case handler(HandlerCall)

    var batch: Int64 {
      switch self {
      case .attempt(let attempt): attempt.batch
      case .handler(let call): call.batch
      }
    }
  }

  struct State: Sendable {
    var writes: [Queued] = []
    /// Batches without work left whose in-flight entry is still to be removed.
    var emptied: [Int64] = []
    /// Types whose queue, or handler queue, may have something to take.
    var maybe: Set<String> = []
    var maybeHandlers: Set<String> = []
    /// The keys that the listener waits for just now.
    var listening: Set<String>?
    var listenerID: Int64?
    /// Numbers the listener's waits; the last one that was broken off.
    var listenNumber = 0
    var brokenOff = 0
    var isDraining = false
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

  struct Ticking: Sendable {
    var isAsleep = false
    var isOver = false
  }

  init(types: [LoadedType], lease: LeaseGuard, clock: RedisClock, keys: Keys) {
    pools = types.map(Pool.init)
    self.lease = lease
    self.clock = clock
    self.keys = keys
    let names = Set(types.map(\.name))
    state = Monitor(State(maybe: names, maybeHandlers: names))
  }

  func pool(_ type: String) -> Pool? { pools.first { $0.type.name == type } }

  func post(_ write: TaskWrite, _ attempt: Attempt, endsTask: Bool) {
    state.withLock { $0.writes.append(Queued(write: write, subject: .attempt(attempt), endsTask: endsTask)) }
    state.signal()
  }

  func post(_ write: TaskWrite, _ call: HandlerCall) {
    state.withLock { $0.writes.append(Queued(write: write, subject: .handler(call), endsTask: true)) }
    state.signal()
  }

  func giveBack(_ attempts: [Attempt], _ calls: [HandlerCall]) {
    guard !attempts.isEmpty || !calls.isEmpty else { return }
    state.withLock { state in
      for attempt in attempts {
        state.writes.append(Queued(write: attempt.givingBack(), subject: .attempt(attempt), endsTask: true))
      }
      for call in calls {
        state.writes.append(Queued(write: call.givingBack(), subject: .handler(call), endsTask: true))
      }
    }
    state.signal()
  }

  /// A wake token of the type came.
  ///
  /// Returns false if no thread is free for it: somebody else should have the token.
  func wake(_ type: String, handlers: Bool) -> Bool {
    guard let pool = pool(type), handlers ? pool.handlers.wanted > 0 : pool.wanted > 0 else { return false }
    let accepted = state.withLock { state in
      if state.isDraining || state.isOver { return false }
      if handlers { state.maybeHandlers.insert(type) } else { state.maybe.insert(type) }
      return true
    }
    state.signal()
    return accepted
  }

  /// The keys of the wake tokens worth waiting for: a thread is free and nothing is known to be there.
  func quiet(_ state: State) -> Set<String> {
    var keys: Set<String> = []
    for pool in pools {
      let name = pool.type.name
      if pool.wanted > 0, !state.maybe.contains(name) { keys.insert(self.keys.wake(name)) }
      if pool.handlers.wanted > 0, !state.maybeHandlers.contains(name) { keys.insert(self.keys.handlerWake(name)) }
    }
    return keys
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
    state.withLock { $0.isDraining = true }
    state.signal()
    roundEnded()
    giveBackWaiting()
  }

  func giveBackWaiting() {
    giveBack(pools.flatMap { $0.removeWaiting() }, pools.flatMap { $0.handlers.removeWaiting() })
  }

  /// Whether nothing runs and nothing waits to be written.
  var isIdle: Bool {
    state.withLock { $0.writes.isEmpty } && batches.standing.held.isEmpty
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
