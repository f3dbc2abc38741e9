// SPDX-License-Identifier: Apache-2.0

/// All due times in a stretch around a change of clocks.
struct ExpectedTimes: Sendable, CustomStringConvertible {
  let cron: String
  let zone: String
  /// Excluded.
  let start: String
  /// Included.
  let end: String
  let times: [String]

  init(_ cron: String, _ zone: String, after start: String, through end: String, _ times: [String]) {
    self.cron = cron
    self.zone = zone
    self.start = start
    self.end = end
    self.times = times
  }

  var description: String { "\(cron) in \(zone) after \(start)" }

  /// Worked out with Python's zoneinfo, by a walk through the minutes of real time.
  static let all: [ExpectedTimes] = [
    ExpectedTimes(
      "30 2 * * *", "Europe/Berlin", after: "2024-03-29T12:00Z", through: "2024-04-01T12:00Z",
      ["2024-03-30T01:30Z", "2024-03-31T01:00Z", "2024-04-01T00:30Z"]),
    ExpectedTimes(
      "*/20 2 * * *", "Europe/Berlin", after: "2024-03-30T12:00Z", through: "2024-04-01T00:00Z",
      ["2024-04-01T00:00Z"]),
    ExpectedTimes(
      "*/30 2 * * *", "Europe/Berlin", after: "2024-10-26T12:00Z", through: "2024-10-27T12:00Z",
      ["2024-10-27T00:00Z", "2024-10-27T00:30Z", "2024-10-27T01:00Z", "2024-10-27T01:30Z"]),
    ExpectedTimes(
      "0 3 * * *", "Europe/Berlin", after: "2024-03-29T12:00Z", through: "2024-04-01T12:00Z",
      ["2024-03-30T02:00Z", "2024-03-31T01:00Z", "2024-04-01T01:00Z"]),
    ExpectedTimes(
      "30 2 * * *", "Europe/Berlin", after: "2024-10-25T12:00Z", through: "2024-10-28T12:00Z",
      ["2024-10-26T00:30Z", "2024-10-27T00:30Z", "2024-10-28T01:30Z"]),
    ExpectedTimes(
      "0,30 2 * * *", "Europe/Berlin", after: "2024-10-26T12:00Z", through: "2024-10-27T12:00Z",
      ["2024-10-27T00:00Z", "2024-10-27T00:30Z"]),
    ExpectedTimes(
      "0 * * * *", "Europe/Berlin", after: "2024-03-30T23:30Z", through: "2024-03-31T03:30Z",
      ["2024-03-31T00:00Z", "2024-03-31T01:00Z", "2024-03-31T02:00Z", "2024-03-31T03:00Z"]),
    ExpectedTimes(
      "0 * * * *", "Europe/Berlin", after: "2024-10-26T22:30Z", through: "2024-10-27T03:30Z",
      ["2024-10-26T23:00Z", "2024-10-27T00:00Z", "2024-10-27T01:00Z", "2024-10-27T02:00Z", "2024-10-27T03:00Z"]),
    ExpectedTimes(
      "30 */2 * * *", "Europe/Berlin", after: "2024-03-30T21:00Z", through: "2024-03-31T04:00Z",
      ["2024-03-30T21:30Z", "2024-03-30T23:30Z", "2024-03-31T02:30Z"]),
    ExpectedTimes(
      "30 */2 * * *", "Europe/Berlin", after: "2024-10-26T21:00Z", through: "2024-10-27T04:00Z",
      ["2024-10-26T22:30Z", "2024-10-27T00:30Z", "2024-10-27T01:30Z", "2024-10-27T03:30Z"]),
    ExpectedTimes(
      "0 2 29-31 3 SUN", "Europe/Berlin", after: "2024-03-20T00:00Z", through: "2024-04-03T00:00Z",
      ["2024-03-24T01:00Z", "2024-03-29T01:00Z", "2024-03-30T01:00Z", "2024-03-31T01:00Z"]),
    ExpectedTimes(
      "30 2 * * *", "America/New_York", after: "2024-03-09T00:00Z", through: "2024-03-12T00:00Z",
      ["2024-03-09T07:30Z", "2024-03-10T07:00Z", "2024-03-11T06:30Z"]),
    ExpectedTimes(
      "30 1 * * *", "America/New_York", after: "2024-11-02T00:00Z", through: "2024-11-05T00:00Z",
      ["2024-11-02T05:30Z", "2024-11-03T05:30Z", "2024-11-04T06:30Z"]),
    ExpectedTimes(
      "0 0 * * *", "America/Sao_Paulo", after: "2018-11-02T12:00Z", through: "2018-11-06T00:00Z",
      ["2018-11-03T03:00Z", "2018-11-04T03:00Z", "2018-11-05T02:00Z"]),
    ExpectedTimes(
      "0 0 * * *", "Africa/Cairo", after: "2024-04-24T12:00Z", through: "2024-04-28T00:00Z",
      ["2024-04-24T22:00Z", "2024-04-25T22:00Z", "2024-04-26T21:00Z", "2024-04-27T21:00Z"]),
    ExpectedTimes(
      "30 23 * * *", "Africa/Cairo", after: "2024-10-30T00:00Z", through: "2024-11-02T00:00Z",
      ["2024-10-30T20:30Z", "2024-10-31T20:30Z", "2024-11-01T21:30Z"]),
    ExpectedTimes(
      "15 2 * * *", "Australia/Lord_Howe", after: "2024-10-04T00:00Z", through: "2024-10-07T00:00Z",
      ["2024-10-04T15:45Z", "2024-10-05T15:30Z", "2024-10-06T15:15Z"]),
    ExpectedTimes(
      "45 1 * * *", "Australia/Lord_Howe", after: "2024-04-05T00:00Z", through: "2024-04-08T00:00Z",
      ["2024-04-05T14:45Z", "2024-04-06T14:45Z", "2024-04-07T15:15Z"]),
    ExpectedTimes(
      "*/30 * * * *", "Australia/Lord_Howe", after: "2024-10-05T14:20Z", through: "2024-10-05T16:00Z",
      ["2024-10-05T14:30Z", "2024-10-05T15:00Z", "2024-10-05T15:30Z", "2024-10-05T16:00Z"]),
    ExpectedTimes(
      "45 * * * *", "Australia/Lord_Howe", after: "2024-04-06T13:20Z", through: "2024-04-06T16:40Z",
      ["2024-04-06T13:45Z", "2024-04-06T14:45Z", "2024-04-06T15:15Z", "2024-04-06T16:15Z"]),
    ExpectedTimes(
      "0 9 * * *", "Pacific/Apia", after: "2011-12-28T12:00Z", through: "2012-01-01T00:00Z",
      ["2011-12-28T19:00Z", "2011-12-29T19:00Z", "2011-12-30T10:00Z", "2011-12-30T19:00Z", "2011-12-31T19:00Z"]),
    ExpectedTimes(
      "0 9 30 * *", "Pacific/Apia", after: "2011-11-29T00:00Z", through: "2012-01-31T00:00Z",
      ["2011-11-30T19:00Z", "2011-12-30T10:00Z", "2012-01-29T19:00Z"]),
    ExpectedTimes(
      "0 */6 * * *", "Pacific/Apia", after: "2011-12-30T00:00Z", through: "2011-12-31T00:00Z",
      ["2011-12-30T04:00Z", "2011-12-30T10:00Z", "2011-12-30T16:00Z", "2011-12-30T22:00Z"]),
    ExpectedTimes(
      "0 12 * * *", "Pacific/Kwajalein", after: "1993-08-19T06:00Z", through: "1993-08-23T06:00Z",
      ["1993-08-20T00:00Z", "1993-08-21T00:00Z", "1993-08-21T12:00Z", "1993-08-22T00:00Z", "1993-08-23T00:00Z"]),
    ExpectedTimes(
      "0 12 * * *", "Pacific/Kwajalein", after: "1969-09-28T06:00Z", through: "1969-10-03T06:00Z",
      ["1969-09-29T01:00Z", "1969-09-30T01:00Z", "1969-10-02T00:00Z", "1969-10-03T00:00Z"]),
    ExpectedTimes(
      "30 1 * * *", "Europe/Dublin", after: "2024-03-30T00:00Z", through: "2024-04-02T00:00Z",
      ["2024-03-30T01:30Z", "2024-03-31T01:00Z", "2024-04-01T00:30Z"]),
    ExpectedTimes(
      "30 1 * * *", "Europe/Dublin", after: "2024-10-26T00:00Z", through: "2024-10-29T00:00Z",
      ["2024-10-26T00:30Z", "2024-10-27T00:30Z", "2024-10-28T01:30Z"]),
    ExpectedTimes(
      "30 2 * * *", "Pacific/Auckland", after: "2024-09-27T00:00Z", through: "2024-09-30T00:00Z",
      ["2024-09-27T14:30Z", "2024-09-28T14:00Z", "2024-09-29T13:30Z"]),
    ExpectedTimes(
      "30 2 * * *", "Pacific/Auckland", after: "2024-04-05T00:00Z", through: "2024-04-08T00:00Z",
      ["2024-04-05T13:30Z", "2024-04-06T13:30Z", "2024-04-07T14:30Z"]),
    ExpectedTimes(
      "30 0 * * *", "America/Santiago", after: "2024-09-06T00:00Z", through: "2024-09-09T06:00Z",
      ["2024-09-06T04:30Z", "2024-09-07T04:30Z", "2024-09-08T04:00Z", "2024-09-09T03:30Z"]),
    ExpectedTimes(
      "30 23 * * *", "America/Santiago", after: "2024-04-06T00:00Z", through: "2024-04-09T00:00Z",
      ["2024-04-06T02:30Z", "2024-04-07T02:30Z", "2024-04-08T03:30Z"]),
    ExpectedTimes(
      "30 0 * * *", "America/Havana", after: "2024-11-02T00:00Z", through: "2024-11-05T00:00Z",
      ["2024-11-02T04:30Z", "2024-11-03T04:30Z", "2024-11-04T05:30Z"]),
    ExpectedTimes(
      "30 2 * * *", "Africa/Casablanca", after: "2024-03-09T00:00Z", through: "2024-03-12T00:00Z",
      ["2024-03-09T01:30Z", "2024-03-10T01:30Z", "2024-03-11T02:30Z"]),
    ExpectedTimes(
      "30 2 * * *", "Africa/Casablanca", after: "2024-04-13T00:00Z", through: "2024-04-16T00:00Z",
      ["2024-04-13T02:30Z", "2024-04-14T02:00Z", "2024-04-15T01:30Z"]),
    ExpectedTimes(
      "30 23 * * *", "America/Scoresbysund", after: "2024-03-29T06:00Z", through: "2024-04-01T06:00Z",
      ["2024-03-30T00:30Z", "2024-03-31T00:30Z", "2024-04-01T00:30Z"]),
    ExpectedTimes(
      "0 3 * * *", "Asia/Shanghai", after: "2024-06-01T00:00Z", through: "2024-06-03T00:00Z",
      ["2024-06-01T19:00Z", "2024-06-02T19:00Z"]),
    ExpectedTimes(
      "15 5 * * *", "Asia/Kathmandu", after: "2024-06-01T00:00Z", through: "2024-06-03T00:00Z",
      ["2024-06-01T23:30Z", "2024-06-02T23:30Z"]),
  ]
}
