// SPDX-License-Identifier: Apache-2.0
internal import Logging
internal import Redis
internal import TaskModel
internal import TaskStore
internal import Threading

/// Waits for messages to this worker and for wake tokens of its queues (`WakeProtocol`); it costs nothing while none comes.
///
/// There is at most one token per queue, and one waiting worker gets it: waking all of them is what does not scale.
final class WakeListener: Sendable {
  private let core: WorkerCore
  private let address: RedisAddress
  /// The list with ids of tasks that are to be stopped.
  private let messages: String
  private let tokens: [WakeProtocol.Source: String]
  private let sources: [String: WakeProtocol.Source]

  /// Seconds after which a wait begins anew, so that a connection that died silently is noticed.
  static let wait = 30
  /// Nanoseconds that threads may be busy before it waits for messages alone: short tasks need not break that wait off.
  static let patience: Int64 = 20_000_000

  init(core: WorkerCore, address: RedisAddress, worker: String) {
    self.core = core
    self.address = address
    messages = core.keys.messages(to: worker)
    var tokens: [WakeProtocol.Source: String] = [:]
    for (index, pool) in core.pools.enumerated() {
      for queue in core.queues {
        tokens[WakeProtocol.Source(pool: index, queue: queue)] = core.keys.wake(pool.type.name, queue)
      }
    }
    self.tokens = tokens
    sources = Dictionary(uniqueKeysWithValues: tokens.map { ($1, $0) })
  }

  /// Listens until the core ends; for a thread of its own.
  func run() {
    var backoff = Backoff(initial: .milliseconds(50), limit: .milliseconds(1000))
    var lost: Int64?
    while !core.state.withLock({ $0.isOver }) {
      do throws(RedisError) {
        let connection = try RedisConnection(to: address, timeout: .seconds(Int64(Self.wait + 10)))
        // Redis may not know yet that the last connection is gone, and would give it the next message.
        if let lost { _ = try connection.call(RedisCommand(words: "CLIENT", "UNBLOCK", String(lost))) }
        let id = try connection.call(RedisCommand(words: "CLIENT", "ID")).integerValue ?? 0
        lost = id
        core.state.withLock { $0.wake.listenerConnected(id) }
        core.state.signal()
        backoff.reset()
        while let wanted = nextWait() {
          let reply = try connection.call(wanted)
          core.state.withLock { $0.wake.waitEnded() }
          if let pair = reply.arrayValue, pair.count == 2 { try heard(pair, connection) }
        }
        return
      } catch {
        Log.debug("not listening for new tasks: \(error)")
      }
      core.state.withLock { $0.wake.listenerDisconnected() }
      let end = MonotonicClock.now + backoff.next()
      _ = core.rounds.wait(until: end) { _ in MonotonicClock.now >= end ? true : nil }
    }
  }

  /// BLPOP of the messages and of those tokens that matter just now; nil at the end.
  private func nextWait() -> RedisCommand? {
    let end = MonotonicClock.now + Self.patience
    while true {
      let round = core.rounds.withLock { $0 }
      let patience = MonotonicClock.now < end
      let (isOver, sources) = core.state.withLock { [core] state in
        (state.isOver, state.isOver ? nil : state.wake.waitBegins(patience: patience, core.demand))
      }
      if isOver { return nil }
      if let sources {
        var command = RedisCommand(words: "BLPOP", messages)
        for source in sources { if let token = tokens[source] { command.add(token) } }
        command.add(Int64(Self.wait))
        return command
      }
      core.rounds.wait(until: end) { $0 == round ? nil : true }
    }
  }

  private func heard(_ pair: [RedisReply], _ connection: RedisConnection) throws(RedisError) {
    guard let key = pair[0].textValue, let source = sources[key] else {
      if let id = pair[1].textValue.flatMap({ TaskID($0) }) { core.cancel(id) }
      return
    }
    let round = core.rounds.withLock { $0 }
    if core.state.withLock({ [core] in $0.wake.tokenCame(source, core.demand) }) {
      core.state.signal()
      // Until the take that follows is over, this type would be missing from the wait, which then had to be broken off.
      core.rounds.wait { $0 == round ? nil : true }
    } else {
      try passOn(key, connection)
    }
  }

  /// No thread is free: another worker may have one.
  private func passOn(_ key: String, _ connection: RedisConnection) throws(RedisError) {
    if try connection.call(RedisCommand(words: "LLEN", key)) == .integer(0) {
      _ = try connection.call(RedisCommand(words: "RPUSH", key, "1"))
    }
  }
}

extension Keys {
  fileprivate func wake(_ type: String, _ queue: WorkerSession.Queue) -> String {
    switch queue {
    case .tasks: wake(type)
    case .handlers: handlerWake(type)
    case .alone: aloneWake(type)
    }
  }
}
