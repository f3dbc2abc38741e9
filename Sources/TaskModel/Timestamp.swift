// SPDX-License-Identifier: Apache-2.0

/// A point in time in milliseconds since 1970, by Redis' clock unless said otherwise.
package struct Timestamp: Hashable, Sendable, Comparable {
  package var millis: Int64

  package init(millis: Int64) {
    self.millis = millis
  }

  package static func < (a: Timestamp, b: Timestamp) -> Bool { a.millis < b.millis }

  /// ISO 8601 in UTC with milliseconds, as in `2026-11-24T10:03:33.120Z`.
  package var iso8601: String {
    let (day, rest) = millis.dividedDown(by: 86_400_000)
    let date = CivilDate(dayNumber: day)
    let seconds = rest / 1000
    return "\(padded(date.year, 4))-\(padded(Int64(date.month), 2))-\(padded(Int64(date.day), 2))T"
      + "\(padded(seconds / 3600, 2)):\(padded(seconds / 60 % 60, 2)):\(padded(seconds % 60, 2))"
      + ".\(padded(rest % 1000, 3))Z"
  }
}

private func padded(_ value: Int64, _ width: Int) -> String {
  let digits = String(value)
  return String(repeating: "0", count: max(0, width - digits.count)) + digits
}
