// SPDX-License-Identifier: Apache-2.0
internal import Redis
internal import TaskModel
internal import Threading

/// A host as Redis knows it: a random id, the number of its last submission call, its name and its types.
final class HostRegistration: Sendable {
  private struct State {
    var host = RandomID.make()
    var isKnown = false
    var lastNumber: Int64 = 0
    var types: [TypeDefinition] = []
    /// Whether Redis has heard of other types than these.
    var isOutdated = false
    var refusal: String?
  }

  let name: String
  private let state = Monitor(State())

  init(name: String) {
    self.name = name
  }

  var host: String { state.withLock { $0.host } }
  var nextNumber: Int64 { state.withLock { $0.lastNumber + 1 } }
  /// Why Redis cannot be used at all (wrong password, too old, a newer format), if that was found.
  var refusal: String? { state.withLock { $0.refusal } }
  var isKnown: Bool { state.withLock { $0.isKnown } }

  /// The types that this host runs, from the next registration on.
  func setTypes(_ types: [TypeDefinition]) {
    state.withLock { state in
      state.types = types
      state.isOutdated = true
    }
  }

  /// The call under way has its answer, or nobody waits for it any more: its number is never used again.
  func submitted() { state.withLock { $0.lastNumber += 1 } }

  func note(_ error: RedisError) {
    if case .unusable = error { state.withLock { $0.refusal = error.description } }
  }

  /// Makes the host known where Redis does not know it: at first, and when its lease was taken while it was away.
  func ensure(on connection: ScriptConnection, clock: RedisClock) throws(RedisError) {
    let (host, isKnown, isOutdated) = state.withLock { ($0.host, $0.isKnown, $0.isOutdated) }
    if isKnown {
      let submits = try connection.redis.call(RedisCommand(words: "HEXISTS", connection.keys.submits, host))
      let hosts = try connection.redis.call(RedisCommand(words: "HEXISTS", connection.keys.hosts, host))
      let isThere = submits == .integer(1) && hosts == .integer(1)
      if isThere, !isOutdated { return }
      // A new id: under the old one, numbers start anew and a late call could be taken for a new one.
      if !isThere {
        state.withLock { state in
          state.host = RandomID.make()
          state.lastNumber = 0
        }
      }
    }
    state.withLock { $0.isOutdated = false }
    let reply: RedisReply
    do {
      reply = try connection.run { connection in self.command(connection) }
    } catch {
      state.withLock { $0.isOutdated = true }
      throw error
    }
    guard let parts = reply.arrayValue, parts.count == 3, let millis = parts[0].integerValue else {
      throw .refused("register answered something else")
    }
    clock.heard(Timestamp(millis: millis))
    guard parts[1].integerValue == 1 else {
      throw .unusable(
        connection.redis.address,
        reason: "its tasks were written by a newer Roost; start that version, or use another prefix")
    }
    state.withLock { state in
      state.isKnown = true
      state.refusal = nil
    }
  }

  private func command(_ connection: ScriptConnection) -> RedisCommand {
    let (host, types) = state.withLock { ($0.host, $0.types) }
    var call = connection.command(.register)
    call.add(host)
    var writer = JSONWriter()
    writer.beginObject()
    writer.member("name", name)
    writer.key("types")
    writer.beginArray()
    for type in types { writer.string(type.name) }
    writer.endArray()
    writer.key("formats")
    writer.raw(Array("[1]".utf8))
    writer.endObject()
    call.add(writer.bytes)
    for type in types {
      call.add(type.name)
      call.add(type.json)
    }
    return call.command
  }
}
