// SPDX-License-Identifier: Apache-2.0
internal import Synchronization
internal import Threading

/// The batches that this worker took and has not finished, for the comparison with what Redis thinks it has.
///
/// A batch leaves only when the call that empties it was answered: a heartbeat that overtakes the call must still name it.
final class BatchLedger: Sendable {
  private struct State {
    var next: Int64 = 1
    var last: Int64 = 0
    var open: [Int64: Int] = [:]
  }

  private let state = Lock(State())

  /// A number for a take; never used twice, also when the take fails.
  func number() -> Int64 {
    state.withLock { state in
      defer { state.next += 1 }
      return state.next
    }
  }

  /// The take of this number was answered with `count` tasks.
  func answered(_ batch: Int64, count: Int) {
    state.withLock { state in
      state.last = max(state.last, batch)
      if count > 0 { state.open[batch] = count }
    }
  }

  /// The connection broke: no take under way will be answered any more.
  func gaveUp() {
    state.withLock { $0.last = $0.next - 1 }
  }

  /// Which of the batches would be empty if this many of their tasks were done.
  func emptied(by done: [Int64: Int]) -> [Int64] {
    state.withLock { state in done.filter { state.open[$0.key] == $0.value }.map(\.key) }
  }

  /// Tasks of the batch are done.
  ///
  /// Returns whether it is empty now.
  func settle(_ batch: Int64) -> Bool {
    state.withLock { state in
      guard let left = state.open[batch] else { return false }
      state.open[batch] = left > 1 ? left - 1 : nil
      return left <= 1
    }
  }

  /// How many tasks of all batches are not done.
  var openTasks: Int { state.withLock { $0.open.values.reduce(0, +) } }

  /// The last batch answered or given up, and those up to it that have work left.
  var standing: (last: Int64, held: [Int64]) {
    state.withLock { ($0.last, $0.open.keys.sorted()) }
  }
}
