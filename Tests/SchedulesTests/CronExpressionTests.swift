// SPDX-License-Identifier: Apache-2.0
import Schedules
import TaskModel
import Testing

@Suite("Cron expressions")
struct CronExpressionTests {
  @Test(
    "Values, names, lists, ranges and steps are read",
    arguments: [
      ("59 23 31 12 *", ["2024-12-31T23:59Z", "2025-12-31T23:59Z"]),
      ("  0\t0  31 * * ", ["2024-01-31T00:00Z", "2024-03-31T00:00Z", "2024-05-31T00:00Z"]),
      ("5-20/5,40 8-10/2 * * *", ["2024-01-01T08:05Z", "2024-01-01T08:10Z", "2024-01-01T08:15Z", "2024-01-01T08:20Z"]),
      ("0 0 */10 * *", ["2024-01-11T00:00Z", "2024-01-21T00:00Z", "2024-01-31T00:00Z", "2024-02-01T00:00Z"]),
      ("0 0 * * 5-7", ["2024-01-05T00:00Z", "2024-01-06T00:00Z", "2024-01-07T00:00Z", "2024-01-12T00:00Z"]),
      ("0 0 * * fri-Sun", ["2024-01-05T00:00Z", "2024-01-06T00:00Z", "2024-01-07T00:00Z", "2024-01-12T00:00Z"]),
      ("0 0 * * 0", ["2024-01-07T00:00Z", "2024-01-14T00:00Z"]),
      ("0 0 * * 7", ["2024-01-07T00:00Z", "2024-01-14T00:00Z"]),
      ("0 0 * * SUN", ["2024-01-07T00:00Z", "2024-01-14T00:00Z"]),
      ("0 0 * * SUN-TUE", ["2024-01-02T00:00Z", "2024-01-07T00:00Z", "2024-01-08T00:00Z"]),
      ("0 0 * * */3", ["2024-01-03T00:00Z", "2024-01-06T00:00Z", "2024-01-07T00:00Z", "2024-01-10T00:00Z"]),
      ("0 0 1 1-12/5 *", ["2024-06-01T00:00Z", "2024-11-01T00:00Z", "2025-01-01T00:00Z"]),
      ("0 0 1 Feb,APR-may *", ["2024-02-01T00:00Z", "2024-04-01T00:00Z", "2024-05-01T00:00Z", "2025-02-01T00:00Z"]),
      ("*/60 */24 */31 */12 *", ["2025-01-01T00:00Z", "2026-01-01T00:00Z"]),
      ("007 00 02 01 *", ["2024-01-02T00:07Z"]),
      ("1,1,1 0 * * *", ["2024-01-01T00:01Z", "2024-01-02T00:01Z"]),
    ] as [(String, [String])])
  func fields(_ text: String, _ expected: [String]) throws {
    let cron = try CronExpression(text)
    #expect(cron.text == text)
    #expect(due(cron, .utc, after: "2024-01-01T00:00Z", count: expected.count) == expected)
  }

  @Test(
    "Nicknames in any case stand for five fields",
    arguments: [
      ("@hourly", ["2024-01-01T01:00Z", "2024-01-01T02:00Z"]), ("@daily", ["2024-01-02T00:00Z", "2024-01-03T00:00Z"]),
      ("@midnight", ["2024-01-02T00:00Z", "2024-01-03T00:00Z"]),
      ("@Weekly", ["2024-01-07T00:00Z", "2024-01-14T00:00Z"]),
      ("@monthly", ["2024-02-01T00:00Z", "2024-03-01T00:00Z"]),
      ("@YEARLY", ["2025-01-01T00:00Z", "2026-01-01T00:00Z"]),
      (" @annually ", ["2025-01-01T00:00Z", "2026-01-01T00:00Z"]),
    ] as [(String, [String])])
  func nicknames(_ text: String, _ expected: [String]) throws {
    #expect(due(try CronExpression(text), .utc, after: "2024-01-01T00:00Z", count: expected.count) == expected)
  }

