// SPDX-License-Identifier: Apache-2.0
import TaskModel
import Testing

@Suite("Times, quantities and names")
struct ValueTests {
  @Test(
    "A time is written in ISO 8601 with milliseconds",
    arguments: [
      (0, "1970-01-01T00:00:00.000Z"), (1, "1970-01-01T00:00:00.001Z"), (-1, "1969-12-31T23:59:59.999Z"),
      (951_782_400_000, "2000-02-29T00:00:00.000Z"), (951_868_800_000, "2000-03-01T00:00:00.000Z"),
      (1_709_164_800_000, "2024-02-29T00:00:00.000Z"), (1_709_251_199_999, "2024-02-29T23:59:59.999Z"),
      (1_735_689_599_999, "2024-12-31T23:59:59.999Z"), (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
      (-2_208_988_800_000, "1900-01-01T00:00:00.000Z"), (-2_203_891_200_000, "1900-03-01T00:00:00.000Z"),
      (-86_400_000, "1969-12-31T00:00:00.000Z"), (253_402_300_799_999, "9999-12-31T23:59:59.999Z"),
      (-62_135_596_800_000, "0001-01-01T00:00:00.000Z"),
    ] as [(Int64, String)])
  func iso8601(_ millis: Int64, _ text: String) {
    #expect(Timestamp(millis: millis).iso8601 == text)
  }

  @Test("Each day of 800 years follows the one before it")
  func calendar() {
    let lengths = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
    var millis: Int64 = -11_676_096_000_000  // 1600-01-01
    for year in 1600..<2400 {
      let isLeap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
      for (month, length) in lengths.enumerated() {
        for day in 1...(month == 1 && isLeap ? 29 : length) {
          let text = "\(year)-\(month < 9 ? "0" : "")\(month + 1)-\(day < 10 ? "0" : "")\(day)T00:00:00.000Z"
          guard Timestamp(millis: millis).iso8601 == text else {
            Issue.record("\(Timestamp(millis: millis).iso8601) is not \(text)")
            return
          }
          millis += 86_400_000
        }
      }
    }
  }

  @Test(
    "A time of RFC 3339 is read with its offset",
    arguments: [
      ("1970-01-01T00:00:00Z", 0), ("2026-11-24T10:03:33.120Z", 1_795_514_613_120),
      ("2026-11-24t10:03:33.12z", 1_795_514_613_120), ("2026-11-24T18:03:33.12+08:00", 1_795_514_613_120),
      ("2026-11-24T00:33:33.12-09:30", 1_795_514_613_120), ("2026-11-25T10:02:33.12+23:59", 1_795_514_613_120),
      ("2026-11-23T10:04:33.12-23:59", 1_795_514_613_120), ("2026-11-24T10:03:33-00:00", 1_795_514_613_000),
      ("1970-01-01T00:00:00.1Z", 100), ("1970-01-01T00:00:00.12Z", 120), ("1970-01-01T00:00:00.0019999Z", 1),
      ("1970-01-01T00:00:00.\(String(repeating: "9", count: 400))Z", 999), ("1969-12-31T23:59:59.999Z", -1),
      ("2024-02-29T00:00:00Z", 1_709_164_800_000), ("2000-02-29T00:00:00Z", 951_782_400_000),
      ("2100-03-01T00:00:00Z", 4_107_542_400_000), ("0001-01-01T00:00:00Z", -62_135_596_800_000),
      ("9999-12-31T23:59:59.999Z", 253_402_300_799_999), ("2016-12-31T23:59:60Z", 1_483_228_800_000),
      ("2017-01-01T07:59:60.5+08:00", 1_483_228_800_500), ("2024-03-01T00:30:00+01:00", 1_709_249_400_000),
    ] as [(String, Int64)])
  func rfc3339(_ text: String, _ millis: Int64) {
    #expect(Timestamp(rfc3339: text)?.millis == millis)
  }

  @Test(
    "What is no time of RFC 3339 is refused",
    arguments: [
      "", "now", "2026-11-24", "2026-11-24T10:03:33", "2026-11-24T10:03Z", "2026-11-24 10:03:33Z", "20261124T100333Z",
      "2026-13-01T00:00:00Z", "2026-00-01T00:00:00Z", "2026-01-00T00:00:00Z", "2026-01-32T00:00:00Z",
      "2026-04-31T00:00:00Z", "2026-02-29T00:00:00Z", "2100-02-29T00:00:00Z", "2024-02-30T00:00:00Z",
      "2026-11-24T24:00:00Z", "2026-11-24T10:60:00Z", "2026-11-24T10:03:61Z", "2026-11-24T10:03:60Z",
      "2026-11-24T23:59:60+01:00", "2026-11-24T10:03:33.Z", "2026-11-24T10:03:33,5Z", "2026-11-24T10:03:33+8:00",
      "2026-11-24T10:03:33+0800", "2026-11-24T10:03:33+24:00", "2026-11-24T10:03:33+08:60", "2026-11-24T10:03:33+08",
      "2026-11-24T10:03:33Zx", " 2026-11-24T10:03:33Z", "2026-11-24T10:03:33Z ", "+2026-11-24T10:03:33Z",
      "-2026-11-24T10:03:33Z", "12026-11-24T10:03:33Z", "2026-11-24T10:03:33ZZ", "２０26-11-24T10:03:33Z",
    ])
  func noTime(_ text: String) {
    #expect(Timestamp(rfc3339: text) == nil)
  }

  @Test("A time that was written is read again, all through 800 years")
  func rereading() {
    var millis: Int64 = -11_676_096_000_000  // 1600-01-01
    while millis < 13_569_465_600_000 {
      let time = Timestamp(millis: millis)
      guard Timestamp(rfc3339: time.iso8601) == time else {
        Issue.record("\(time.iso8601) is read as \(String(describing: Timestamp(rfc3339: time.iso8601)))")
        return
      }
      // Not at midnight alone: each step is a day, an hour, a minute, a second and a millisecond.
      millis += 90_061_001
    }
  }

  @Test("Priorities come back from their names")
  func priorities() {
    for priority in TaskPriority.allCases { #expect(TaskPriority(name: priority.name) == priority) }
    #expect(TaskPriority(name: "High") == nil)
  }

  @Test(
    "Durations are read in ms, s, m, h and d",
    arguments: [
      ("0ms", 0), ("500ms", 500), ("10s", 10_000), ("5m", 300_000), ("24h", 86_400_000), ("7d", 604_800_000),
      ("007s", 7000), ("", nil), ("10", nil), ("s", nil), ("-1s", nil), ("+1s", nil), ("1.5s", nil), ("1 s", nil),
      (" 1s", nil), ("1S", nil), ("1s ", nil), ("1us", nil), ("٣s", nil), ("1h30m", nil),
      ("9223372036854775807ms", .max), ("9223372036854775808ms", nil), ("9223372036854775807s", nil),
    ] as [(String, Int64?)])
  func duration(_ text: String, _ millis: Int64?) {
    #expect(Quantity.duration(text) == millis.map { .milliseconds($0) })
  }

  @Test(
    "Sizes are read in B, KiB, MiB and GiB",
    arguments: [
      ("0B", 0), ("512B", 512), ("64KiB", 65_536), ("512MiB", 536_870_912), ("2GiB", 2_147_483_648), ("", nil),
      ("1", nil), ("1KB", nil), ("1k", nil), ("-1B", nil), ("1.5MiB", nil), ("MiB", nil), ("1 MiB", nil),
      ("8589934592GiB", nil),
    ] as [(String, Int?)])
  func byteCount(_ text: String, _ bytes: Int?) {
    #expect(Quantity.byteCount(text) == bytes)
  }

  @Test(
    "Milliseconds of a duration are rounded down",
    arguments: [(Duration.seconds(2), 2000), (.microseconds(1999), 1), (.zero, 0)] as [(Duration, Int64)])
  func millis(_ duration: Duration, _ millis: Int64) {
    #expect(duration.millis == millis)
  }

  @Test(
    "Names start with a letter or digit and have at most 64 bytes",
    arguments: [
      ("a", true), ("9", true), ("article.generate", true), ("A_b-c.9", true),
      (String(repeating: "x", count: 64), true), (String(repeating: "x", count: 65), false), ("", false),
      (".a", false), ("-a", false), ("_a", false), ("a b", false), ("a/b", false), ("é", false), ("a\0", false),
      ("a\n", false),
    ])
  func names(_ name: String, _ isValid: Bool) {
    #expect(isValidName(name) == isValid)
  }

  @Test(
    "The name that was meant is the nearest one, or none",
    arguments: [
      ("lisen", "listen"), ("LISTEN", "listen"), ("lsiten", "listen"), ("thread", "threads"), ("timout", "timeout"),
      ("time", "timeout"), ("th", nil), ("", nil), ("nothing", nil), (String(repeating: "x", count: 100), nil),
    ] as [(String, String?)])
  func suggestions(_ word: String, _ name: String?) {
    #expect(nearestName(to: word, among: ["listen", "threads", "timeout"]) == name)
  }

  @Test("Final are the statuses that nothing leaves by itself")
  func finality() {
    #expect(TaskStatus.allCases.filter(\.isFinal) == [.completed, .failed, .cancelled])
  }

  @Test("Kinds of errors come back from their names")
  func errorKinds() {
    for kind in ErrorKind.allCases { #expect(ErrorKind(name: kind.name) == kind) }
    #expect(ErrorKind(name: "Exception") == nil)
  }
}
