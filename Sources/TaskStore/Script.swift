// SPDX-License-Identifier: Apache-2.0
package import Redis

/// The Lua scripts: every change of a task is one call of one of them, or a transaction that one of them ends.
package enum Script: String, CaseIterable, Sendable {
  case submit, submitted, take, complete, completed, body, hello, register, heartbeat, reap, settle, cancel, retry,
    delete, recall, pause, fire, retain, watch, page

  /// Whether a call brings the text along.
  ///
  /// A transaction goes on where Redis has forgotten a script, and nobody would count what it has done. These are short.
  var travelsWhole: Bool { self == .submitted || self == .completed }

  /// The whole text: first line, what it stands behind, script; of one that travels, its own lines without comments.
  package var text: String {
    let source = String(decoding: bytes, as: UTF8.self)
    if travelsWhole { return source.split(separator: "\n").filter { !$0.hasPrefix("--") }.joined(separator: "\n") }
    let end = source.firstIndex(of: "\n") ?? source.endIndex
    var before = PackageResources.record_lua
    if source.split(separator: "\n").contains(where: { $0.drop { $0 == " " }.hasPrefix("commit(") }) {
      before += PackageResources.moves_lua
    }
    return source[..<end] + "\n" + String(decoding: before, as: UTF8.self) + source[end...]
  }

  private var bytes: [UInt8] {
    switch self {
    case .submit: PackageResources.submit_lua
    case .submitted: PackageResources.submitted_lua
    case .take: PackageResources.take_lua
    case .complete: PackageResources.complete_lua
    case .completed: PackageResources.completed_lua
    case .body: PackageResources.body_lua
    case .hello: PackageResources.hello_lua
    case .register: PackageResources.register_lua
    case .heartbeat: PackageResources.heartbeat_lua
    case .reap: PackageResources.reap_lua
    case .settle: PackageResources.settle_lua
    case .cancel: PackageResources.cancel_lua
    case .retry: PackageResources.retry_lua
    case .delete: PackageResources.delete_lua
    case .recall: PackageResources.recall_lua
    case .pause: PackageResources.pause_lua
    case .fire: PackageResources.fire_lua
    case .retain: PackageResources.retain_lua
    case .watch: PackageResources.watch_lua
    case .page: PackageResources.page_lua
    }
  }
}

/// A connection that has the scripts loaded; it belongs to the thread that uses it.
package final class ScriptConnection {
  package let redis: RedisConnection
  package let keys: Keys
  /// By what Redis is told which script is meant: its digest, or the text of one that travels whole.
  private var names = Dictionary(
    uniqueKeysWithValues: Script.allCases.filter(\.travelsWhole).map { ($0, $0.text) })
  /// A Redis may forbid MULTI, or what stands before it may not know it; all goes through scripts alone then.
  let hasTransactions: Bool

  package init(_ redis: RedisConnection, keys: Keys) throws(RedisError) {
    self.redis = redis
    self.keys = keys
    for word in ["MULTI", "EXEC"] { redis.append(RedisCommand(words: word)) }
    let answers = [try redis.reply(), try redis.reply()]
    hasTransactions = answers == [.status("OK"), .array([])]
    try load()
  }

  /// Redis forgets scripts when it restarts or is told to; a call answered NOSCRIPT did nothing and may be repeated after this.
  package func load() throws(RedisError) {
    let scripts = Script.allCases.filter { !$0.travelsWhole }
    for script in scripts { redis.append(RedisCommand(words: "SCRIPT", "LOAD", script.text)) }
    for script in scripts {
      switch try redis.reply() {
      case .bulk(let digest): names[script] = String(decoding: digest, as: UTF8.self)
      case .error(let reason): throw .refused("script \(script.rawValue): \(reason)")
      default: throw .refused("script \(script.rawValue): no digest")
      }
    }
  }

  /// The beginning of a call; KEYS, then the arguments after the prefix are to be added.
  package func command(_ script: Script, keyCount: Int = 0, capacity: Int = 256) -> ScriptCall {
    let name = names[script] ?? ""
    var command = RedisCommand(script.travelsWhole ? "EVAL" : "EVALSHA", capacity: capacity + name.utf8.count)
    command.add(name)
    command.add(Int64(keyCount))
    return ScriptCall(command: command, prefix: keys.prefix, keysMissing: keyCount)
  }

  /// One call and its answer; loads the scripts again where Redis has forgotten them.
  package func run(_ call: (ScriptConnection) -> RedisCommand) throws(RedisError) -> RedisReply {
    do { return try redis.call(call(self)) } catch .refused(let reason) where reason.hasPrefix("NOSCRIPT") {
      try load()
      return try redis.call(call(self))
    }
  }
}

/// A script call that is being written; it puts the prefix, which every script has as its first argument, behind the keys.
package struct ScriptCall {
  package private(set) var command: RedisCommand
  private let prefix: String
  private var keysMissing: Int

  init(command: RedisCommand, prefix: String, keysMissing: Int) {
    self.command = command
    self.prefix = prefix
    self.keysMissing = keysMissing
    if keysMissing == 0 { self.command.add(prefix) }
  }

  package mutating func key(writing body: (inout [UInt8]) -> Void) {
    command.add(writing: body)
    keysMissing -= 1
    if keysMissing == 0 { command.add(prefix) }
  }

  package mutating func add(_ text: String) { command.add(text) }
  package mutating func add(_ bytes: [UInt8]) { command.add(bytes) }
  package mutating func add(_ number: Int64) { command.add(number) }
  package mutating func add(writing body: (inout [UInt8]) -> Void) { command.add(writing: body) }
}
