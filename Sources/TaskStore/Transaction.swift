// SPDX-License-Identifier: Apache-2.0
internal import Redis

/// Commands that Redis does all at once, or not at all.
struct Transaction {
  enum Outcome {
    /// What each command was answered. One may have failed all the same: Redis goes on then.
    case done([RedisReply])
    /// A key that the connection watches has changed; nothing was done.
    case outdated
    /// Redis would not take one of the commands; nothing was done.
    case refused(String)
  }

  private var commands: [RedisCommand] = []

  mutating func add(_ command: RedisCommand) { commands.append(command) }

  func append(to redis: RedisConnection) {
    redis.append(RedisCommand(words: "MULTI"))
    for command in commands { redis.append(command) }
    redis.append(RedisCommand(words: "EXEC"))
  }

  /// Reads the answers to all that `append` sent.
  func outcome(on redis: RedisConnection) throws(RedisError) -> Outcome {
    var refusal: String?
    for _ in 0...commands.count {
      if case .error(let reason) = try redis.reply() { refusal = refusal ?? reason }
    }
    switch try redis.reply() {
    case .array(let replies) where replies.count == commands.count && refusal == nil: return .done(replies)
    case .null: return .outdated
    case .error(let reason) where reason.hasPrefix("EXECABORT"): return .refused(refusal ?? Self.cause(of: reason))
    case let reply: throw .disconnected(reason: "a transaction was answered \(reply)")
    }
  }

  /// Why EXEC itself was refused: memory may have run short while the commands were queued.
  private static func cause(of reason: String) -> String {
    let words = "EXECABORT Transaction discarded because of: "
    return reason.hasPrefix(words) ? String(reason.dropFirst(words.count)) : reason
  }

  /// Calls the scripts that Redis had forgotten, which did nothing, and returns the answers to all commands; to be called when every answer to
  /// what was sent before has been read.
  ///
  /// Throws if any command has failed.
  func finish(_ replies: [RedisReply], on connection: ScriptConnection) throws(RedisError) -> [RedisReply] {
    var replies = replies
    let forgotten = replies.indices.filter { replies[$0].isForgottenScript }
    if !forgotten.isEmpty {
      try connection.load()
      for index in forgotten { connection.redis.append(commands[index]) }
      for index in forgotten { replies[index] = try connection.redis.reply() }
    }
    for case .error(let reason) in replies { throw .disconnected(reason: reason) }
    return replies
  }
}

extension RedisReply {
  /// Whether Redis does not know the script that was called; it did nothing then.
  var isForgottenScript: Bool {
    if case .error(let reason) = self { reason.hasPrefix("NOSCRIPT") } else { false }
  }
}
