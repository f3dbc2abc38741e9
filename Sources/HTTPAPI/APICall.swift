// SPDX-License-Identifier: Apache-2.0
internal import HTTPServer
internal import TaskModel

/// One request on its way through the API.
struct APICall: Sendable {
  let request: HTTPRequest
  let reply: Reply
  /// What stands in the place of each `{…}` of the path.
  let captures: [String]

  /// The task that the path names.
  func taskID() throws(Problem) -> TaskID {
    guard let id = TaskID(captures[0]) else { throw .unknownTask(captures[0]) }
    return id
  }

  private static let longestWait = Duration.seconds(60)

  /// How long the answer may wait for the task's end: `?wait=30s`; nil: not at all.
  func waitTime() throws(Problem) -> Duration? {
    guard let text = request.queryValue("wait") else { return nil }
    guard let time = Quantity.duration(text), time <= Self.longestWait else {
      throw Problem(
        .badRequest, "wait=\(text.prefixed(byBytes: 80)) is not a duration of at most 60s, as in wait=30s",
        facts: [("parameter", .text("wait"))])
    }
    return time > .zero ? time : nil
  }

  private static let emptyObject = ObjectBody.Shape(name: "the body of an action", members: [])

  /// Checks that the body says nothing: it is empty or an empty object.
  func checkEmptyBody() throws(Problem) {
    if !request.body.isEmpty { _ = try ObjectBody(request.body, Self.emptyObject) }
  }

  /// The task that the path names, for an action that takes nothing else.
  func actedOn() throws(Problem) -> TaskID {
    try checkEmptyBody()
    return try taskID()
  }
}

/// The right to answer a request, with the headers that every answer to its origin has.
struct Reply: Sendable {
  let responder: HTTPResponder
  let headers: [(name: String, value: String)]

  func send(_ response: HTTPResponse) {
    guard !headers.isEmpty else { return responder.respond(response) }
    var response = response
    response.headers += headers
    responder.respond(response)
  }

  func send(_ problem: Problem) { send(problem.response) }
}

extension HTTPResponse {
  /// An answer whose body is JSON text.
  static func json(
    _ body: [UInt8], status: Int = 200, headers: [(name: String, value: String)] = []
  ) -> HTTPResponse {
    HTTPResponse(status: status, contentType: "application/json", headers: headers, body: body)
  }

  /// `{"id","status"}`, the answer of all that acts on one task.
  static func task(_ id: TaskID, _ status: TaskStatus, code: Int = 200) -> HTTPResponse {
    var writer = JSONWriter(capacity: 80)
    writer.beginObject()
    writer.member("id", id.description)
    writer.member("status", status.rawValue)
    writer.endObject()
    return .json(writer.bytes, status: code)
  }
}
