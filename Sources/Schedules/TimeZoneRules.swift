// SPDX-License-Identifier: Apache-2.0

/// When a zone of the IANA database is how far from UTC.
package struct TimeZoneRules: Sendable, Equatable {
  /// As in `Europe/Berlin`.
  package let name: String
  /// Before the first transition.
  private let firstOffset: Int64
  /// In ascending order.
  private let transitions: [ZoneTransition]
  /// What holds after the last transition; nil: nothing changes any more.
  private let rule: ZoneRule?

  init(name: String, firstOffset: Int64, transitions: [ZoneTransition], rule: ZoneRule?) {
    self.name = name
    self.firstOffset = firstOffset
    self.transitions = transitions
    self.rule = rule
  }

  package static let utc = TimeZoneRules(name: "UTC", firstOffset: 0, transitions: [], rule: nil)

  /// The longest stretch of one offset around `second`, or a part of it, never empty.
  func period(containing second: Int64) -> ZonePeriod {
    let index = transitions.partitioningIndex { $0.at > second }
    if index < transitions.count {
      return ZonePeriod(
        start: index == 0 ? ZonePeriod.farPast : transitions[index - 1].at, end: transitions[index].at,
        offset: index == 0 ? firstOffset : transitions[index - 1].offset)
    }
    let last = transitions.last ?? ZoneTransition(at: ZonePeriod.farPast, offset: firstOffset)
    guard let period = rule?.period(containing: second) else {
      return ZonePeriod(start: last.at, end: ZonePeriod.farFuture, offset: last.offset)
    }
    return ZonePeriod(start: max(last.at, period.start), end: period.end, offset: period.offset)
  }
}

/// From one moment on, clocks differ from UTC by `offset`; both in seconds, `at` after 1970, east positive.
struct ZoneTransition: Sendable, Equatable {
  let at: Int64
  let offset: Int64
}

/// A stretch of time with one offset; seconds after 1970, `end` excluded.
struct ZonePeriod: Sendable, Equatable {
  let start: Int64
  let end: Int64
  let offset: Int64

  /// Stand for no limit, with room to count further in both directions.
  static let farPast = Int64.min / 4
  static let farFuture = Int64.max / 4
}

extension RandomAccessCollection where Index == Int {
  /// The first index whose element, with all after it, fulfils the predicate; binary search.
  func partitioningIndex(where isInSecondPart: (Element) -> Bool) -> Int {
    var (low, high) = (startIndex, endIndex)
    while low < high {
      let middle = low + (high - low) / 2
      if isInSecondPart(self[middle]) { high = middle } else { low = middle + 1 }
    }
    return low
  }
}
