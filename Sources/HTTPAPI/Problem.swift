// SPDX-License-Identifier: Apache-2.0
internal import HTTPServer
internal import TaskModel

/// The stable name of what went wrong with a request; clients decide by it.
enum ProblemCode: String, Sendable, CaseIterable {
  case badJSON = "bad_json"
  case badRequest = "bad_request"
  case unknownField = "unknown_field"
  case forbidden
  case unknownTask = "unknown_task"
  case unknownType = "unknown_type"
  case unknownPath = "unknown_path"
  case methodNotAllowed = "method_not_allowed"
  case notFinal = "not_final"
  case forbiddenTransition = "forbidden_transition"
  case handlerPending = "handler_pending"
  case keyTaken = "key_taken"
  case reloadRunning = "reload_running"
  case noResult = "no_result"
  case tooLarge = "too_large"
  case tooMany = "too_many"
  case reloadRefused = "reload_refused"
  case queueFull = "queue_full"
  case `internal`
  case redisUnavailable = "redis_unavailable"

  /// The status of the answer, and its phrase of RFC 9110 as title, because `type` is `about:blank`.
  var answer: (status: Int, title: String) {
    switch self {
    case .badJSON, .badRequest, .unknownField: (400, "Bad Request")
    case .forbidden: (403, "Forbidden")
    case .unknownTask, .unknownType, .unknownPath: (404, "Not Found")
    case .methodNotAllowed: (405, "Method Not Allowed")
    case .notFinal, .forbiddenTransition, .handlerPending, .keyTaken, .reloadRunning: (409, "Conflict")
    case .noResult: (410, "Gone")
    case .tooLarge, .tooMany: (413, "Content Too Large")
    case .reloadRefused: (422, "Unprocessable Content")
    case .queueFull: (429, "Too Many Requests")
    case .internal: (500, "Internal Server Error")
    case .redisUnavailable: (503, "Service Unavailable")
    }
  }
}

/// Why a request is not done, as RFC 9457 tells it.
struct Problem: Error, Sendable {
  /// Further members of the answer.
  enum Fact: Sendable {
    case number(Int)
    case text(String)
    case json([UInt8])
  }

  let code: ProblemCode
  /// What happened and what to do, for people.
  let detail: String
  var facts: [(name: String, value: Fact)] = []
  var headers: [(name: String, value: String)] = []

  init(
    _ code: ProblemCode, _ detail: String, facts: [(name: String, value: Fact)] = [],
    headers: [(name: String, value: String)] = []
  ) {
    self.code = code
    self.detail = detail
    self.facts = facts
    self.headers = headers
  }

  var response: HTTPResponse {
    var writer = JSONWriter(capacity: 256 + detail.utf8.count)
    write(to: &writer)
    return HTTPResponse(
      status: code.answer.status, contentType: "application/problem+json", headers: headers, body: writer.bytes)
  }

  /// The object that is the body of the answer, or stands in the place of one entry's answer.
  func write(to writer: inout JSONWriter) {
    let (status, title) = code.answer
    writer.beginObject()
    writer.member("type", "about:blank")
    writer.member("title", title)
    // The status of a task takes the place of the number: RFC 9457 readers ignore a member of another kind.
    if !facts.contains(where: { $0.name == "status" }) { writer.member("status", Int64(status)) }
    writer.member("detail", detail)
    writer.member("code", code.rawValue)
    for (name, value) in facts {
      switch value {
      case .number(let number): writer.member(name, Int64(number))
      case .text(let text): writer.member(name, text)
      case .json(let bytes): writer.member(name, raw: bytes)
      }
    }
    writer.endObject()
  }
}

/// What a client sent, short enough to be told back.
func quoted(_ text: String) -> String { "\"\(text.prefixed(byBytes: 80))\"" }
