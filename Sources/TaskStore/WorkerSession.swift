// SPDX-License-Identifier: Apache-2.0
package import Redis
package import TaskModel

/// One task or handler call that a worker has taken.
package struct TakenTask: Sendable {
  package let id: TaskID
  package let record: StoredRecord
  /// What lets its session complete it without looking at its record again, once; nil: nothing does.
  package let ticket: Int64?
}

/// A worker's connection for its tasks; it belongs to the thread that uses it.
///
/// Any error means that the connection is over and that what was under way may or may not have been done: connect again,
/// say `hello`, and repeat the writes (their answers are then as they would have been).
package final class WorkerSession {
  /// Where tasks are taken from.
  package enum Queue: String, Sendable {
    case tasks = "q"
    /// Handler calls.
    case handlers = "hq"
    /// Tasks that may have taken a worker down, which run alone until they are known not to.
    case alone = "sq"
  }

  package struct Take: Sendable {
    package var type: String
    package var queue: Queue
    package var batch: Int64
    package var count: Int

    package init(type: String, queue: Queue, batch: Int64, count: Int) {
      self.type = type
      self.queue = queue
      self.batch = batch
      self.count = count
    }
  }

  package struct Taken: Sendable {
    package let tasks: [TakenTask]
    /// Whether there is more where this came from.
    package let hasMore: Bool
  }

  /// The worker has no lease any more: it must end.
  package struct LeaseLost: Error {}

  /// Tasks and bytes of one call.
  package static let callTasks = StoreLink.callTasks
  package static let callBytes = StoreLink.callBytes

  package let worker: String
  private let bytes: [UInt8]
  private let epoch: Int64
  private let connection: ScriptConnection
  private let clock: RedisClock
  private var plain: PlainCompletions

  package init(
    to address: RedisAddress, keys: Keys, worker: String, epoch: Int64, clock: RedisClock
  ) throws(RedisError) {
    let redis = try RedisConnection(to: address, timeout: .seconds(5))
    connection = try ScriptConnection(redis, keys: keys)
    self.worker = worker
    bytes = RandomID.bytes(worker) ?? []
    self.epoch = epoch
    self.clock = clock
    plain = PlainCompletions(epoch: epoch)
  }

  /// The first call of each connection; returns the number of each origin.
  ///
  /// `lastBatch` is the last batch answered or given up, `held` are the batches up to it that the worker still has.
  package func hello(lastBatch: Int64, held: [Int64], origins: [TaskRecord.Origin]) throws -> [UInt32] {
    var call = connection.command(.hello)
    call.add(worker)
    call.add(bytes)
    call.add(epoch)
    call.add(lastBatch)
    call.add(held.map(String.init).joined(separator: " "))
    for origin in origins { call.add(origin.json) }
    guard let answer = try connection.redis.call(call.command).arrayValue, let time = answer.first?.integerValue else {
      throw LeaseLost()
    }
    clock.heard(Timestamp(millis: time))
    return answer.dropFirst().map { UInt32(truncatingIfNeeded: $0.integerValue ?? 0) }
  }

  /// Sends writes and takes in one go and waits for the answers to all.
  ///
  /// A call may say several things of one task, in turn: that it runs, then that it is completed. `emptied` are batches that
  /// have no work left after these writes (one with a handler call to make has); `unblock` is a connection (its CLIENT ID)
  /// whose blocking wait is to end, and `unblocked` says whether it was waiting.
  package func exchange(
    writes: [TaskWrite], emptied: [Int64], takes: [Take], unblock: Int64? = nil
  ) throws -> (answers: [WriteAnswer], taken: [Taken], unblocked: Bool) {
    let redis = connection.redis
    let sent = send(writes, emptied)
    // After the transaction, which ends the watching; a take answers how the fence stands then, or else GET does.
    let watch = watchCommands(takes.isEmpty, sent)
    for command in watch { redis.append(command) }
    for take in takes { redis.append(takeCommand(take)) }
    if let unblock { redis.append(RedisCommand(words: "CLIENT", "UNBLOCK", String(unblock))) }

    let outcome = try outcome(of: sent)
    let watched = try watch.map { _ in try redis.reply() }
    let replies = try takes.map { _ in try redis.reply() }
    let unblocked = try unblock.map { _ in try reply() } == .integer(1)
    // What was not written is written before a take that failed ends the session.
    let answers = try answers(to: outcome, writes, emptied)
    let isWatching = !watched.isEmpty && !watched.contains { if case .error = $0 { true } else { false } }
    if isWatching, takes.isEmpty { plain.watched(watched.last?.integerValue) }
    let taken = try replies.enumerated().map { index, reply in
      let answer = try values(checked(reply), atLeast: 4)
      let fence = answer[2].integerValue
      if index == 0, isWatching { plain.watched(fence) } else { plain.met(fence) }
      return Taken(tasks: try tasks(answer), hasMore: answer[1] == .integer(1))
    }
    return (answers, taken, unblocked)
  }

  // MARK: Writes

  /// What was sent of an exchange's writes.
  private enum Sent {
    case nothing
    /// Bodies, then complete.lua.
    case script(bodies: [LargeResult])
    case transaction(PlainTransaction)
  }

  private enum WritesOutcome {
    case answered([WriteAnswer])
    /// Redis did a transaction, but may have forgotten the scripts in it.
    case done(PlainTransaction, [RedisReply])
    /// Nothing was done: a record may have been changed by others, or Redis is full.
    case refused
  }

  private func send(_ writes: [TaskWrite], _ emptied: [Int64]) -> Sent {
    if writes.isEmpty && emptied.isEmpty { return .nothing }
    let isPlain = plain.choose(from: writes)
    // Redis may be too full for a body that complete.lua is to name, which then is to do nothing at all.
    if isPlain.contains(true), !zip(writes, isPlain).contains(where: { $0.hasResultKey && !$1 }) {
      let sent = PlainTransaction(
        writes, isPlain, emptied: emptied, worker: worker, on: connection, rest: completeCommand)
      sent.transaction.append(to: connection.redis)
      plain.sentTransaction()
      return .transaction(sent)
    }
    let bodies = writes.compactMap(LargeResult.init)
    for body in bodies {
      connection.redis.append(storeBody(connection.keys.result(body.id, name: body.name), body.bytes))
    }
    connection.redis.append(completeCommand(writes, emptied))
    return .script(bodies: bodies)
  }

  private func outcome(of sent: Sent) throws -> WritesOutcome {
    switch sent {
    case .nothing: return .answered([])
    case .script(let bodies):
      let isFull = try isFull(afterStoring: bodies.count)
      let reply = try connection.redis.reply()
      if isFull, case .error(let reason) = reply, reason.hasPrefix("BODYGONE") { return .refused }
      return .answered(try writeAnswers(checked(reply)))
    case .transaction(let plain):
      switch try plain.transaction.outcome(on: connection.redis) {
      case .done(let replies): return .done(plain, replies)
      case .outdated, .refused: return .refused
      }
    }
  }

  /// Does what is left to do about the writes.
  private func answers(
    to outcome: WritesOutcome, _ writes: [TaskWrite], _ emptied: [Int64]
  ) throws -> [WriteAnswer] {
    switch outcome {
    case .answered(let answers): return answers
    case .done(let plain, let replies):
      return try plain.answers(plain.transaction.finish(replies, on: connection), rest: writeAnswers)
    case .refused:
      let bodies = writes.compactMap(LargeResult.init)
      // Only submissions may be refused when memory is short: a script may store bodies then, if at the price of a copy.
      for body in bodies {
        var call = connection.command(.body, keyCount: 1, capacity: body.bytes.count + 256)
        call.key { $0.append(contentsOf: connection.keys.result(body.id, name: body.name).utf8) }
        call.add(body.bytes)
        connection.redis.append(call.command)
      }
      connection.redis.append(completeCommand(writes, emptied))
      for _ in bodies { _ = try reply() }
      return try writeAnswers(reply())
    }
  }

  /// What makes the connection watch the fence, where it does not and is to.
  private func watchCommands(_ takesNothing: Bool, _ sent: Sent) -> [RedisCommand] {
    let fence = connection.keys.fence(of: worker)
    guard connection.hasTransactions else { return [] }
    guard case .transaction = sent else { return takesNothing ? [] : plain.watch(fence) }
    return plain.watch(fence) + (takesNothing ? [RedisCommand(words: "GET", fence)] : [])
  }

  /// Reads the answers to bodies; true if Redis refused one for want of memory.
  private func isFull(afterStoring bodies: Int) throws -> Bool {
    var isFull = false
    for _ in 0..<bodies {
      let reply = try connection.redis.reply()
      if case .error(let reason) = reply, reason.hasPrefix("OOM") { isFull = true } else { _ = try checked(reply) }
    }
    return isFull
  }

  private func writeAnswers(_ reply: RedisReply) throws -> [WriteAnswer] {
    (try values(reply, atLeast: 2)[1].bulkValue ?? []).map {
      switch $0 {
      case UInt8(ascii: "h"): .handlerIsYours
      case UInt8(ascii: "k"): .written
      default: .refused
      }
    }
  }

  /// Reads params or results that have keys of their own; nil where one is gone.
  package func bodies(_ keys: [String]) throws -> [[UInt8]?] {
    var command = RedisCommand(words: "MGET")
    for key in keys { command.add(key) }
    connection.redis.append(command)
    return (try reply().arrayValue ?? []).map(\.bulkValue)
  }

  /// Which of the tasks somebody wants stopped.
  package func cancelsAsked(among ids: [TaskID]) throws -> [TaskID] {
    for id in ids { connection.redis.append(RedisCommand(words: "GETRANGE", keys.record(id), "48", "48")) }
    let flags = try ids.map { _ in try reply().bulkValue?.first ?? 0 }
    return zip(ids, flags).filter { $0.1 & StoredRecord.Flag.cancelAsked.rawValue != 0 }.map(\.0)
  }

  /// Which workers and builds the numbers in records stand for.
  package func origins(_ numbers: Set<UInt32>) throws -> [UInt32: TaskRecord.Origin] {
    let ordered = numbers.filter { $0 != 0 }
    if ordered.isEmpty { return [:] }
    var command = RedisCommand(words: "HMGET", connection.keys.origins)
    for number in ordered { command.add(Int64(number)) }
    connection.redis.append(command)
    return TaskRecord.Origin.read(try reply(), ordered)
  }

  package var keys: Keys { connection.keys }

  private func reply() throws -> RedisReply { try checked(connection.redis.reply()) }

  private func checked(_ reply: RedisReply) throws -> RedisReply {
    // A failed script may have done half its work: as with a lost answer, a new connection and a comparison follow.
    if case .error(let reason) = reply { throw RedisError.disconnected(reason: reason) }
    return reply
  }

  private func values(_ reply: RedisReply, atLeast count: Int) throws -> [RedisReply] {
    guard let values = reply.arrayValue, values.count >= count, let time = values[0].integerValue else {
      throw LeaseLost()
    }
    clock.heard(Timestamp(millis: time))
    return values
  }

  /// The answer to a take: behind three numbers the keys, each with 4 bytes of take number, then the records.
  private func tasks(_ answer: [RedisReply]) throws -> [TakenTask] {
    let flight = answer[3].bulkValue ?? []
    let records = answer[4...]
    let item = flight.count / max(1, records.count)
    return try records.enumerated().map { index, reply in
      let keyEnd = (index + 1) * item - 4
      guard let bytes = reply.bulkValue, keyEnd >= 32, let id = TaskID(flight[keyEnd - 32..<keyEnd]),
        let record = StoredRecord(bytes)
      else { throw TaskStoreError.unreadable("a task") }
      return TakenTask(id: id, record: record, ticket: plain.ticket(for: record))
    }
  }

  private func takeCommand(_ take: Take) -> RedisCommand {
    var call = connection.command(.take)
    call.add(worker)
    call.add(bytes)
    call.add(epoch)
    call.add(take.type)
    call.add(take.queue.rawValue)
    call.add(take.batch)
    call.add(Int64(take.count))
    call.add(Int64(Self.callBytes))
    return call.command
  }

  private func completeCommand(_ writes: [TaskWrite], _ emptied: [Int64]) -> RedisCommand {
    var call = connection.command(.complete, keyCount: writes.count, capacity: writes.count * 300 + 256)
    for write in writes { call.key { connection.keys.appendRecord(write.id, to: &$0) } }
    call.add(worker)
    call.add(epoch)
    call.add(emptied.map(String.init).joined(separator: " "))
    for write in writes {
      if case .completed(let result) = write.operation, let taken = write.taken, taken.isPlain,
        !StoredRecord.needsKey(result)
      {
        call.add("C")
        call.add { taken.appendCompleted(to: &$0, write) }
        continue
      }
      let body = write.body
      call.add { write.appendHead(to: &$0, bodySize: body.count) }
      call.add(body)
    }
    return call.command
  }

}

