// SPDX-License-Identifier: Apache-2.0
internal import TaskModel

/// Five fields that say at which minutes of the calendar something is due, as in crontab(5).
package struct CronExpression: Sendable, Equatable {
  /// As it was written.
  package let text: String
  /// True when the minute or the hour field starts with `*`: due times then follow real time where clocks are changed.
  let followsRealTime: Bool
  /// Bit n stands for the value n; day 7 of the week is bit 0.
  private let minutes: UInt64
  private let hours: UInt64
  private let daysOfMonth: UInt64
  private let months: UInt64
  private let daysOfWeek: UInt64
  /// The rule of Vixie cron: a day matches either field, unless one of them starts with `*`; then it matches both.
  private let eitherDay: Bool

  /// Reads `0 3 * * MON-FRI`, `@daily` and the like.
  ///
  /// Refuses what can never be due, as the 30th of February.
  package init(_ text: String) throws(CronError) {
    let fields = try CronFields(text)
    self.text = text
    minutes = fields.minute.values
    hours = fields.hour.values
    daysOfMonth = fields.dayOfMonth.values
    months = fields.month.values
    daysOfWeek = fields.dayOfWeek.values
    followsRealTime = fields.minute.startsWithStar || fields.hour.startsWithStar
    eitherDay = !fields.dayOfMonth.startsWithStar && !fields.dayOfWeek.startsWithStar
    if firstMatch(from: 0, before: .max) == nil { throw CronError(.neverDue(text)) }
  }

  /// The first matching minute in [`from`, `before`), both and the result in seconds of a clock without changes.
  ///
  /// Nil when there is none within 400 years, after which the calendar repeats.
  func firstMatch(from: Int64, before limit: Int64) -> Int64? {
    guard from < limit else { return nil }
    var (day, second) = from.dividedDown(by: secondsPerDay)
    let lastDay = min(day + daysPerCycle, (limit - 1).dividedDown(by: secondsPerDay).quotient)
    while day <= lastDay {
      let date = CivilDate(dayNumber: day)
      guard months.has(date.month) else {
        day = date.firstOfNextMonth.dayNumber
        second = 0
        continue
      }
      if matches(date, day), let minute = firstMinute(from: (second + 59) / 60) {
        let match = day * secondsPerDay + minute * 60
        return match < limit ? match : nil
      }
      day += 1
      second = 0
    }
    return nil
  }

  private func matches(_ date: CivilDate, _ dayNumber: Int64) -> Bool {
    let inMonth = daysOfMonth.has(date.day)
    // 1970-01-01 was a Thursday, day 4.
    let inWeek = daysOfWeek.has(Int((dayNumber + 4).dividedDown(by: 7).remainder))
    return eitherDay ? inMonth || inWeek : inMonth && inWeek
  }

  /// The first matching minute of a day that is not before `start`.
  private func firstMinute(from start: Int64) -> Int64? {
    let (hour, minute) = (Int(start / 60), Int(start % 60))
    if hours.has(hour), let minute = minutes.first(from: minute) { return Int64(hour * 60 + minute) }
    guard let hour = hours.first(from: hour + 1), let minute = minutes.first(from: 0) else { return nil }
    return Int64(hour * 60 + minute)
  }
}

let secondsPerDay: Int64 = 86_400
/// Days of 400 years, which are a whole number of weeks.
let daysPerCycle: Int64 = 146_097

extension UInt64 {
  fileprivate func has(_ value: Int) -> Bool { self >> UInt64(value) & 1 == 1 }

  fileprivate func first(from value: Int) -> Int? {
    let rest = self >> UInt64(value)
    return rest == 0 ? nil : value + rest.trailingZeroBitCount
  }
}

extension CivilDate {
  fileprivate var firstOfNextMonth: CivilDate {
    month == 12 ? CivilDate(year: year + 1, month: 1, day: 1) : CivilDate(year: year, month: month + 1, day: 1)
  }
}
