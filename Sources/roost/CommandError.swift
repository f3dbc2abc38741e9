// SPDX-License-Identifier: Apache-2.0

/// What the shell gets.
enum ExitCode: Int32, Sendable {
  case ok = 0
  /// A bad config, a task that is not COMPLETED, a host that refused.
  case failed = 1
  case usage = 2
  case notFound = 3
  case unreachable = 4
}

/// Why a verb ends early: one message and its exit code.
struct CommandError: Error, Sendable {
  let exitCode: ExitCode
  /// Empty: everything was said already.
  let message: String
  /// Lines below the message, printed as they are.
  var notes: [String] = []

  static func failed(_ message: String) -> CommandError { CommandError(exitCode: .failed, message: message) }
  static func notFound(_ message: String) -> CommandError { CommandError(exitCode: .notFound, message: message) }
  static func unreachable(_ message: String) -> CommandError { CommandError(exitCode: .unreachable, message: message) }

  static func usage(_ message: String, verb: Verb?) -> CommandError {
    let command = verb.map { "roost \($0.name)" } ?? "roost"
    return CommandError(exitCode: .usage, message: message, notes: ["See \(command) --help."])
  }
}
