// SPDX-License-Identifier: Apache-2.0
internal import TaskModel

/// The rule for all years to come at the end of a TZif file, in the form of the POSIX variable TZ.
///
/// As in `CET-1CEST,M3.5.0,M10.5.0/3`; RFC 8536 section 3.3 has the extensions.
struct ZoneRule: Sendable, Equatable {
  /// Seconds east of UTC.
  let standardOffset: Int64
  let daylight: Daylight?

  struct Daylight: Sendable, Equatable {
    /// Seconds east of UTC; less than the standard one where winter is what differs, as in Dublin.
    let offset: Int64
    /// By the standard clock.
    let start: YearlyMoment
    /// By the daylight clock.
    let end: YearlyMoment
  }

  func period(containing second: Int64) -> ZonePeriod {
    guard let daylight else {
      return ZonePeriod(start: ZonePeriod.farPast, end: ZonePeriod.farFuture, offset: standardOffset)
    }
    let year = CivilDate(dayNumber: second.dividedDown(by: secondsPerDay).quotient).year
    // Two years on each side, since a moment may lie a week outside its year and offsets may make it a day more.
    let changes = (year - 2...year + 2).flatMap { year in
      // Where daylight time never ends, its end coincides with the next year's start and must come first.
      [
        ZoneTransition(at: daylight.end.second(in: year) - daylight.offset, offset: standardOffset),
        ZoneTransition(at: daylight.start.second(in: year) - standardOffset, offset: daylight.offset),
      ]
    }.enumerated().sorted { ($0.element.at, $0.offset) < ($1.element.at, $1.offset) }.map(\.element)
    let next = changes.partitioningIndex { $0.at > second }
    return ZonePeriod(start: changes[next - 1].at, end: changes[next].at, offset: changes[next - 1].offset)
  }
}

/// A moment that comes once a year by a local clock.
struct YearlyMoment: Sendable, Equatable {
  enum Day: Sendable, Equatable {
    /// `Jn`: 1 to 365, the 29th of February never counted.
    case julian(Int)
    /// `n`: 0 to 365, the 29th of February counted.
    case ordinal(Int)
    /// `Mm.w.d`: day 0 to 6 of week 1 to 5 of a month, 5 being the last.
    case weekday(month: Int, week: Int, day: Int)
  }

  let day: Day
  /// After midnight; may be negative or more than a day.
  let seconds: Int64

  /// In seconds after 1970 of that clock.
  func second(in year: Int64) -> Int64 { dayNumber(in: year) * secondsPerDay + seconds }

  private func dayNumber(in year: Int64) -> Int64 {
    let newYear = CivilDate(year: year, month: 1, day: 1).dayNumber
    switch day {
    case .julian(let day):
      let march = CivilDate(year: year, month: 3, day: 1).dayNumber
      return newYear + Int64(day) - 1 + (day >= 60 && march - newYear == 60 ? 1 : 0)
    case .ordinal(let day): return newYear + Int64(day)
    case .weekday(let month, let week, let day):
      let first = CivilDate(year: year, month: month, day: 1).dayNumber
      let next = month == 12 ? newYear + 366 : CivilDate(year: year, month: month + 1, day: 1).dayNumber
      // 1970-01-01 was a Thursday, day 4.
      let wait = (Int64(day) - (first + 4)).dividedDown(by: 7).remainder
      let found = first + wait + Int64(week - 1) * 7
      return found < next ? found : found - 7
    }
  }
}
