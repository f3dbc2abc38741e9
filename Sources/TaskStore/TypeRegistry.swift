// SPDX-License-Identifier: Apache-2.0
internal import TaskModel
internal import Redis
internal import Threading

/// The types that hosts have made known, as last read from Redis.
final class TypeRegistry: Sendable {
  /// A type stays known this long after its last host went.
  static let memory: Int64 = 24 * 3_600_000

  private struct State {
    var own: [String: TypeDefinition] = [:]
    var others: [String: TypeDefinition] = [:]
    var served: Set<String> = []
    var hostNames: [String] = []
  }

  private let state = Monitor(State())

  func setOwn(_ types: [TypeDefinition]) {
    state.withLock { $0.own = Dictionary(uniqueKeysWithValues: types.map { ($0.name, $0) }) }
  }

  subscript(name: String) -> TypeDefinition? {
    state.withLock { $0.own[name] ?? $0.others[name] }
  }

  /// Whether no living host runs the type.
  func isParked(_ name: String) -> Bool { state.withLock { $0.own[name] == nil && !$0.served.contains(name) } }

  /// How many living hosts have the name.
  func livingHosts(named name: String) -> Int { state.withLock { $0.hostNames.count { $0 == name } } }

  var all: [TypeDefinition] {
    state.withLock { Array($0.others.merging($0.own) { $1 }.values) }.sorted { $0.name < $1.name }
  }

  /// The three reads whose answers `refresh` takes.
  static func commands(_ keys: Keys) -> [RedisCommand] {
    [
      RedisCommand(words: "HGETALL", keys.types), RedisCommand(words: "ZRANGE", keys.seen, "0", "-1", "WITHSCORES"),
      RedisCommand(words: "HVALS", keys.hosts),
    ]
  }

  func refresh(_ replies: [RedisReply], now: Timestamp) {
    guard replies.count == 3 else { return }
    var seen: [String: Int64] = [:]
    for (name, score) in pairs(replies[1]) { seen[name] = score.textValue.flatMap(Double.init).map(Int64.init) }
    var others: [String: TypeDefinition] = [:]
    for (name, json) in pairs(replies[0]) where (seen[name] ?? 0) > now.millis - Self.memory {
      others[name] = json.bulkValue.flatMap { TypeDefinition(name: name, json: $0) }
    }
    var served: Set<String> = []
    var hostNames: [String] = []
    for host in replies[2].arrayValue ?? [] {
      let node = host.bulkValue.flatMap { try? JSONNode.parse($0) }
      served.formUnion((node?["types"]?.elements ?? []).compactMap(\.text))
      if let name = node?["name"]?.text { hostNames.append(name) }
    }
    state.withLock {
      $0.others = others
      $0.served = served
      $0.hostNames = hostNames
    }
  }

  private func pairs(_ reply: RedisReply) -> [(String, RedisReply)] {
    let elements = reply.arrayValue ?? []
    return stride(from: 0, to: elements.count - 1, by: 2).compactMap { index in
      elements[index].textValue.map { ($0, elements[index + 1]) }
    }
  }
}