  @Test(
    "A day has to match either day field, unless one of them starts with *; then both",
    arguments: [
      ("0 0 13 * FRI", ["2024-01-05T00:00Z", "2024-01-12T00:00Z", "2024-01-13T00:00Z", "2024-01-19T00:00Z"]),
      ("0 0 13 * *", ["2024-01-13T00:00Z", "2024-02-13T00:00Z"]),
      ("0 0 * * FRI", ["2024-01-05T00:00Z", "2024-01-12T00:00Z"]),
      ("0 0 */2 * MON", ["2024-01-15T00:00Z", "2024-01-29T00:00Z", "2024-02-05T00:00Z", "2024-02-19T00:00Z"]),
      ("0 0 1-31 * MON", ["2024-01-02T00:00Z", "2024-01-03T00:00Z"]),
      ("0 0 13 * */5", ["2024-09-13T00:00Z", "2024-10-13T00:00Z", "2024-12-13T00:00Z", "2025-04-13T00:00Z"]),
      ("0 0 31 2 MON", ["2024-02-05T00:00Z", "2024-02-12T00:00Z"]),
    ] as [(String, [String])])
  func days(_ text: String, _ expected: [String]) throws {
    #expect(due(try CronExpression(text), .utc, after: "2024-01-01T00:00Z", count: expected.count) == expected)
  }

  @Test("The 29th of February is found over the year 2100, which has none, and on a Sunday only each 28 or 40 years")
  func leapDays() throws {
    let leap = try CronExpression("0 0 29 2 *")
    #expect(due(leap, .utc, after: "2095-01-01T00:00Z", count: 2) == ["2096-02-29T00:00Z", "2104-02-29T00:00Z"])
    let sunday = try CronExpression("0 0 29 2 */7")
    let found = due(sunday, .utc, after: "2024-01-01T00:00Z", count: 5)
    #expect(found.map { $0.prefix(4) } == ["2032", "2060", "2088", "2128", "2156"])
  }

  @Test("Nothing is due after the year 9999")
  func endOfTime() throws {
    let cron = try CronExpression("@daily")
    #expect(cron.next(after: instant("9999-12-30T12:00Z"), in: .utc) == instant("9999-12-31T00:00Z"))
    #expect(cron.next(after: instant("9999-12-31T12:00Z"), in: .utc) == nil)
    #expect(cron.next(after: Timestamp(millis: .max), in: .utc) == nil)
  }

  @Test("A due time is a whole minute that is later, by a millisecond if need be")
  func boundaries() throws {
    let cron = try CronExpression("* * * * *")
    let minute = instant("2024-01-01T00:01Z")
    #expect(cron.next(after: Timestamp(millis: minute.millis - 1), in: .utc) == minute)
    #expect(cron.next(after: minute, in: .utc) == instant("2024-01-01T00:02Z"))
    #expect(cron.next(after: Timestamp(millis: minute.millis + 1), in: .utc) == instant("2024-01-01T00:02Z"))
    #expect(cron.next(after: Timestamp(millis: -1), in: .utc) == Timestamp(millis: 0))
    #expect(cron.next(after: Timestamp(millis: -60_001), in: .utc) == Timestamp(millis: -60_000))
  }

