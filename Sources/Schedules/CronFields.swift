// SPDX-License-Identifier: Apache-2.0
internal import TaskModel

/// The fields of an expression, read but not yet looked at together.
struct CronFields {
  let minute: CronField
  let hour: CronField
  let dayOfMonth: CronField
  let month: CronField
  let dayOfWeek: CronField

  init(_ text: String) throws(CronError) {
    let words = try Self.fields(of: text)
    guard words.count == 5 else { throw CronError(.fieldCount(words.count, text)) }
    minute = try CronField(words[0], .minute)
    hour = try CronField(words[1], .hour)
    dayOfMonth = try CronField(words[2], .dayOfMonth)
    month = try CronField(words[3], .month)
    dayOfWeek = try CronField(words[4], .dayOfWeek)
  }

  /// The fields as they are written, or those that a nickname stands for.
  private static func fields(of text: String) throws(CronError) -> [Substring] {
    let words = words(text)
    guard let first = words.first, first.hasPrefix("@") else { return words }
    guard words.count == 1, let meaning = nicknames[first.lowercased()] else {
      throw CronError(.nickname(words.joined(separator: " "), among: nicknames.keys.sorted()))
    }
    return Self.words(meaning)
  }

  private static func words(_ text: String) -> [Substring] {
    text.split { $0 == " " || $0 == "\t" }
  }

  private static let nicknames = [
    "@hourly": "0 * * * *", "@daily": "0 0 * * *", "@midnight": "0 0 * * *", "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *", "@yearly": "0 0 1 1 *", "@annually": "0 0 1 1 *",
  ]
}

/// What one field may hold.
struct CronFieldKind: Sendable, Equatable {
  let label: String
  let range: ClosedRange<Int>
  /// Names in lower case; the first one stands for the first value of the range.
  let names: [String]

  static let minute = CronFieldKind(label: "minute", range: 0...59, names: [])
  static let hour = CronFieldKind(label: "hour", range: 0...23, names: [])
  static let dayOfMonth = CronFieldKind(label: "day of month", range: 1...31, names: [])
  static let month = CronFieldKind(
    label: "month", range: 1...12,
    names: ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"])
  static let dayOfWeek = CronFieldKind(
    label: "day of week", range: 0...7, names: ["sun", "mon", "tue", "wed", "thu", "fri", "sat"])

  /// As in `0 to 7 and SUN to SAT`.
  var allowed: String {
    let numbers = "\(range.lowerBound) to \(range.upperBound)"
    guard let first = names.first, let last = names.last else { return numbers }
    return "\(numbers) and \(first.uppercased()) to \(last.uppercased())"
  }

  /// How many values there are; 0 and 7 are one day of the week.
  var count: Int { self == .dayOfWeek ? 7 : range.count }
}

/// The values of one field.
struct CronField {
  /// Bit n stands for the value n; day 7 of the week is bit 0.
  private(set) var values: UInt64 = 0
  let startsWithStar: Bool

  init(_ text: Substring, _ kind: CronFieldKind) throws(CronError) {
    startsWithStar = text.hasPrefix("*")
    for part in text.split(separator: ",", omittingEmptySubsequences: false) {
      guard !part.isEmpty else { throw CronError(.emptyPart(kind, String(text))) }
      for value in try Self.values(part, kind) {
        values |= 1 << UInt64(kind == .dayOfWeek && value == 7 ? 0 : value)
      }
    }
  }

  /// One of `*`, `N`, `N-M`, `*/S` and `N-M/S`.
  private static func values(_ part: Substring, _ kind: CronFieldKind) throws(CronError) -> StrideThrough<Int> {
    let halves = part.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
    let step = halves.count == 2 ? try step(halves[1], kind) : 1
    let ends = halves[0].split(separator: "-", maxSplits: 1, omittingEmptySubsequences: false)
    if halves[0] == "*" {
      let last = kind.range.lowerBound + kind.count - 1
      return stride(from: kind.range.lowerBound, through: last, by: step)
    }
    let first = try value(ends[0].isEmpty ? part : ends[0], kind)
    guard ends.count == 2 else {
      if halves.count == 2 { throw CronError(.stepWithoutRange(kind, String(part), first: first, step: step)) }
      return stride(from: first, through: first, by: 1)
    }
    var last = try value(ends[1], kind)
    // FRI-SUN: a range that ends with Sunday ends with the week.
    if kind == .dayOfWeek, last == 0, first > 0 { last = 7 }
    guard first <= last else { throw CronError(.backwards(kind, String(halves[0]), first: first, last: last)) }
    return stride(from: first, through: last, by: step)
  }

  private static func value(_ text: Substring, _ kind: CronFieldKind) throws(CronError) -> Int {
    if let index = kind.names.firstIndex(of: text.lowercased()) { return kind.range.lowerBound + index }
    guard !text.isEmpty, text.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else {
      throw CronError(.noValue(kind, String(text)))
    }
    guard let number = Int(text), kind.range.contains(number) else {
      throw CronError(.outOfRange(kind, String(text)))
    }
    return number
  }

  private static func step(_ text: Substring, _ kind: CronFieldKind) throws(CronError) -> Int {
    guard !text.isEmpty, text.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let step = Int(text),
      (1...kind.count).contains(step)
    else { throw CronError(.badStep(kind, String(text))) }
    return step
  }
}
