// SPDX-License-Identifier: Apache-2.0
@testable import Schedules
import TaskModel
import TestSupport
import Testing

@Suite("Due times where clocks are changed")
struct DueTimeTests {
  @Test("Due times around real changes are those that were worked out apart", arguments: ExpectedTimes.all)
  func table(_ expected: ExpectedTimes) throws {
    let (cron, zone) = (try CronExpression(expected.cron), try TimeZoneRules.load(expected.zone))
    var found: [Timestamp] = []
    var time = instant(expected.start)
    while let next = cron.next(after: time, in: zone), next <= instant(expected.end) {
      found.append(next)
      time = next
    }
    #expect(found.map(text) == expected.times)
    // And backwards, each from the one after it.
    var backwards: [Timestamp] = []
    var end = instant(expected.end)
    while let latest = cron.latest(notAfter: end, since: instant(expected.start), in: zone) {
      backwards.append(latest)
      end = Timestamp(millis: latest.millis - 1)
    }
    #expect(backwards.reversed() == found)
  }

  /// Minute by minute through real time: a fixed time is due when the clock comes to it or leaves it out.
  private func walk(
    _ cron: CronExpression, _ zone: TimeZoneRules, after start: Timestamp, minutes: Int
  ) -> [Timestamp] {
    let followsRealTime = cron.text.split(separator: " ").prefix(2).contains { $0.hasPrefix("*") }
    let begin = start.millis / 1000 - 2 * 86_400
    var shown = begin + zone.period(containing: begin).offset - 60
    var found: [Timestamp] = []
    for second in stride(from: begin, through: start.millis / 1000 + Int64(minutes) * 60, by: 60) {
      let local = second + zone.period(containing: second).offset
      let first = followsRealTime ? local : shown + 60
      let isDue = cron.firstMatch(from: first, before: local + 60) != nil
      shown = max(shown, local)
      if isDue, second * 1000 > start.millis { found.append(Timestamp(millis: second * 1000)) }
    }
    return found
  }

  private func field(_ range: ClosedRange<Int>, _ generator: inout SeededGenerator, stars: Bool = true) -> String {
    switch Int.random(in: stars ? 0...4 : 2...4, using: &generator) {
    case 0: return "*"
    case 1: return "*/\(Int.random(in: 1...range.count, using: &generator))"
    case 2: return "\(Int.random(in: range, using: &generator))"
    case 3:
      let first = Int.random(in: range, using: &generator)
      return "\(first)-\(Int.random(in: first...range.upperBound, using: &generator))"
    default:
      return (0...2).map { _ in "\(Int.random(in: range, using: &generator))" }.joined(separator: ",")
    }
  }

  @Test(
    "Random expressions are due exactly when a walk through the minutes says so",
    arguments: [
      ("Europe/Berlin", "2024-03-30T00:00Z"), ("Europe/Berlin", "2024-10-26T00:00Z"),
      ("Australia/Lord_Howe", "2024-04-06T00:00Z"), ("Australia/Lord_Howe", "2024-10-05T00:00Z"),
      ("Pacific/Apia", "2011-12-29T06:00Z"), ("Pacific/Kwajalein", "1969-09-30T00:00Z"),
      ("Europe/Dublin", "2024-10-26T00:00Z"), ("America/Santiago", "2024-04-06T00:00Z"),
      ("Africa/Cairo", "2024-10-30T12:00Z"), ("America/Scoresbysund", "2024-03-30T12:00Z"),
      ("Antarctica/Troll", "2024-03-30T12:00Z"), ("UTC", "2024-02-28T12:00Z"),
    ])
  func random(_ name: String, _ start: String) throws {
    let seed = UInt64.random(in: 0 ... .max)
    var generator = SeededGenerator(seed: seed)
    let (zone, start) = (try TimeZoneRules.load(name), instant(start))
    let minutes = 2 * 1440
    let end = Timestamp(millis: start.millis + Int64(minutes) * 60_000)
    for _ in 0..<150 {
      let hour = field(0...23, &generator, stars: Bool.random(using: &generator))
      let text = "\(field(0...59, &generator)) \(hour) * * \(field(0...6, &generator))"
      let cron = try CronExpression(text)
      let expected = walk(cron, zone, after: start, minutes: minutes)
      var found: [Timestamp] = []
      var time = start
      while let next = cron.next(after: time, in: zone), next <= end {
        try #require(next > time, "seed \(seed): \(text) does not go on after \(time)")
        found.append(next)
        time = next
      }
      try #require(found == expected, "seed \(seed): \(text)")
      try #require(cron.latest(notAfter: end, since: start, in: zone) == expected.last, "seed \(seed): \(text)")
      // From any moment, not only from one due time to the next.
      let moment = Int64.random(in: start.millis..<end.millis, using: &generator)
      let next = cron.next(after: Timestamp(millis: moment), in: zone)
      let wanted = expected.first { $0.millis > moment }
      try #require(next == wanted || wanted == nil, "seed \(seed): \(text) after \(moment)")
    }
  }

