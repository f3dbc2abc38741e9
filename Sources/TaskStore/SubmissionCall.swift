// SPDX-License-Identifier: Apache-2.0
internal import Redis
internal import TaskModel

/// One numbered call of a host that stores tasks.
///
/// If all are plain and the call was never sent before, their records go past the script, which would copy each: one transaction
/// makes the records and a mark, puts the tasks into their queues, and ends with submitted.lua, which counts them.
struct SubmissionCall {
  enum Outcome {
    /// What submit.lua says.
    case answered(ArraySlice<RedisReply>)
    case outOfMemory
    /// Redis has forgotten the script, and nothing was done.
    case forgotten
  }

  let tasks: [StoreLink.Pending]
  private let host: String
  private let number: Int64
  /// Whether it was sent before, on a connection that broke.
  private let isRepeat: Bool
  /// Types whose capacity the script is to look at.
  private let limits: String
  /// What is sent: a transaction, or else large params, the call of the script, and of a repeat two more.
  private var transaction: Transaction?
  private var commands: [RedisCommand] = []

  /// Writes it, for this connection.
  init(
    _ tasks: [StoreLink.Pending], host: String, number: Int64, isRepeat: Bool, limits: String,
    on connection: ScriptConnection
  ) {
    (self.tasks, self.host, self.number, self.isRepeat, self.limits) = (tasks, host, number, isRepeat, limits)
    if !isRepeat, limits.isEmpty, connection.hasTransactions, tasks.allSatisfy(\.isPlain) {
      transaction = plainTransaction(on: connection)
      return
    }
    let keys = connection.keys
    commands = largeParams.map { storeBody(keys.params($0.id), $0.submission.params) }
    commands.append(command(on: connection))
    if isRepeat {
      // A full Redis refuses the script before it can say that this is a repeat.
      commands.append(RedisCommand(words: "HGET", keys.submits, host))
      commands.append(RedisCommand(words: "DEL", keys.stored(host, number)))
    }
  }

  private var largeParams: [StoreLink.Pending] {
    tasks.filter { StoredRecord.needsKey($0.submission.params) }
  }

  func append(to redis: RedisConnection) {
    transaction?.append(to: redis)
    for command in commands { redis.append(command) }
  }

  // MARK: Writing

  private func command(on connection: ScriptConnection) -> RedisCommand {
    var call = connection.command(.submit, keyCount: tasks.count, capacity: tasks.count * 400)
    for task in tasks { call.key { connection.keys.appendRecord(task.id, to: &$0) } }
    call.add(host)
    call.add(number)
    call.add(limits)
    for task in tasks { call.add { task.appendRecord(to: &$0) } }
    return call.command
  }

  private func plainTransaction(on connection: ScriptConnection) -> Transaction {
    let keys = connection.keys
    let bytes = tasks.reduce(0) { $0 + $1.submission.byteCount }
    var records = RedisCommand("MSETNX", capacity: tasks.count * 200 + bytes + 128)
    var queues: [(type: String, entries: RedisCommand, count: Int64, last: TaskID)] = []
    for task in tasks {
      records.add(expecting: keys.recordLength) { keys.appendRecord(task.id, to: &$0) }
      records.add { task.appendRecord(to: &$0) }
      if StoredRecord.needsKey(task.submission.params) {
        records.add(keys.params(task.id))
        records.add(task.submission.params)
      }
      let type = task.submission.type
      let index =
        queues.firstIndex { $0.type == type }
        ?? {
          var entries = RedisCommand("RPUSH", capacity: tasks.count * 64 + 128)
          entries.add("\(keys.prefix)q:\(type)")
          queues.append((type, entries, 0, task.id))
          return queues.count - 1
        }()
      queues[index].entries.add(expecting: keys.recordLength) { keys.appendRecord(task.id, to: &$0) }
      queues[index].count += 1
      queues[index].last = task.id
    }
    // The script cannot see what MSETNX was answered: the mark is there only if the records are new.
    records.add(keys.stored(host, number))
    records.add("")
    var call = connection.command(.submitted)
    call.add(host)
    call.add(number)
    var transaction = Transaction()
    transaction.add(records)
    for (type, entries, count, last) in queues {
      transaction.add(entries)
      call.add(type)
      call.add(count)
      call.add(keys.record(last))
    }
    transaction.add(call.command)
    return transaction
  }

  // MARK: Answers

  /// Reads the answers to what was sent.
  func outcome(on connection: ScriptConnection) throws(RedisError) -> Outcome {
    if let transaction {
      switch try transaction.outcome(on: connection.redis) {
      case .done(let replies): return try Self.outcome(ofAll: replies)
      case .refused(let reason) where StoreLink.isWantOfMemory(reason): return .outOfMemory
      case .refused(let reason): throw .disconnected(reason: reason)
      case .outdated: throw .disconnected(reason: "a transaction was refused that watches nothing")
      }
    }
    for _ in largeParams { _ = try StoreLink.answer(connection) }
    let reply = try StoreLink.answer(connection)
    var remembered: [UInt8]?
    if isRepeat {
      remembered = SubmissionWords.remembered(try StoreLink.answer(connection).bulkValue, of: number)
      _ = try StoreLink.answer(connection)
    }
    if reply.isForgottenScript { return .forgotten }
    if case .error = reply { return remembered.map { .answered([.bulk($0)]) } ?? .outOfMemory }
    return try Self.outcome(of: reply)
  }

  /// Of a transaction whose commands were all done.
  private static func outcome(ofAll replies: [RedisReply]) throws(RedisError) -> Outcome {
    for case .error(let reason) in replies { throw .disconnected(reason: reason) }
    return try outcome(of: replies.last ?? .null)
  }

  private static func outcome(of reply: RedisReply) throws(RedisError) -> Outcome {
    switch reply {
    case .array(let parts): return .answered(parts[...])
    case .null: throw .disconnected(reason: "Redis does not know this host any more")
    default: throw .disconnected(reason: "unexpected answer to a submission")
    }
  }
}

extension StoreLink.Pending {
  /// Whether nothing is to be looked at before the task can be stored.
  fileprivate var isPlain: Bool {
    submission.due == nil && submission.expires == nil && submission.key == nil && submission.priority == .normal
  }

  fileprivate func appendRecord(to bytes: inout [UInt8]) {
    StoredRecord.append(to: &bytes, submission, maxAttempts: definition.retry.attempts, now: createdAt)
  }
}
