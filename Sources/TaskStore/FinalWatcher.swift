// SPDX-License-Identifier: Apache-2.0
internal import Redis
package import TaskModel
internal import Threading
internal import Logging

/// Tells those who wait when their task is final; a wait holds no thread.
///
/// Duties: 1. ask Redis for a message about each task that somebody waits for (only those are announced), unless it was stored
/// with that wish; 2. hear the messages on a connection of its own; 3. ask again for all after a broken connection; 4. answer whose
/// time is over.
final class FinalWatcher: Sendable {
  private struct Waiter {
    let deadline: Int64
    let fire: @Sendable () -> Void
  }

  /// A task that is being stored.
  private struct Expectation {
    let waiter: Waiter
    /// Of the state when it was sent.
    let subscription: Int
    /// The message came before it was known to be stored.
    var isFinal = false
  }

  /// What is to be done when the lock is free.
  private struct Next {
    var fires = false
    /// The thread that looks at deadlines is to begin.
    var wakes = false
    var asks = false
  }

  private struct State {
    var waiters: [TaskID: [Waiter]] = [:]
    var count = 0
    var expected: [TaskID: Expectation] = [:]
    /// Rises whenever a connection begins or ends to listen: odd while one does.
    var subscription = 0
    /// Whether the thread that looks at deadlines waits for the first waiter.
    var isResting = false
    var isClosed = false
    var interrupter: RedisInterrupter?

    mutating func begin(_ waiter: Waiter, for id: TaskID, asks: Bool) -> Next {
      if isClosed { return Next(fires: true) }
      waiters[id, default: []].append(waiter)
      count += 1
      defer { isResting = false }
      return Next(wakes: isResting, asks: asks)
    }
  }

  private let address: RedisAddress
  private let keys: Keys
  private let link: StoreLink
  private let state = Monitor(State())
  private let threads = Monitor<[NativeThread]>([])

  init(address: RedisAddress, keys: Keys, link: StoreLink) {
    self.address = address
    self.keys = keys
    self.link = link
  }

  func start() {
    threads.withLock {
      $0 = [NativeThread(name: "final") { self.listen() }, NativeThread(name: "waits") { self.expire() }]
    }
  }

  func close() {
    let waiting = state.withLock { state in
      state.isClosed = true
      state.interrupter?.interrupt()
      defer { state.waiters = [:] }
      return state.waiters.values.flatMap { $0 }
    }
    state.broadcast()
    for waiter in waiting { waiter.fire() }
    threads.withLock { threads in
      for thread in threads { thread.join() }
      threads = []
    }
  }

  /// Calls `fire` once, when the task is final or gone, or when `deadline` (of the monotonic clock) has passed.
  func wait(for id: TaskID, until deadline: Int64, _ fire: @escaping @Sendable () -> Void) {
    let waiter = Waiter(deadline: deadline, fire: fire)
    carryOut(state.withLock { $0.begin(waiter, for: id, asks: true) }, waiter, id)
  }

  /// The same for a task that is about to be stored with the wish for a message; `wasStored` or `wasNotStored` must follow.
  ///
  /// `fire` is called if it was stored, and not before that is known.
  func expect(_ id: TaskID, until deadline: Int64, _ fire: @escaping @Sendable () -> Void) {
    let waiter = Waiter(deadline: deadline, fire: fire)
    state.withLock { $0.expected[id] = Expectation(waiter: waiter, subscription: $0.subscription) }
  }

  func wasNotStored(_ id: TaskID) { state.withLock { $0.expected[id] = nil } }

  func wasStored(_ id: TaskID) {
    let expected = state.withLock { state -> (Next, Waiter)? in
      guard let expectation = state.expected.removeValue(forKey: id) else { return nil }
      if expectation.isFinal { return (Next(fires: true), expectation.waiter) }
      // Nobody listened then, or has since stopped to for a moment: the message may have been missed.
      let isHeard = expectation.subscription % 2 == 1 && expectation.subscription == state.subscription
      return (state.begin(expectation.waiter, for: id, asks: !isHeard), expectation.waiter)
    }
    if let (next, waiter) = expected { carryOut(next, waiter, id) }
  }

