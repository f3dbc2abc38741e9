// SPDX-License-Identifier: Apache-2.0

/// How a worker leaves, because its host says so or because of code that does not stop; it decides, others act.
///
/// Times are milliseconds of one clock.
struct Departure {
  enum Step: Equatable {
    case wait
    /// What runs is to be told that the worker must go.
    case press
    /// Everything is written or given back.
    case end
    /// What still runs ends with the process.
    case breakOff
  }

  /// When the time of what runs is over.
  private(set) var end = Int64.max
  private var pressesAt = Int64.max
  private var hasPressed = false
  /// Whether the process ends at its time whatever runs; a host that said drain sees to that itself.
  private(set) var isForced = false

  /// Before the end of a drain running tasks are told so early that the worker must go; of a short drain, after half of it.
  static let warning: Int64 = 5000
  /// What ends a worker by its own doing holds it up no longer than this.
  static let longestForced: Int64 = 60_000
  /// Outcomes get so much longer while Redis is away.
  static let lastWrites: Int64 = 2000

  /// The host wants the worker to go; said again, the shorter time holds.
  mutating func told(at now: Int64, within millis: Int64) {
    let end = now + min(max(0, millis), .max / 4)
    self.end = min(self.end, end)
    pressesAt = min(pressesAt, end - min(Self.warning, (end - now) / 2))
  }

  /// Code does not stop; its neighbours need up to `millis` to come to an end.
  mutating func forced(at now: Int64, neighboursNeed millis: Int64) {
    if isForced { return }
    isForced = true
    let millis = min(max(0, millis), Self.longestForced)
    end = max(now, min(end, now + millis))
    pressesAt = min(pressesAt, now + millis / 2)
  }

  func left(at now: Int64) -> Int64 { max(0, end - now) }

  /// `isDone`: nothing runs but what does not stop, and everything is written; `isWritten`: what has ended is.
  mutating func step(at now: Int64, isDone: Bool, isWritten: Bool) -> Step {
    if isDone { return isForced ? .breakOff : .end }
    if isForced, now >= end, isWritten || now - end >= Self.lastWrites { return .breakOff }
    guard !hasPressed, now >= pressesAt else { return .wait }
    hasPressed = true
    return .press
  }
}
