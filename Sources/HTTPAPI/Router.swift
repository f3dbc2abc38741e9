// SPDX-License-Identifier: Apache-2.0
internal import HTTPServer
internal import TaskModel

/// Finds what a request asks for, and has it done.
struct Router: Sendable {
  let access: AccessRule
  /// The first line whose path fits counts.
  let endpoints: [Endpoint]

  /// To be called on the loop thread.
  func handle(_ request: HTTPRequest, _ responder: HTTPResponder) {
    var reply = Reply(responder: responder, headers: access.standingHeaders)
    do throws(Problem) {
      let origin = try access.check(host: request.header("host"), origin: request.header("origin"))
      if let origin { reply = Reply(responder: responder, headers: access.headers(for: origin)) }
      try dispatch(request, reply, isShared: origin != nil)
    } catch {
      reply.send(error)
    }
  }

  private func dispatch(_ request: HTTPRequest, _ reply: Reply, isShared: Bool) throws(Problem) {
    var found: (endpoint: Endpoint, captures: [String])?
    for endpoint in endpoints {
      guard let captures = endpoint.path.match(request.segments) else { continue }
      found = (endpoint, captures)
      break
    }
    guard let operation = found?.endpoint.operations.first(where: { $0.method == request.method }) else {
      return try answerWithoutOperation(request, found?.endpoint, reply, isShared)
    }
    try check(request.query, known: operation.query)
    let call = APICall(request: request, reply: reply, captures: found?.captures ?? [])
    switch operation.body {
    case .immediate(let body): try body(call)
    case .concurrent(let body):
      Task {
        do throws(Problem) {
          reply.send(try await body(call))
        } catch {
          reply.send(error)
        }
      }
    }
  }

  private func answerWithoutOperation(
    _ request: HTTPRequest, _ endpoint: Endpoint?, _ reply: Reply, _ isShared: Bool
  ) throws(Problem) {
    if isPlanned(request) {
      throw Problem(.unknownPath, "\(request.method) \(request.path.prefixed(byBytes: 80)) is not supported yet")
    }
    guard let endpoint else {
      throw Problem(.unknownPath, "there is no \(quoted(request.path)) here; the paths of tasks begin with /v1/tasks")
    }
    guard request.method == "OPTIONS" else {
      throw Problem(
        .methodNotAllowed, "\(quoted(request.method)) is not for this path; it takes \(endpoint.allowed)",
        headers: [("Allow", endpoint.allowed)])
    }
    var headers = [(name: "Allow", value: endpoint.allowed)]
    if isShared { headers += AccessRule.preflight(methods: endpoint.allowed) }
    reply.send(HTTPResponse(status: 204, contentType: "", headers: headers))
  }

  private func isPlanned(_ request: HTTPRequest) -> Bool {
    Self.planned.contains { $0.method == request.method && $0.path.match(request.segments) != nil }
  }

  private func check(_ query: [(name: String, value: String)], known: [String]) throws(Problem) {
    for (index, parameter) in query.enumerated() {
      let name = parameter.name
      guard known.contains(name) else {
        throw Problem(
          .badRequest, "unknown query parameter \(quoted(name))\(didYouMean(name, among: known))",
          facts: [("parameter", .text(name.prefixed(byBytes: 80)))])
      }
      guard !query[..<index].contains(where: { $0.name == name }) else {
        throw Problem(
          .badRequest, "the query parameter \(quoted(name)) stands more than once; give it once",
          facts: [("parameter", .text(name))])
      }
    }
  }
}

extension Router {
  /// What belongs to the API and cannot be had yet, so that nobody takes it for a wrong method or a task.
  static let planned: [(method: String, path: PathPattern)] = [
    ("GET", "/v1/tasks/{id}/events"), ("GET", "/v1/events"),
    ("POST", "/v1/groups"), ("GET", "/v1/groups/{id}"), ("POST", "/v1/groups/{id}/cancel"),
    ("GET", "/metrics"), ("GET", "/openapi.json"), ("GET", "/"),
  ]
}
