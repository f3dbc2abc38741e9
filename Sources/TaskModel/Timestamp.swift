// SPDX-License-Identifier: Apache-2.0

/// A point in time in milliseconds since 1970, by Redis' clock unless said otherwise.
package struct Timestamp: Hashable, Sendable, Comparable {
  package var millis: Int64

  package init(millis: Int64) {
    self.millis = millis
  }

  package static func < (a: Timestamp, b: Timestamp) -> Bool { a.millis < b.millis }

  /// ISO 8601 in UTC with milliseconds, as in `2026-11-24T10:03:33.120Z`.
  ///
  /// Days to date after Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", civil_from_days.
  package var iso8601: String {
    let (days, rest) = floorDivide(millis, 86_400_000)
    let z = days + 719_468
    let (era, dayOfEra) = floorDivide(z, 146_097)
    let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
    let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let shifted = (5 * dayOfYear + 2) / 153
    let day = dayOfYear - (153 * shifted + 2) / 5 + 1
    let month = shifted < 10 ? shifted + 3 : shifted - 9
    let year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
    let seconds = rest / 1000
    return "\(padded(year, 4))-\(padded(month, 2))-\(padded(day, 2))T"
      + "\(padded(seconds / 3600, 2)):\(padded(seconds / 60 % 60, 2)):\(padded(seconds % 60, 2))"
      + ".\(padded(rest % 1000, 3))Z"
  }
}

private func floorDivide(_ value: Int64, _ divisor: Int64) -> (quotient: Int64, remainder: Int64) {
  let remainder = ((value % divisor) + divisor) % divisor
  return ((value - remainder) / divisor, remainder)
}

private func padded(_ value: Int64, _ width: Int) -> String {
  let digits = String(value)
  return String(repeating: "0", count: max(0, width - digits.count)) + digits
}
