// SPDX-License-Identifier: Apache-2.0
import Foundation
@testable import Schedules
import TaskModel
import TestSupport
import Testing

@Suite("Time zones")
struct TimeZoneTests {
  private static let various = [
    "Europe/Berlin", "Europe/Dublin", "Pacific/Apia", "Australia/Lord_Howe", "Africa/Casablanca", "Africa/Monrovia",
    "America/Sao_Paulo", "America/Nuuk", "Asia/Tehran", "Antarctica/Troll",
  ]

  /// The names of zones below the installed directory.
  private static func installed() throws -> [String] {
    try FileManager.default.subpathsOfDirectory(atPath: TimeZoneRules.standardDirectory).filter { name in
      name.first?.isUppercase == true && (try? TimeZoneRules.load(name)) != nil
    }
  }

  // zdump needs a minute for two centuries of all zones, so the long one is of a few, and all of them are looked at
  // where most files end and their rules begin.
  @Test(
    "The offsets of zones are those that zdump prints",
    arguments: [("1900,2100", various), ("2036,2040", try installed())])
  func zdump(_ years: String, _ names: [String]) throws {
    let output = try run("/usr/bin/zdump", ["-v", "-c", years] + names).output
    var zones: [Substring: TimeZoneRules] = [:]
    var checked = 0
    for line in output.split(separator: "\n") {
      // Europe/Berlin  Sun Mar 31 00:59:59 2024 UT = Sun Mar 31 01:59:59 2024 CET isdst=0 gmtoff=3600
      let words = line.split(separator: " ")
      guard words.count == 16, let year = Int64(words[5]), let offset = Int64(words[15].dropFirst("gmtoff=".count)),
        let month = Self.months.firstIndex(of: String(words[2])), let day = Int(words[3])
      else { continue }
      let clock = words[4].split(separator: ":").compactMap { Int64($0) }
      let date = CivilDate(year: year, month: month + 1, day: day)
      let second = date.dayNumber * 86_400 + clock[0] * 3600 + clock[1] * 60 + clock[2]
      let zone = try zones[words[0]] ?? TimeZoneRules.load(String(words[0]))
      zones[words[0]] = zone
      try #require(zone.period(containing: second).offset == offset, "\(line)")
      checked += 1
    }
    #expect(zones.count >= 10 && checked > 3000)
  }

