// SPDX-License-Identifier: Apache-2.0
internal import HTTPServer
internal import TaskModel
internal import TaskStore

/// Makes submissions of JSON objects; one for each request, since header and time are the same for all its entries.
struct SubmissionReader {
  /// How far ahead a delay, a time, an expiry and a timeout may lie.
  static let longest = Duration.seconds(3650 * 86_400)
  private static let keyLimit = 256

  /// What nearly all submissions have stands first, so that one look tells that there is nothing else.
  static let shape = ObjectBody.Shape(
    name: "a submission",
    members: ["type", "params", "delay", "runAt", "priority", "key", "timeout", "expires"],
    planned: ["tenant", "then"])
  private static let usualMembers = 2

  let trace: String?
  /// By Redis' clock.
  let now: Timestamp

  init(_ request: HTTPRequest, now: Timestamp) {
    trace = TraceParent.valid(request.header("traceparent"))
    self.now = now
  }

  func submission(_ body: ObjectBody) throws(Problem) -> Submission {
    let type = try body.text("type")
    guard isValidName(type) else { throw .unknownType(type) }
    var submission = Submission(type: type, params: body.bytes("params") ?? Array("null".utf8), trace: trace)
    guard body.hasMember(from: Self.usualMembers) else { return submission }
    submission.due = try due(body)
    submission.expires = try body.optionalText("expires").map { (text) throws(Problem) in try expiry(text) }
    submission.timeout = try timeout(body)
    submission.key = try key(body)
    if let name = try body.optionalText("priority") {
      guard let priority = TaskPriority(name: name) else {
        let names = TaskPriority.allCases.map(\.name)
        throw refused("priority", "is none of \(names.joined(separator: ", "))\(didYouMean(name, among: names))")
      }
      submission.priority = priority
    }
    return submission
  }

  private func due(_ body: ObjectBody) throws(Problem) -> Submission.Moment? {
    guard let text = try body.optionalText("runAt") else {
      return try duration("delay", body).map { .after($0) }
    }
    guard !body.has("delay") else { throw Problem(.badRequest, "\"delay\" and \"runAt\" exclude each other; send one") }
    guard let time = Timestamp(rfc3339: text) else {
      throw refused("runAt", "is not a time of ISO 8601 with its offset, as in \"2026-11-24T10:00:00Z\"")
    }
    return .at(try checked(time, "runAt"))
  }

  private func expiry(_ text: String) throws(Problem) -> Submission.Moment {
    if let duration = Quantity.duration(text) { return .after(try checked(duration, "expires")) }
    guard let time = Timestamp(rfc3339: text) else {
      throw refused("expires", "is neither a duration, as in \"1h\", nor a time, as in \"2026-11-24T10:00:00Z\"")
    }
    // What is over is over; how long makes no difference.
    return .at(max(now, try checked(time, "expires")))
  }

  private func timeout(_ body: ObjectBody) throws(Problem) -> Duration? {
    let timeout = try duration("timeout", body)
    guard timeout != .zero else { throw refused("timeout", "is zero; leave it out for the type's own") }
    return timeout
  }

  private func key(_ body: ObjectBody) throws(Problem) -> String? {
    guard let key = try body.optionalText("key") else { return nil }
    // Half a surrogate pair would become this, and two keys one.
    guard !key.unicodeScalars.contains("\u{fffd}") else {
      throw refused("key", "holds a character that is no Unicode text (U+FFFD)")
    }
    let count = key.utf8.count
    guard (1...Self.keyLimit).contains(count) else {
      throw refused("key", "has \(count) bytes; it may have 1 to \(Self.keyLimit)", limit: Self.keyLimit)
    }
    return key
  }

  private func duration(_ member: String, _ body: ObjectBody) throws(Problem) -> Duration? {
    guard let text = try body.optionalText(member) else { return nil }
    guard let duration = Quantity.duration(text) else {
      throw refused(member, "is not a duration, as in \"500ms\", \"10s\", \"5m\", \"24h\" or \"7d\"")
    }
    return try checked(duration, member)
  }

  private func checked(_ duration: Duration, _ member: String) throws(Problem) -> Duration {
    guard duration <= Self.longest else { throw tooFar(member) }
    return duration
  }

  private func checked(_ time: Timestamp, _ member: String) throws(Problem) -> Timestamp {
    guard time.millis - now.millis <= Self.longest.millis else { throw tooFar(member) }
    return time
  }

  private func tooFar(_ member: String) -> Problem { refused(member, "is more than 3650d, the longest there is") }

  private func refused(_ member: String, _ why: String, limit: Int? = nil) -> Problem {
    let limits = limit.map { [(name: "limit", value: Problem.Fact.number($0))] } ?? []
    return Problem(.badRequest, "\"\(member)\" \(why)", facts: [("field", .text(member))] + limits)
  }
}