  @Test("Over centuries each due time is later than the one before and matches by the zone's clock, or ends a gap")
  func centuries() throws {
    for name in ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Europe/Dublin", "Pacific/Apia"] {
      let zone = try TimeZoneRules.load(name)
      for text in ["30 2 * * *", "0 0 29 2 *", "15 1 */9 3,10 SUN", "0 */7 1 * *"] {
        let cron = try CronExpression(text)
        var time = instant("1950-01-01T00:00Z")
        var count = 0
        while let next = cron.next(after: time, in: zone), count < 3000 {
          try #require(next > time)
          let period = zone.period(containing: next.millis / 1000)
          let local = next.millis / 1000 + period.offset
          let matches = cron.firstMatch(from: local, before: local + 60) == local
          try #require(matches || next.millis / 1000 == period.start, "\(text) in \(name) at \(next.iso8601)")
          time = next
          count += 1
        }
        #expect(count == 3000 || time > instant("9900-01-01T00:00Z"))
      }
    }
  }

  @Test("A time that was shown is not due again when clocks are put back a second time before it comes round")
  func putBackTwice() throws {
    let zone = TimeZoneRules(
      name: "Test", firstOffset: 7200,
      transitions: [ZoneTransition(at: 0, offset: 3600), ZoneTransition(at: 1800, offset: 0)], rule: nil)
    // 01:40 is shown at 23:40Z, and again at 01:40Z after it was 02:00, 01:00, 01:30 and 00:30.
    #expect(
      due(try CronExpression("40 1 * * *"), zone, after: "1969-12-31T12:00Z", count: 2)
        == ["1969-12-31T23:40Z", "1970-01-02T01:40Z"])
    #expect(
      due(try CronExpression("40 */1 * * *"), zone, after: "1969-12-31T23:00Z", count: 3)
        == ["1969-12-31T23:40Z", "1970-01-01T00:40Z", "1970-01-01T01:40Z"])
  }

  @Test("The latest due time of a long stretch is found, also where many lie close together or none at all")
  func latest() throws {
    let zone = try TimeZoneRules.load("Europe/Berlin")
    func latest(_ cron: String, since: String, notAfter: String) throws -> String? {
      try CronExpression(cron).latest(notAfter: instant(notAfter), since: instant(since), in: zone).map(text)
    }
    #expect(try latest("* * 1 1 *", since: "1970-01-01T00:00Z", notAfter: "2024-06-01T00:00Z") == "2024-01-01T22:59Z")
    #expect(try latest("@yearly", since: "2024-01-01T00:00Z", notAfter: "2024-12-31T00:00Z") == nil)
    #expect(
      try latest("@yearly", since: "2023-12-31T22:59Z", notAfter: "2023-12-31T23:00Z") == "2023-12-31T23:00Z")
    #expect(try latest("@yearly", since: "2023-12-31T23:00Z", notAfter: "2023-12-31T23:00Z") == nil)
    #expect(try latest("@yearly", since: "2024-12-31T23:00Z", notAfter: "2023-12-31T23:00Z") == nil)
    #expect(try latest("30 2 * * *", since: "2024-03-31T00:00Z", notAfter: "2024-03-31T12:00Z") == "2024-03-31T01:00Z")
  }
}