  private static let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]

  @Test(
    "The periods of a zone join without holes, before its first and after its last transition too",
    arguments: ["Europe/Berlin", "Pacific/Apia", "Africa/Casablanca", "Asia/Kathmandu", "Etc/GMT+5", "UTC"])
  func periods(_ name: String) throws {
    let zone = try TimeZoneRules.load(name)
    #expect(zone.name == name)
    var period = zone.period(containing: instant("1800-01-01T00:00Z").millis / 1000)
    let end = instant("2500-01-01T00:00Z").millis / 1000
    while period.end < end {
      let next = zone.period(containing: period.end)
      try #require(next.start == period.end && next.end > next.start)
      try #require(zone.period(containing: next.start - 1) == period)
      try #require(zone.period(containing: next.end - 1) == next)
      period = next
    }
  }

  @Test(
    "A name that no zone has is refused with the one that was meant",
    arguments: [
      ("Europe/Berln", "Europe/Berlin"), ("europe/berlin", "Europe/Berlin"), ("Berlin", "Europe/Berlin"),
      ("Asia/Shangai", "Asia/Shanghai"), ("utc", "UTC"), ("", nil), ("Nowhere/AtAll", nil), ("/etc/passwd", nil),
      ("../../../etc/passwd", nil), ("Europe/../Europe/Berlin", nil), ("Europe/", nil), ("Europe", nil),
      ("/usr/share/zoneinfo/UTC", nil), ("posix/UTC", nil), ("right/UTC", nil), ("zone.tab", nil),
      ("tzdata.zi", nil), ("localtime", nil), ("UTC\0", "UTC"), ("+01:00", nil),
      (String(repeating: "A", count: 4000), nil),
    ] as [(String, String?)])
  func unknown(_ name: String, _ nearest: String?) {
    let error = #expect(throws: TimeZoneError.self) { try TimeZoneRules.load(name) }
    guard case .unknown(let found) = error else {
      Issue.record("\(String(describing: error))")
      return
    }
    if let nearest { #expect(found == nearest) }
  }

  @Test("Zones are read from any directory; one without zones says so")
  func directories() throws {
    let folder = try TemporaryDirectory()
    #expect(throws: TimeZoneError.notInstalled(directory: folder.path)) {
      try TimeZoneRules.load("Europe/Berlin", directory: folder.path)
    }
    #expect(throws: TimeZoneError.notInstalled(directory: folder.path + "/none")) {
      try TimeZoneRules.load("Europe/Berlin", directory: folder.path + "/none")
    }
    #expect(try TimeZoneRules.load("UTC", directory: folder.path) == .utc)
    try file(.init()).write(to: URL(fileURLWithPath: folder.path + "/Test"))
    #expect(try TimeZoneRules.load("Test", directory: folder.path).period(containing: 0).offset == 3600)
    #expect(throws: TimeZoneError.unknown(nearest: "Test")) {
      try TimeZoneRules.load("Tset", directory: folder.path)
    }
    #expect(mkfifo(folder.path + "/Pipe", 0o600) == 0)
    #expect(throws: TimeZoneError.unknown(nearest: "Pipe")) {
      try TimeZoneRules.load("Pipe", directory: folder.path)
    }
  }

  /// The parts of a TZif file that tests change.
  private struct Parts {
    var magic = "TZif2"
    var leapSeconds: UInt32 = 0
    var times: [Int64] = [0, 1000]
    var kinds: [UInt8] = [1, 0]
    var offsets: [Int32] = [0, 3600]
    var footer = "\nCET-1CEST,M3.5.0,M10.5.0/3\n"
  }

  private func file(_ parts: Parts) -> Data {
    func bytes(_ value: some FixedWidthInteger) -> [UInt8] { withUnsafeBytes(of: value.bigEndian) { Array($0) } }
    func header(_ times: Int, _ types: Int, _ leaps: UInt32) -> [UInt8] {
      Array(parts.magic.utf8) + [UInt8](repeating: 0, count: 15)
        + [0, 0, leaps, UInt32(times), UInt32(types), 4].flatMap { bytes($0) }
    }
    var all = header(0, 1, 0) + bytes(Int32(0)) + [0, 0] + Array("LMT\0".utf8)
    all += header(parts.times.count, parts.offsets.count, parts.leapSeconds)
    all += parts.times.flatMap { bytes($0) } + parts.kinds
    all += parts.offsets.flatMap { bytes($0) + [0, 0] } + Array("LMT\0".utf8)
    all += [UInt8](repeating: 0, count: Int(parts.leapSeconds) * 12)
    return Data(all + Array(parts.footer.utf8))
  }

  @Test("A file that is whole is read, cut at any byte it is refused")
  func truncated() throws {
    let folder = try TemporaryDirectory()
    let whole = file(.init())
    for count in 0..<whole.count {
      try whole.prefix(count).write(to: URL(fileURLWithPath: folder.path + "/Test"))
      try #require(throws: TimeZoneError.damaged(path: folder.path + "/Test"), "\(count) bytes") {
        try TimeZoneRules.load("Test", directory: folder.path)
      }
    }
    #expect(TimeZoneFile(Array(whole)) != nil)
  }

  @Test("A file of version 1, with leap seconds, times out of order or nonsense in it is refused")
  func damaged() {
    func isRefused(_ change: (inout Parts) -> Void) -> Bool {
      var parts = Parts()
      change(&parts)
      return TimeZoneFile(Array(file(parts))) == nil
    }
    #expect(!isRefused { _ in })
    #expect(!isRefused { $0.magic = "TZif3" })
    #expect(!isRefused { $0.footer = "\n\n" })
    #expect(isRefused { $0.magic = "TZif\0" })
    #expect(isRefused { $0.magic = "ELF!2" })
    #expect(isRefused { $0.leapSeconds = 1 })
    #expect(isRefused { $0.times = [1000, 0] })
    #expect(isRefused { $0.times = [0, 0] })
    #expect(isRefused { $0.kinds = [0, 2] })
    #expect(isRefused { ($0.offsets, $0.times, $0.kinds) = ([], [], []) })
    #expect(isRefused { $0.offsets = [0, 1_000_000] })
    #expect(isRefused { $0.offsets = [0, .min] })
    #expect(isRefused { $0.footer = "\nnonsense\n" })
    #expect(isRefused { $0.footer = "" })
    #expect(TimeZoneFile([UInt8](repeating: 0xff, count: 200)) == nil)
    #expect(TimeZoneFile(Array("TZif2".utf8) + [UInt8](repeating: 0x7f, count: 200)) == nil)
  }

  @Test(
    "The rule for years to come is read in each of its forms",
    arguments: [
      ("CET-1CEST,M3.5.0,M10.5.0/3", "2060-03-28T00:59Z", 3600),
      ("CET-1CEST,M3.5.0,M10.5.0/3", "2060-03-28T01:00Z", 7200),
      ("CET-1CEST,M3.5.0,M10.5.0/3", "2060-10-31T00:59Z", 7200),
      ("CET-1CEST,M3.5.0,M10.5.0/3", "2060-10-31T01:00Z", 3600),
      // Negative daylight time: standard is summer, by the letter of Irish law.
      ("IST-1GMT0,M10.5.0,M3.5.0/1", "2060-03-28T00:59Z", 0), ("IST-1GMT0,M10.5.0,M3.5.0/1", "2060-03-28T01:00Z", 3600),
      ("IST-1GMT0,M10.5.0,M3.5.0/1", "2060-12-31T00:00Z", 0),
      // Southern hemisphere, half an hour.
      ("<+1030>-10:30<+11>-11,M10.1.0,M4.1.0", "2060-01-01T00:00Z", 39_600),
      ("<+1030>-10:30<+11>-11,M10.1.0,M4.1.0", "2060-07-01T00:00Z", 37_800),
      // Times before midnight and beyond the day (RFC 8536).
      ("<-02>2<-01>,M3.5.0/-1,M10.5.0/0", "2060-03-28T00:59Z", -7200),
      ("<-02>2<-01>,M3.5.0/-1,M10.5.0/0", "2060-03-28T01:00Z", -3600),
      ("IST-2IDT,M3.4.4/26,M10.5.0", "2060-03-25T23:59Z", 7200),
      ("IST-2IDT,M3.4.4/26,M10.5.0", "2060-03-26T00:00Z", 10_800),
      // Daylight time all the year.
      ("XXX3EDT4,0/0,J365/23", "2060-01-01T03:00Z", -14_400), ("XXX3EDT4,0/0,J365/23", "2060-12-31T23:59Z", -14_400),
      ("XXX3EDT4,0/0,J365/23", "2060-07-01T00:00Z", -14_400),
      // J60 is the first of March in every year, 59 the 29th of February in a leap year.
      ("AAA0BBB,J60/0,J300", "2060-03-01T00:00Z", 3600), ("AAA0BBB,J60/0,J300", "2060-02-29T23:59Z", 0),
      ("AAA0BBB,59/0,J300", "2060-02-29T00:00Z", 3600), ("AAA0BBB,59/0,J300", "2061-02-28T23:59Z", 0),
      ("AAA0BBB,59/0,J300", "2061-03-01T00:00Z", 3600),
      ("<+0545>-5:45", "2060-01-01T00:00Z", 20_700), ("EST5", "2060-01-01T00:00Z", -18_000),
      ("LMT0:01:15", "2060-01-01T00:00Z", -75), ("AAA+3", "2060-01-01T00:00Z", -10_800),
    ] as [(String, String, Int64)])
  func rules(_ text: String, _ time: String, _ offset: Int64) throws {
    let rule = try #require(ZoneRule(Array(text.utf8)))
    #expect(rule.period(containing: instant(time).millis / 1000).offset == offset)
  }

  @Test(
    "What is no rule is refused",
    arguments: [
      "", "CET", "C-1", "CE-1", "<CET-1", "CET-1CEST", "CET-1CEST,M3.5.0", "CET-1CEST,M3.5.0,M10.5.0/3,",
      "CET-1CEST,M13.5.0,M10.5.0", "CET-1CEST,M3.6.0,M10.5.0", "CET-1CEST,M3.5.7,M10.5.0", "CET-1CEST,J0,J1",
      "CET-1CEST,366,J1", "CET-1CEST,M3.5,M10.5.0", "CET-1:60", "CET-168", "CET-1CEST-x,J1,J2", "CET-1 ", "CET--1",
    ])
  func badRules(_ text: String) {
    #expect(ZoneRule(Array(text.utf8)) == nil)
  }
}