  private func carryOut(_ next: Next, _ waiter: Waiter, _ id: TaskID) {
    if next.fires { waiter.fire() }
    if next.wakes { state.broadcast() }
    if next.asks { ask([id]) }
  }

  private func ask(_ ids: [TaskID]) {
    link.send(
      StoreLink.Request(
        commands: { [keys] connection in
          var call = connection.command(.watch, keyCount: ids.count, capacity: ids.count * 56 + 128)
          for id in ids { call.key { keys.appendRecord(id, to: &$0) } }
          return [call.command]
        },
        isRead: true, deadline: MonotonicClock.now + StoreLink.patience,
        complete: { [self] answer in
          switch answer {
          case .success(let replies):
            for (id, reply) in zip(ids, replies.first?.arrayValue ?? []) where reply == .integer(1) { fire(id) }
          // The caller reads the record next and is told that Redis is away.
          case .failure: for id in ids { fire(id) }
          }
        }))
  }

  private func fire(_ id: TaskID) {
    let waiting = state.withLock { state -> [Waiter] in
      state.expected[id]?.isFinal = true
      let waiting = state.waiters.removeValue(forKey: id) ?? []
      state.count -= waiting.count
      return waiting
    }
    for waiter in waiting { waiter.fire() }
  }

  // MARK: The two threads

  private func listen() {
    var backoff = Backoff(initial: .milliseconds(50), limit: .milliseconds(1000))
    while !state.withLock({ $0.isClosed }) {
      do throws(RedisError) {
        let connection = try RedisConnection(to: address, timeout: nil)
        let isClosed = state.withLock { state in
          state.interrupter = connection.interrupter
          return state.isClosed
        }
        if isClosed { return }
        _ = try connection.call(RedisCommand(words: "SUBSCRIBE", keys.finalChannel))
        backoff.reset()
        let waiting = state.withLock { state in
          state.subscription += 1
          return Array(state.waiters.keys)
        }
        for start in stride(from: 0, to: waiting.count, by: StoreLink.callTasks) {
          ask(Array(waiting[start..<min(waiting.count, start + StoreLink.callTasks)]))
        }
        while true {
          guard let message = try connection.reply().arrayValue, message.count == 3 else { continue }
          if let id = message[2].bulkValue.flatMap({ TaskID($0) }) { fire(id) }
        }
      } catch {
        Log.debug("not listening for finished tasks: \(error)")
      }
      state.withLock { if $0.subscription % 2 == 1 { $0.subscription += 1 } }
      _ = state.wait(until: MonotonicClock.now + backoff.next()) { $0.isClosed ? true : nil }
    }
  }

  /// Looks ten times a second, and only while somebody waits: waits are long, and a tenth of a second late is no harm.
  private func expire() {
    while true {
      let isOpen =
        state.wait { state -> Bool? in
          state.isResting = state.count == 0
          return state.isClosed ? false : state.isResting ? nil : true
        } ?? false
      guard isOpen else { return }
      _ = state.wait(until: MonotonicClock.now + 100_000_000) { $0.isClosed ? true : nil }
      let now = MonotonicClock.now
      let late = state.withLock { state in
        var late: [Waiter] = []
        for (id, waiters) in state.waiters where waiters.contains(where: { $0.deadline <= now }) {
          late += waiters.filter { $0.deadline <= now }
          let rest = waiters.filter { $0.deadline > now }
          state.waiters[id] = rest.isEmpty ? nil : rest
        }
        state.count -= late.count
        return late
      }
      for waiter in late { waiter.fire() }
    }
  }
}

extension TaskStore {
  /// Calls `complete` once, when the task is final or gone, or after `limit`; it runs on a thread of the store and must not block.
  package func awaitFinal(_ id: TaskID, within limit: Duration, _ complete: @escaping @Sendable () -> Void) {
    watcher.wait(for: id, until: MonotonicClock.now + limit.millis * 1_000_000, complete)
  }

  package func awaitFinal(_ id: TaskID, within limit: Duration) async {
    await withCheckedContinuation { continuation in
      awaitFinal(id, within: limit) { continuation.resume() }
    }
  }
}
