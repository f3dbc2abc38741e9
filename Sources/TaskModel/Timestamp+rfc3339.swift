// SPDX-License-Identifier: Apache-2.0

extension Timestamp {
  /// Reads a time of RFC 3339 with its offset, as in `2026-11-24T18:03:33.5+08:00`; nil for anything else.
  ///
  /// Of a fraction the milliseconds are kept; the second 60 is the leap second at 23:59 UTC, and the one after it.
  package init?(rfc3339 text: String) {
    var reader = DigitReader(text.utf8)
    guard let year = reader.number(4), reader.take("-"), let month = reader.number(2), reader.take("-"),
      let day = reader.number(2), (1...12).contains(month),
      reader.take("T") || reader.take("t"), let hour = reader.number(2), hour < 24, reader.take(":"),
      let minute = reader.number(2), minute < 60, reader.take(":"), let second = reader.number(2), second <= 60,
      let fraction = reader.fraction(), let offset = reader.offset(), reader.isAtEnd
    else { return nil }
    let date = CivilDate(year: year, month: Int(month), day: Int(day))
    let minutes = (date.dayNumber * 24 + hour) * 60 + minute - offset
    guard CivilDate(dayNumber: date.dayNumber) == date, second < 60 || minutes.dividedDown(by: 1440).remainder == 1439
    else { return nil }
    self.init(millis: (minutes * 60 + second) * 1000 + fraction)
  }
}

/// Takes a text apart from its start.
private struct DigitReader {
  private var rest: Substring.UTF8View

  init(_ text: String.UTF8View) {
    rest = text[...]
  }

  var isAtEnd: Bool { rest.isEmpty }

  mutating func take(_ character: Unicode.Scalar) -> Bool {
    guard rest.first == UInt8(ascii: character) else { return false }
    rest.removeFirst()
    return true
  }

  mutating func digit() -> Int64? {
    guard let byte = rest.first, (0x30...0x39).contains(byte) else { return nil }
    rest.removeFirst()
    return Int64(byte - 0x30)
  }

  /// Exactly so many digits.
  mutating func number(_ count: Int) -> Int64? {
    var number: Int64 = 0
    for _ in 0..<count {
      guard let digit = digit() else { return nil }
      number = number * 10 + digit
    }
    return number
  }

  /// Milliseconds of a fraction of a second, which may be missing.
  mutating func fraction() -> Int64? {
    guard take(".") else { return 0 }
    guard let first = digit() else { return nil }
    var millis = first * 100
    var unit: Int64 = 10
    while let digit = digit() {
      millis += digit * unit
      unit /= 10
    }
    return millis
  }

  /// Minutes that a local time is ahead of UTC.
  mutating func offset() -> Int64? {
    if take("Z") || take("z") { return 0 }
    let isBehind = take("-")
    guard isBehind || take("+"), let hours = number(2), hours < 24, take(":"), let minutes = number(2), minutes < 60
    else { return nil }
    return (hours * 60 + minutes) * (isBehind ? -1 : 1)
  }
}
