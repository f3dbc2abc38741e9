// SPDX-License-Identifier: Apache-2.0
internal import Logging
internal import Redis
internal import TaskModel
internal import TaskStore
internal import Threading

/// Waits for wake tokens of the types that have a free thread and an empty queue; it costs nothing while none comes.
///
/// There is at most one token per type, and one waiting worker gets it: waking all of them is what does not scale.
final class WakeListener: Sendable {
  private let core: WorkerCore
  private let address: RedisAddress
  /// Which type's queue, or handler queue, a key stands for.
  private let meaning: [String: (type: String, handlers: Bool)]

  /// Seconds after which a wait begins anew, so that a connection that died silently is noticed.
  static let wait = 30

  init(core: WorkerCore, address: RedisAddress) {
    self.core = core
    self.address = address
    var meaning: [String: (type: String, handlers: Bool)] = [:]
    for pool in core.pools {
      meaning[core.keys.wake(pool.type.name)] = (pool.type.name, false)
      meaning[core.keys.handlerWake(pool.type.name)] = (pool.type.name, true)
    }
    self.meaning = meaning
  }

  /// Listens until the core ends; for a thread of its own.
  func run() {
    var backoff = Backoff(initial: .milliseconds(50), limit: .milliseconds(1000))
    while !core.state.withLock({ $0.isOver }) {
      do throws(RedisError) {
        let connection = try RedisConnection(to: address, timeout: .seconds(Int64(Self.wait + 10)))
        let id = try connection.call(RedisCommand(words: "CLIENT", "ID")).integerValue
        core.state.withLock { $0.listenerID = id }
        backoff.reset()
        while let wanted = nextKeys() {
          var command = RedisCommand("BLPOP")
          for key in wanted { command.add(key) }
          command.add(Int64(Self.wait))
          let reply = try connection.call(command)
          core.state.withLock { $0.listening = nil }
          guard let key = reply.arrayValue?.first?.textValue, let (type, handlers) = meaning[key] else { continue }
          let round = core.rounds.withLock { $0 }
          if core.wake(type, handlers: handlers) {
            // Until the take that follows is over, this type would be missing from the wait, which then had to be broken off.
            core.rounds.wait { $0 == round ? nil : true }
          } else {
            try passOn(key, connection)
          }
        }
        return
      } catch {
        Log.debug("not listening for new tasks: \(error)")
      }
      core.state.withLock { state in
        state.listening = nil
        state.listenerID = nil
      }
      let end = MonotonicClock.now + backoff.next()
      _ = core.rounds.wait(until: end) { _ in MonotonicClock.now >= end ? true : nil }
    }
  }

  /// What to wait for, once there is something; nil at the end.
  private func nextKeys() -> Set<String>? {
    while true {
      let round = core.rounds.withLock { $0 }
      let keys = core.state.withLock { [core] state -> Set<String>? in
        if state.isOver || state.isDraining { return nil }
        let keys = core.quiet(state)
        if !keys.isEmpty {
          state.listening = keys
          state.listenNumber += 1
        }
        return keys
      }
      guard let keys else { return nil }
      if !keys.isEmpty { return keys }
      core.rounds.wait { $0 == round ? nil : true }
    }
  }

  /// No thread is free: another worker may have one.
  private func passOn(_ key: String, _ connection: RedisConnection) throws(RedisError) {
    if try connection.call(RedisCommand(words: "LLEN", key)) == .integer(0) {
      _ = try connection.call(RedisCommand(words: "RPUSH", key, "1"))
    }
  }
}
