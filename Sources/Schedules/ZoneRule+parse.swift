// SPDX-License-Identifier: Apache-2.0

extension ZoneRule {
  /// Reads the text of a rule; nil when it is none.
  init?(_ text: some Collection<UInt8>) {
    var scanner = RuleScanner(rest: text[...].map { $0 }[...])
    guard scanner.name(), let offset = scanner.offset() else { return nil }
    standardOffset = -offset
    guard !scanner.rest.isEmpty else {
      daylight = nil
      return
    }
    guard scanner.name() else { return nil }
    var daylightOffset = standardOffset + 3600
    if scanner.rest.first != UInt8(ascii: ",") {
      guard let offset = scanner.offset() else { return nil }
      daylightOffset = -offset
    }
    guard let start = scanner.moment(), let end = scanner.moment(), scanner.rest.isEmpty else { return nil }
    daylight = Daylight(offset: daylightOffset, start: start, end: end)
  }
}

private struct RuleScanner {
  var rest: ArraySlice<UInt8>

  /// The abbreviation of a time, which nobody needs: three letters or more, or anything in angle brackets.
  mutating func name() -> Bool {
    if take("<") {
      guard let end = rest.firstIndex(of: UInt8(ascii: ">")) else { return false }
      rest = rest[(end + 1)...]
      return true
    }
    let letters = rest.prefix { (0x41...0x5a).contains($0 & 0xdf) }
    rest = rest.dropFirst(letters.count)
    return letters.count >= 3
  }

  /// `[+-]h[:m[:s]]` in seconds.
  mutating func offset() -> Int64? {
    let sign: Int64 = take("-") ? -1 : 1
    if sign == 1 { _ = take("+") }
    guard let hours = number(upTo: 167) else { return nil }
    var seconds = hours * 3600
    for unit in [60, 1] where take(":") {
      guard let part = number(upTo: 59) else { return nil }
      seconds += part * unit
    }
    return sign * Int64(seconds)
  }

  /// `,date[/time]`.
  mutating func moment() -> YearlyMoment? {
    guard take(","), let day = day() else { return nil }
    guard take("/") else { return YearlyMoment(day: day, seconds: 2 * 3600) }
    return offset().map { YearlyMoment(day: day, seconds: $0) }
  }

  private mutating func day() -> YearlyMoment.Day? {
    if take("J") { return number(from: 1, upTo: 365).map { .julian($0) } }
    guard take("M") else { return number(upTo: 365).map { .ordinal($0) } }
    guard let month = number(from: 1, upTo: 12), take("."), let week = number(from: 1, upTo: 5), take("."),
      let day = number(upTo: 6)
    else { return nil }
    return .weekday(month: month, week: week, day: day)
  }

  private mutating func take(_ character: Unicode.Scalar) -> Bool {
    guard rest.first == UInt8(ascii: character) else { return false }
    rest = rest.dropFirst()
    return true
  }

  private mutating func number(from least: Int = 0, upTo most: Int) -> Int? {
    let digits = rest.prefix { (0x30...0x39).contains($0) }
    rest = rest.dropFirst(digits.count)
    return Int(String(decoding: digits, as: UTF8.self)).flatMap { (least...most).contains($0) ? $0 : nil }
  }
}
