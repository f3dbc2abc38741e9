// SPDX-License-Identifier: Apache-2.0
import Redis
import TaskModel
import TaskStore

/// All that Redis holds of one prefix, seen in one moment, and what must hold of it.
struct Keyspace {
  struct Held: Hashable {
    var worker: String
    var id: TaskID
    var take: [UInt8]
  }

  /// What a key holds.
  struct Value: Equatable, CustomStringConvertible {
    /// Whether it goes away by itself.
    var isTemporary: Bool
    var parts: [[UInt8]]

    var description: String {
      (isTemporary ? "for a while " : "")
        + parts.map { part in
          part.map { (32..<127).contains($0) ? String(UnicodeScalar($0)) : "\\\($0)" }.joined()
        }.joined(separator: " ")
    }
  }

  var everything: [String: Value] = [:]
  var records: [TaskID: StoredRecord] = [:]
  var rounds: [TaskID: Int] = [:]
  /// By the beginning of the key, as in `q`: the ids that lists and sets of tasks name, in order.
  var places: [String: [TaskID]] = [:]
  /// Ids and manual retries in finished lists.
  var finished: [(id: TaskID, round: Int, list: String, type: String)] = []
  var flight: Set<Held> = []
  var flightCount = 0
  var leases: [String: String] = [:]
  var fences: [String: String] = [:]
  var counters: [String: [String: Int]] = [:]
  /// Who has which unique key, by type and key.
  var claims: [String: TaskID] = [:]

  private static let script = """
    local answer = {}
    for _, key in ipairs(redis.call('KEYS', ARGV[1] .. '*')) do
      local kind, value = redis.call('TYPE', key).ok, nil
      if kind == 'string' then value = { redis.call('GET', key) }
      elseif kind == 'list' then value = redis.call('LRANGE', key, 0, -1)
      elseif kind == 'hash' then value = redis.call('HGETALL', key)
      elseif kind == 'zset' then value = redis.call('ZRANGE', key, 0, -1, 'WITHSCORES')
      end
      answer[#answer + 1] = { key, kind, redis.call('TTL', key), value }
    end
    return answer
    """

  init(_ connection: RedisConnection, prefix: String) throws {
    let reply = try connection.call(RedisCommand(words: "EVAL", Self.script, "0", prefix))
    for entry in reply.arrayValue ?? [] {
      guard let parts = entry.arrayValue, parts.count == 4, let key = parts[0].textValue, let kind = parts[1].textValue
      else { continue }
      let values = (parts[3].arrayValue ?? []).map { $0.bulkValue ?? [] }
      let name = String(key.dropFirst(prefix.count))
      var inOrder = values
      if kind == "hash" {
        inOrder = stride(from: 0, to: values.count - 1, by: 2).map { values[$0] + [61] + values[$0 + 1] }
          .sorted { $0.lexicographicallyPrecedes($1) }
      }
      everything[name] = Value(isTemporary: parts[2].integerValue != -1, parts: inOrder)
      read(name, values)
    }
  }

  private mutating func read(_ name: String, _ values: [[UInt8]]) {
    let texts = values.map { String(decoding: $0, as: UTF8.self) }
    let parts = name.split(separator: ":", maxSplits: 1).map(String.init)
    let rest = parts.count > 1 ? parts[1] : ""
    switch parts[0] {
    case "t":
      guard let id = TaskID(rest), let record = StoredRecord(Array(values[0])) else { return }
      records[id] = record
      rounds[id] = (0..<4).reduce(0) { $0 | Int(values[0][44 + $1]) << (8 * $1) }
    case "q", "qh", "ql", "sq", "hq":
      let ids = texts.compactMap { TaskID(String($0.suffix(32))) }
      places[parts[0], default: []] += ids
      if parts[0] != "hq" && parts[0] != "sq" { places["queues", default: []] += ids }
    case "k": claims[rest] = TaskID(texts[0])
    case "due", "hdue", "away", "run", "exp":
      let keys = stride(from: 0, to: texts.count, by: 2).map { texts[$0] }
      places[parts[0], default: []] += keys.compactMap { TaskID(String($0.suffix(32))) }
    case "done", "dead":
      for text in texts {
        guard let id = TaskID(String(text.prefix(32))) else { continue }
        finished.append((id, Int(text.dropFirst(33)) ?? 0, parts[0], rest))
      }
    case "flight":
      for value in stride(from: 1, to: values.count, by: 2).map({ values[$0] }) {
        let size = value.count > 0 ? Self.itemSize(value) : 1
        for start in stride(from: 0, to: value.count, by: size) {
          let item = value[start..<start + size]
          guard let id = TaskID(item.dropLast(4).suffix(32)) else { continue }
          flight.insert(Held(worker: rest, id: id, take: Array(item.suffix(4))))
          flightCount += 1
        }
      }
    case "leases":
      for index in stride(from: 0, to: texts.count, by: 2) { leases[texts[index]] = texts[index + 1] }
    case "fence": fences[rest] = texts[0]
    case "n":
      for index in stride(from: 0, to: texts.count, by: 2) {
        counters[rest, default: [:]][texts[index]] = Int(texts[index + 1])
      }
    default: break
    }
  }

  /// Prefix, "t:", id and take number: the first id ends where the first take number begins.
  private static func itemSize(_ value: [UInt8]) -> Int {
    guard let brace = value.firstIndex(of: UInt8(ascii: "}")) else { return value.count }
    return brace + 2 + 2 + 32 + 4
  }

  private func worker(_ record: StoredRecord) -> String {
    record.fence.prefix(8).map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
  }