  @Test(
    "What is wrong is said with the field, what was found and what to write",
    arguments: [
      ("", #""" has 0 fields; write five: minute, hour, day of month, month, day of week"#),
      (" ", #"" " has 0 fields; write five: minute, hour, day of month, month, day of week"#),
      ("*", #""*" has 1 field; write five: minute, hour, day of month, month, day of week"#),
      ("0 3 * *", #""0 3 * *" has 4 fields; write five: minute, hour, day of month, month, day of week"#),
      ("0 0 3 * * *", #""0 0 3 * * *" has 6 fields; write five: minute, hour, day of month, month, day of week"#),
      ("0\n3\n*\n*\n*", "\"0\n3\n*\n*\n*\" has 1 field; write five: minute, hour, day of month, month, day of week"),
      ("60 * * * *", "minute 60 is out of range; allowed are 0 to 59"),
      ("99999999999999999999 * * * *", "minute 99999999999999999999 is out of range; allowed are 0 to 59"),
      ("* 24 * * *", "hour 24 is out of range; allowed are 0 to 23"),
      ("* * 0 * *", "day of month 0 is out of range; allowed are 1 to 31"),
      ("* * 1-32 * *", "day of month 32 is out of range; allowed are 1 to 31"),
      ("* * * 13 *", "month 13 is out of range; allowed are 1 to 12 and JAN to DEC"),
      ("* * * 0 *", "month 0 is out of range; allowed are 1 to 12 and JAN to DEC"),
      ("* * * * 8", "day of week 8 is out of range; allowed are 0 to 7 and SUN to SAT"),
      ("-1 * * * *", #""-1" is not a minute; allowed are 0 to 59"#),
      ("+1 * * * *", #""+1" is not a minute; allowed are 0 to 59"#),
      ("1.5 * * * *", #""1.5" is not a minute; allowed are 0 to 59"#),
      ("٣ * * * *", #""٣" is not a minute; allowed are 0 to 59"#),
      ("*5 * * * *", #""*5" is not a minute; allowed are 0 to 59"#),
      ("? * * * *", #""?" is not a minute; allowed are 0 to 59"#),
      ("JAN * * * *", #""JAN" is not a minute; allowed are 0 to 59"#),
      ("* * L * *", #""L" is not a day of month; allowed are 1 to 31"#),
      ("* * * JUNE *", #""JUNE" is not a month; allowed are 1 to 12 and JAN to DEC; did you mean "jun"?"#),
      ("* * * * MO", #""MO" is not a day of week; allowed are 0 to 7 and SUN to SAT; did you mean "mon"?"#),
      ("* * * * 1-2-3", #""2-3" is not a day of week; allowed are 0 to 7 and SUN to SAT"#),
      ("1,,2 * * * *", #"minute "1,,2" has nothing before or after a comma; allowed are 0 to 59"#),
      (", * * * *", #"minute "," has nothing before or after a comma; allowed are 0 to 59"#),
      ("* 1, * * *", #"hour "1," has nothing before or after a comma; allowed are 0 to 23"#),
      ("* 22-2 * * *", #"hour "22-2" runs backwards; write 22-23,0-2"#),
      ("* * * * SAT-MON", #"day of week "SAT-MON" runs backwards; write 6-7,0-1"#),
      ("*/0 * * * *", #"minute step "0" is out of range; allowed are 1 to 60"#),
      ("*/90 * * * *", #"minute step "90" is out of range; allowed are 1 to 60"#),
      ("* */25 * * *", #"hour step "25" is out of range; allowed are 1 to 24"#),
      ("* * * * */8", #"day of week step "8" is out of range; allowed are 1 to 7"#),
      ("*/-1 * * * *", #"minute step "-1" is out of range; allowed are 1 to 60"#),
      ("*/ * * * *", #"minute step "" is out of range; allowed are 1 to 60"#),
      ("*/2/3 * * * *", #"minute step "2/3" is out of range; allowed are 1 to 60"#),
      ("5/15 * * * *", #"minute "5/15" has a step and no range; write 5-59/15"#),
      ("0 0 30 2 *", #""0 0 30 2 *" is never due: none of its months has such a day"#),
      ("0 0 31 4,6 *", #""0 0 31 4,6 *" is never due: none of its months has such a day"#),
      ("0 0 31 2 */2", #""0 0 31 2 */2" is never due: none of its months has such a day"#),
      (
        "@reboot",
        #""@reboot" is not one of @annually, @daily, @hourly, @midnight, @monthly, @weekly, @yearly"#
      ),
      (
        "@dayly",
        #""@dayly" is not one of @annually, @daily, @hourly, @midnight, @monthly, @weekly, @yearly; "#
          + #"did you mean "@daily"?"#
      ),
      (
        "@daily 3",
        #""@daily 3" is not one of @annually, @daily, @hourly, @midnight, @monthly, @weekly, @yearly; "#
          + #"did you mean "@daily"?"#
      ),
    ])
  func refused(_ text: String, _ message: String) {
    let error = #expect(throws: CronError.self) { try CronExpression(text) }
    #expect(error?.description == message)
  }
}
