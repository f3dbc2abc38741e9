// SPDX-License-Identifier: Apache-2.0
internal import TaskModel

/// Waiting times that double up to a limit, with jitter so that many do not come back at once.
package struct Backoff: Sendable {
  private let initial: Int64
  private let limit: Int64
  private var current: Int64

  package init(initial: Duration, limit: Duration) {
    self.initial = initial.millis * 1_000_000
    self.limit = limit.millis * 1_000_000
    current = self.initial
  }

  /// Nanoseconds to wait now.
  package mutating func next() -> Int64 {
    defer { current = min(limit, current * 2) }
    return Int64.random(in: current / 2...current)
  }

  package mutating func reset() { current = initial }
}
