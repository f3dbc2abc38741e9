// SPDX-License-Identifier: Apache-2.0
internal import Synchronization
internal import Threading

/// The [control thread] of the ABI: whoever has the turn, one at a time in the process.
enum ControlThread {
  private static let turn = Lock<Void>(())

  /// Calls into plugins that are marked [control thread] stand inside; they may block, and the next then waits.
  static func take<R: Sendable, E: Error>(_ body: () throws(E) -> R) throws(E) -> R {
    try turn.withLock { (_) throws(E) -> R in try body() }
  }
}
