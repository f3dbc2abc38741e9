// SPDX-License-Identifier: Apache-2.0
internal import Synchronization
internal import Threading

/// The batches that this worker took and has not finished, for the comparison with what Redis thinks it has.
///
/// A batch leaves only when the call that empties it was answered: a heartbeat that overtakes the call must still name it.
final class BatchLedger: Sendable {
  /// How many tasks of each of some batches.
  struct Tally {
    fileprivate var counts: [(batch: Int64, count: Int)] = []

    mutating func add(_ batch: Int64) {
      // Mostly the last one again, and never many.
      if let index = counts.lastIndex(where: { $0.batch == batch }) {
        counts[index].count += 1
      } else {
        counts.append((batch, 1))
      }
    }
  }

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
  func emptied(by done: Tally) -> [Int64] {
    state.withLock { state in done.counts.filter { state.open[$0.batch] == $0.count }.map(\.batch) }
  }

  /// Tasks of the batches are done; returns the batches that are empty now.
  func settle(_ done: Tally) -> [Int64] {
    state.withLock { state in
      var empty: [Int64] = []
      for (batch, count) in done.counts {
        guard let left = state.open[batch] else { continue }
        state.open[batch] = left > count ? left - count : nil
        if left <= count { empty.append(batch) }
      }
      return empty
    }
  }

  /// How many tasks of all batches are not done.
  var openTasks: Int { state.withLock { $0.open.values.reduce(0, +) } }

  /// The last batch answered or given up, and those up to it that have work left.
  var standing: (last: Int64, held: [Int64]) {
    state.withLock { ($0.last, $0.open.keys.sorted()) }
  }
}