/// A result that gets a key of its own.
private struct LargeResult {
  let id: TaskID
  let name: String
  let bytes: [UInt8]

  init?(_ write: TaskWrite) {
    guard case .completed(let result) = write.operation, StoredRecord.needsKey(result) else { return nil }
    (id, name, bytes) = (write.id, write.resultName, result)
  }
}

extension TaskRecord.Origin {
  /// The answer to HMGET of the numbers.
  static func read(_ reply: RedisReply?, _ numbers: some Collection<UInt32>) -> [UInt32: TaskRecord.Origin] {
    var origins: [UInt32: TaskRecord.Origin] = [:]
    for (number, text) in zip(numbers, reply?.arrayValue ?? []) {
      guard let node = text.bulkValue.flatMap({ try? JSONNode.parse($0) }) else { continue }
      origins[number] = TaskRecord.Origin(
        worker: node["worker"]?.text ?? "", plugin: node["plugin"]?.text ?? "", version: node["version"]?.text ?? "",
        build: node["build"]?.text ?? "")
    }
    return origins
  }

  /// How an origin stands in Redis.
  var json: [UInt8] {
    var writer = JSONWriter()
    writer.beginObject()
    writer.member("worker", worker)
    writer.member("plugin", plugin)
    writer.member("version", version)
    writer.member("build", build)
    writer.endObject()
    return writer.bytes
  }
}