  /// What no script would ever find again (invariant a), and bodies that are missing or will go away under a record.
  func lost() -> [String] {
    var problems: [String] = []
    for (id, record) in records {
      let held = Held(worker: worker(record), id: id, take: Array(record.fence.suffix(4)))
      let isHeld = flight.contains(held) && leases[held.worker] != nil
      let isFound =
        switch record.state {
        case .pending: places[record.has(.alone) ? "sq" : "queues"]?.contains(id) ?? false
        case .scheduled: places["due"]?.contains(id) ?? false
        case .detached: places["away"]?.contains(id) ?? false
        case .taken, .running: isHeld
        case .completed, .failed, .cancelled:
          record.handlerPhase != .pending || isHeld || places["hq"]?.contains(id) ?? false
            || places["hdue"]?.contains(id) ?? false
        }
      if !isFound { problems.append("no script finds \(id), \(record.state), handler \(record.handlerPhase)") }
      if [.pending, .scheduled].contains(record.state), record.has(.expires), !(places["exp"]?.contains(id) ?? false) {
        problems.append("\(id) would never expire")
      }
      if let key = record.extras.key, !record.state.status.isFinal, claims["\(record.type):\(key)"] != id {
        problems.append("\(id) does not have its key \(key)")
      }
      if record.state.status.isFinal, !finished.contains(where: { $0.id == id && $0.round == rounds[id] }) {
        problems.append("retention never finds \(id), \(record.state)")
      }
      if record.hasParamsKey, !isKept("p:\(id)") { problems.append("params of \(id) are not kept") }
      if record.hasResultKey, record.state == .completed, !isKept("r:\(id):\(record.resultName)") {
        problems.append("result of \(id) is not kept")
      }
    }
    return problems
  }

  /// Tasks that a worker had and that were changed since `before` though its fence was not: it would complete them blindly.
  ///
  /// `worker` may have changed those it has, and knows.
  func unnoticed(since before: Keyspace, by worker: String? = nil) -> [String] {
    before.records.compactMap { id, record in
      let holder = before.worker(record)
      // One that runs was marked by its worker, which looks at it from then on.
      guard record.state == .taken, holder != worker, everything["t:\(id)"] != before.everything["t:\(id)"],
        fences[holder] == before.fences[holder]
      else { return nil }
      return "\(holder), who had \(id), cannot know that it is \(records[id].map { "\($0.state)" } ?? "gone") now"
    }
  }

  private func isKept(_ key: String) -> Bool { everything[key].map { !$0.isTemporary } ?? false }

  /// Counters, sets of running tasks and keys beside records that do not agree with the records (invariant h).
  func differences() -> [String] {
    var problems: [String] = []
    var expected: [String: [String: Int]] = [:]
    for record in records.values { expected[record.type, default: [:]][record.state.status.rawValue, default: 0] += 1 }
    for type in Set(expected.keys).union(counters.keys) where !type.isEmpty && type != "origins" {
      for status in TaskStatus.allCases {
        let (is_, should) = (counters[type]?[status.rawValue] ?? 0, expected[type]?[status.rawValue] ?? 0)
        if is_ != should { problems.append("\(type) counts \(is_) \(status), there are \(should)") }
      }
    }
    let running = Set(records.filter { $0.value.state == .running || $0.value.state == .detached }.keys)
    if Set(places["run"] ?? []) != running { problems.append("the running set is wrong: \(places["run"] ?? [])") }
    let away = Set(records.filter { $0.value.state == .detached }.keys)
    if Set(places["away"] ?? []) != away { problems.append("the set of detached tasks is wrong") }
    let scheduled = Set(records.filter { $0.value.state == .scheduled }.keys)
    if Set(places["due"] ?? []) != scheduled { problems.append("the set of scheduled tasks is wrong") }
    for (key, id) in claims where records[id] == nil { problems.append("the key \(key) belongs to no task") }
    let expiring = Set(records.filter { $0.value.has(.expires) && !$0.value.state.status.isFinal }.keys)
    if !Set(places["exp"] ?? []).isSubset(of: expiring) { problems.append("what is to expire is wrong") }
    for (key, value) in everything where ["p:", "r:", "g:", "l:"].contains(key.prefix(2)) && !value.isTemporary {
      let id = TaskID(String(key.dropFirst(2).prefix(32)))
      if id.flatMap({ records[$0] }) == nil { problems.append("\(key) belongs to no task") }
    }
    return problems
  }

  /// What is not done yet.
  var unfinished: [String] {
    records.filter { !$0.value.state.status.isFinal || $0.value.handlerPhase == .pending }
      .map { "\($0.key) is \($0.value.state), handler \($0.value.handlerPhase)" }
      + ["queues", "sq", "due", "away", "hq", "hdue", "run", "exp"].flatMap { place in
        (places[place] ?? []).map { "\($0) in \(place)" }
      }
      + flight.map { "\($0.id) in flight of \($0.worker)" }
  }

  /// Keys that belong to tasks, but for bodies that go away by themselves.
  var ofTasks: [String] {
    let kinds: Set = [
      "t", "p", "r", "g", "l", "k", "q", "qh", "ql", "sq", "hq", "due", "hdue", "away", "run", "exp", "done", "dead",
      "flight", "ctl", "new",
    ]
    return everything.filter { key, value in
      kinds.contains(String(key.prefix { $0 != ":" })) && !value.isTemporary
    }.map(\.key).sorted()
  }

  /// How this one differs from another, for messages.
  func changes(to other: Keyspace, except: Set<String> = []) -> [String] {
    Set(everything.keys).union(other.everything.keys).subtracting(except).sorted().compactMap { key in
      everything[key] == other.everything[key]
        ? nil
        : "\(key): \(everything[key]?.description ?? "nothing") -> \(other.everything[key]?.description ?? "nothing")"
    }
  }
}
