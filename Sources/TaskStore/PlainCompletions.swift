// SPDX-License-Identifier: Apache-2.0
internal import Redis
internal import TaskModel

/// Which completions a session may write without a script that looks at the records.
///
/// What it took is as it took it, unless this session wrote about it (the ticket of the task is spent by that) or somebody else did,
/// who changed the worker's fence in Redis before. Its connection watches the fence: Redis refuses a transaction when it
/// has changed since, and then all tickets are void.
struct PlainCompletions {
  /// Those that are good, each once.
  private var tickets: Set<Int64> = []
  private var lastTicket: Int64
  /// The fence as it was read last, after it was watched or with a take.
  private var fence: Int64?
  private var watch = Watch.none

  private enum Watch {
    case none
    /// The connection watches the fence, and has seen no change of it.
    case clean
    case outdated
  }

  init(epoch: Int64) {
    // No connection knows a ticket of another.
    lastTicket = epoch << 40
  }

  /// Which of the writes may be plain; after this none of their tasks has a ticket any more.
  mutating func choose(from writes: [TaskWrite]) -> [Bool] {
    writes.map { write in
      let isGood = write.ticket.flatMap { tickets.remove($0) } != nil
      guard isGood, watch == .clean, !write.callsHandler, write.taken != nil, case .completed = write.operation
      else { return false }
      return true
    }
  }

  /// A transaction was sent, which ends the watching.
  mutating func sentTransaction() { watch = .none }

  /// What is to be sent so that the connection watches the fence.
  func watch(_ fence: String) -> [RedisCommand] {
    let watch = RedisCommand(words: "WATCH", fence)
    return switch self.watch {
    case .none: [watch]
    case .clean: []
    // Redis does not forget that it has changed until it is told to.
    case .outdated: [RedisCommand(words: "UNWATCH"), watch]
    }
  }

  /// The fence as it stands after the connection has begun to watch it.
  mutating func watched(_ value: Int64?) {
    note(value)
    watch = value == nil ? .outdated : .clean
  }

  /// The fence as a take has found it.
  mutating func met(_ value: Int64?) {
    if note(value), watch == .clean { watch = .outdated }
  }

  /// Returns whether it has changed: what was taken before may have, too.
  @discardableResult
  private mutating func note(_ value: Int64?) -> Bool {
    if value == fence { return false }
    fence = value
    tickets.removeAll(keepingCapacity: true)
    return true
  }

  /// A ticket for a task that was taken just now, as its record says.
  mutating func ticket(for record: StoredRecord) -> Int64? {
    guard record.state == .taken, record.isPlain else { return nil }
    lastTicket += 1
    tickets.insert(lastTicket)
    return lastTicket
  }
}

/// The writes of an exchange of which some are plain, as one transaction.
struct PlainTransaction {
  let transaction: Transaction
  private let isPlain: [Bool]

  /// `rest` makes the call of complete.lua for the writes that are not plain.
  init(
    _ writes: [TaskWrite], _ isPlain: [Bool], emptied: [Int64], worker: String, on connection: ScriptConnection,
    rest: ([TaskWrite], [Int64]) -> RedisCommand
  ) {
    let keys = connection.keys
    var done: [(type: ArraySlice<UInt8>, entries: RedisCommand, count: Int64)] = []
    var messages: [RedisCommand] = []
    var records = RedisCommand("MSET", capacity: writes.reduce(0) { $0 + 400 + $1.byteCount })
    for (write, isPlain) in zip(writes, isPlain) {
      guard isPlain, let taken = write.taken, case .completed(let result) = write.operation else { continue }
      let index =
        done.firstIndex { $0.type.elementsEqual(taken.typeBytes) }
        ?? {
          var entries = RedisCommand("RPUSH", capacity: writes.count * 32 + 128)
          entries.add("\(keys.prefix)done:\(taken.type)")
          done.append((taken.typeBytes, entries, 0))
          return done.count - 1
        }()
      done[index].entries.add(expecting: 32) { write.id.append(to: &$0) }
      done[index].count += 1
      records.add(expecting: keys.recordLength) { keys.appendRecord(write.id, to: &$0) }
      records.add { taken.appendCompleted(to: &$0, write) }
      if StoredRecord.needsKey(result) {
        records.add(keys.result(write.id, name: write.resultName))
        records.add(result)
      }
      if taken.has(.watched) {
        messages.append(RedisCommand(words: "PUBLISH", keys.finalChannel, write.id.description))
      }
    }
    let others = zip(writes, isPlain).filter { !$0.1 }.map(\.0)
    var counts = connection.command(.completed)
    counts.add(worker)
    // A batch leaves with the last that is written of it.
    counts.add(others.isEmpty ? emptied.map(String.init).joined(separator: " ") : "")
    var transaction = Transaction()
    for (type, entries, count) in done {
      transaction.add(entries)
      counts.add(Array(type))
      counts.add(count)
    }
    transaction.add(records)
    for message in messages { transaction.add(message) }
    transaction.add(counts.command)
    if !others.isEmpty { transaction.add(rest(others, emptied)) }
    self.transaction = transaction
    self.isPlain = isPlain
  }

  /// What became of each write; `rest` reads the answer to complete.lua.
  func answers(
    _ replies: [RedisReply], rest: (RedisReply) throws -> [WriteAnswer]
  ) rethrows -> [WriteAnswer] {
    guard isPlain.contains(false), let reply = replies.last else { return isPlain.map { _ in .written } }
    var others = try rest(reply).makeIterator()
    return isPlain.map { $0 ? .written : others.next() ?? .refused }
  }
}
