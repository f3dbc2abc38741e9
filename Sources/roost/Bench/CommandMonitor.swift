// SPDX-License-Identifier: Apache-2.0
internal import Redis
internal import TaskModel
internal import Threading

/// Who sends which command: clients, or scripts inside Redis.
///
/// Redis counts both alike (`total_commands_processed`, `commandstats`); only MONITOR tells them apart, and is too dear
/// to run while something is measured. So a short run before shows which share of each command comes from clients, and
/// what is made of it is an estimate where both send a command.
struct CommandSenders: Sendable {
  var clients: [String: Int] = [:]
  var scripts: [String: Int] = [:]

  /// How many of these calls came from clients; a command that was not seen before counts as theirs.
  func sentByClients(_ calls: [(command: String, count: Int64)]) -> Double {
    calls.reduce(0) { sum, call in
      let (ours, theirs) = (clients[call.command] ?? 0, scripts[call.command] ?? 0)
      return sum + Double(call.count) * (ours + theirs == 0 ? 1 : Double(ours) / Double(ours + theirs))
    }
  }
}

/// Listens to all commands of a Redis until it is ended.
final class CommandMonitor {
  private struct State {
    var senders = CommandSenders()
    var interrupter: RedisInterrupter?
    var failure: RedisError?
  }

  private let state = Monitor(State())
  private let thread: NativeThread

  /// Returns once Redis tells what comes; nil: it does not let this user listen.
  init?(_ address: RedisAddress) throws(CommandError) {
    thread = NativeThread(name: "monitor") { [state] in Self.listen(address, state) }
    let failure = state.wait { state -> RedisError?? in
      state.failure != nil ? .some(state.failure) : state.interrupter != nil ? .some(nil) : nil
    }
    if case .some(.some(let error)) = failure {
      thread.join()
      if case .refused = error { return nil }
      throw .failed(error.description)
    }
  }

  /// Ends listening and answers what was heard.
  func end() -> CommandSenders {
    state.withLock { $0.interrupter }?.interrupt()
    thread.join()
    return state.withLock { $0.senders }
  }

  private static func listen(_ address: RedisAddress, _ state: Monitor<State>) {
    do throws(RedisError) {
      let redis = try RedisConnection(to: address, timeout: nil)
      _ = try redis.call(RedisCommand(words: "MONITOR"))
      state.withLock { $0.interrupter = redis.interrupter }
      state.signal()
      while true {
        guard case .status(let line) = try redis.reply(), let (command, isScript) = parse(line) else { continue }
        state.withLock { state in
          if isScript {
            state.senders.scripts[command, default: 0] += 1
          } else {
            state.senders.clients[command, default: 0] += 1
          }
        }
      }
    } catch {
      state.withLock { $0.failure = error }
      state.signal()
    }
  }

  /// Reads `1339518083.107412 [0 lua] "get" …`; a client has its address in place of `lua`.
  private static func parse(_ line: String) -> (command: String, isScript: Bool)? {
    let bytes = line.utf8
    guard let open = bytes.firstIndex(of: UInt8(ascii: "[")),
      let close = bytes[open...].firstIndex(of: UInt8(ascii: "]")),
      let quote = bytes[close...].firstIndex(of: UInt8(ascii: "\""))
    else { return nil }
    let name = bytes[bytes.index(after: quote)...].prefix { $0 != UInt8(ascii: "\"") }
    return (String(decoding: name, as: UTF8.self).lowercased(), line[open..<close].hasSuffix(" lua"))
  }
}
