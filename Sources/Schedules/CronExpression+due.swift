// SPDX-License-Identifier: Apache-2.0
package import TaskModel

extension CronExpression {
  /// The first due time after `after`; nil when there is none within 400 years or before the year 10000.
  ///
  /// Where clocks are put forward, a fixed time in the gap is due once at the first moment after it; where they are put
  /// back, a fixed time in the overlap is due the first time only. With a minute or hour of `*` or `*/n`, real time counts: due
  /// in both passes of an overlap, not due in a gap. As Vixie cron has it (`man 8 cron`), without its limit of three
  /// hours: a zone that leaves out a whole day is treated no differently.
  package func next(after: Timestamp, in zone: TimeZoneRules) -> Timestamp? {
    // Whole seconds suffice: offsets have no fractions.
    let earliest = after.millis.dividedDown(by: 1000).quotient + 1
    let horizon = min(earliest + daysPerCycle * secondsPerDay, endOf9999)
    // What the clock has shown before counts for fixed times only, and no two offsets differ by two days.
    var period = zone.period(containing: followsRealTime ? earliest : earliest - 2 * secondsPerDay)
    /// Every local time before this one has been shown, or left out and made up for.
    var shown = earliest - 2 * secondsPerDay + period.offset
    while period.start < horizon {
      let (start, end) = (period.start + period.offset, period.end + period.offset)
      var from = max(start, earliest + period.offset)
      if !followsRealTime {
        // A gap is searched with the period after it.
        from = earliest > period.start ? max(shown, earliest + period.offset) : shown
      }
      if let match = firstMatch(from: from, before: end) {
        let due = max(match, start) - period.offset
        return due < horizon ? Timestamp(millis: due * 1000) : nil
      }
      shown = max(shown, end)
      guard period.end < horizon else { return nil }
      period = zone.period(containing: period.end)
    }
    return nil
  }

  /// The last due time in (`since`, `notAfter`], for what was missed; nil when there is none.
  package func latest(notAfter: Timestamp, since: Timestamp, in zone: TimeZoneRules) -> Timestamp? {
    func next(after millis: Int64) -> Int64? {
      let due = self.next(after: Timestamp(millis: millis), in: zone)?.millis
      return due.flatMap { $0 <= notAfter.millis ? $0 : nil }
    }
    guard since < notAfter, var found = next(after: since.millis) else { return nil }
    // Nothing is due in (end, notAfter].
    var end = notAfter.millis
    while found < end {
      let middle = found + (end - found) / 2
      if let later = next(after: middle) { found = later } else { end = middle }
    }
    return Timestamp(millis: found)
  }
}

/// 10000-01-01 in seconds after 1970: where ISO 8601 has no more digits for the year.
private let endOf9999: Int64 = 253_402_300_800
