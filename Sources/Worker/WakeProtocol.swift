// SPDX-License-Identifier: Apache-2.0
internal import TaskStore

/// What a worker knows of the queues it takes from, and what its listener waits for; it decides, others act.
///
/// The take loop takes from queues that may have something. The listener waits for wake tokens of those that have a free
/// thread and are known to be empty, because a token that a busy worker gets is missing elsewhere. When a queue runs dry, or
/// gets a free thread, while the listener already waits for others, that wait is broken off by CLIENT UNBLOCK and begins anew.
struct WakeProtocol: Sendable {
  /// A place that tasks come from: one of a type's queues.
  struct Source: Hashable, Sendable {
    /// The type's place among the pools.
    var pool: Int
    var queue: WorkerSession.Queue
  }

  /// How many tasks or handler calls a queue's threads can use now.
  typealias Demand = (Source) -> Int

  struct Order: Equatable {
    var source: Source
    var count: Int
  }

  /// A wait that is to end, and the connection it is on (its CLIENT ID).
  struct Interruption: Equatable {
    var client: Int64
    var wait: Int
  }

  /// What the take loop is to do.
  struct Round: Equatable {
    var orders: [Order] = []
    var interruption: Interruption?
    /// Whether to read again which of the worker's tasks are to be stopped.
    var checksCancels = false

    var isEmpty: Bool { orders.isEmpty && interruption == nil && !checksCancels }
  }

  private struct Wait {
    var number: Int
    var sources: Set<Source>
    var isBrokenOff = false
  }

  private let sources: [Source]
  private var maybe: Set<Source>
  /// The listener's connection.
  private var client: Int64?
  /// Set from when the listener decides to wait; Redis hears of it a little later.
  private var wait: Wait?
  private var lastWait = 0
  private var owesCheck = false
  private var isDraining = false

  /// Of each type the same queues are taken from.
  init(pools: Int, queues: [WorkerSession.Queue]) {
    sources = (0..<pools).flatMap { pool in queues.map { Source(pool: pool, queue: $0) } }
    maybe = Set(sources)
  }

  // MARK: Events of the take loop

  /// A round may begin.
  mutating func roundBegins(_ demand: Demand) -> Round {
    var round = Round(checksCancels: owesCheck)
    owesCheck = false
    if isDraining { return round }
    if let client, let wait, !wait.isBrokenOff, !quiet(demand).isSubset(of: wait.sources) {
      round.interruption = Interruption(client: client, wait: wait.number)
    }
    for source in sources where maybe.contains(source) {
      let count = demand(source)
      guard count > 0 else { continue }
      round.orders.append(Order(source: source, count: count))
      // Not when the answer comes: a token may have come since, for what the answer does not know of.
      maybe.remove(source)
    }
    return round
  }

  /// A take left something in the queue.
  mutating func leftSome(in source: Source) { maybe.insert(source) }

  /// CLIENT UNBLOCK was answered.
  ///
  /// A wait that had not reached Redis yet was not broken off: it is tried again, or new tasks would not be heard of.
  mutating func interrupted(_ interruption: Interruption, wasWaiting: Bool) {
    if wasWaiting, wait?.number == interruption.wait { wait?.isBrokenOff = true }
  }

  /// The take loop has a new connection; what the old one was told is forgotten.
  mutating func takerConnected() {
    maybe = Set(sources)
    owesCheck = true
  }

  // MARK: Events of the listener

  /// A message that the last connection was given may be lost.
  mutating func listenerConnected(_ client: Int64) {
    self.client = client
    owesCheck = true
  }

  mutating func listenerDisconnected() {
    client = nil
    wait = nil
  }

  /// What to wait for beside messages; nil when that is nothing and there is `patience` for it to change.
  mutating func waitBegins(patience: Bool, _ demand: Demand) -> Set<Source>? {
    let quiet = isDraining ? [] : quiet(demand)
    if quiet.isEmpty, patience { return nil }
    lastWait += 1
    wait = Wait(number: lastWait, sources: quiet)
    return quiet
  }

  mutating func waitEnded() { wait = nil }

  /// A wake token came; false if no thread is free for it, so that somebody else should have it.
  mutating func tokenCame(_ source: Source, _ demand: Demand) -> Bool {
    guard !isDraining, demand(source) > 0 else { return false }
    maybe.insert(source)
    return true
  }

  /// Nothing more is taken.
  mutating func drainBegins() { isDraining = true }

  /// Where a thread is free and nothing is known to be.
  private func quiet(_ demand: Demand) -> Set<Source> {
    Set(sources.filter { !maybe.contains($0) && demand($0) > 0 })
  }
}
