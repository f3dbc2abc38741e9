// SPDX-License-Identifier: Apache-2.0
internal import HTTPServer

/// A path as in `/v1/tasks/{id}/status`, where `{…}` stands for any one segment that is not empty.
struct PathPattern: Sendable, ExpressibleByStringLiteral {
  private enum Segment: Sendable {
    case literal(String)
    case any
  }

  private let segments: [Segment]

  init(stringLiteral text: String) {
    segments = text.split(separator: "/").map { $0.hasPrefix("{") ? .any : .literal(String($0)) }
  }

  /// What stands in the place of each `{…}`; nil if the path is another one.
  func match(_ path: [String]) -> [String]? {
    guard path.count == segments.count else { return nil }
    var captures: [String] = []
    for (segment, text) in zip(segments, path) {
      switch segment {
      case .literal(let literal): if literal != text { return nil }
      case .any:
        if text.isEmpty { return nil }
        captures.append(text)
      }
    }
    return captures
  }
}

/// What one method does on a path.
struct Operation: Sendable {
  enum Body: Sendable {
    /// Runs on the loop thread and must not block; it sees to the answer itself, unless it throws.
    case immediate(@Sendable (APICall) throws(Problem) -> Void)
    case concurrent(@Sendable (APICall) async throws(Problem) -> HTTPResponse)
  }

  let method: String
  /// The query parameters that it knows.
  let query: [String]
  let body: Body

  static func get(
    query: [String] = [], _ body: @escaping @Sendable (APICall) async throws(Problem) -> HTTPResponse
  ) -> Operation {
    Operation(method: "GET", query: query, body: .concurrent(body))
  }

  static func post(_ body: @escaping @Sendable (APICall) async throws(Problem) -> HTTPResponse) -> Operation {
    Operation(method: "POST", query: [], body: .concurrent(body))
  }

  static func put(_ body: @escaping @Sendable (APICall) async throws(Problem) -> HTTPResponse) -> Operation {
    Operation(method: "PUT", query: [], body: .concurrent(body))
  }

  static func delete(_ body: @escaping @Sendable (APICall) async throws(Problem) -> HTTPResponse) -> Operation {
    Operation(method: "DELETE", query: [], body: .concurrent(body))
  }

  static func immediate(
    _ method: String, query: [String] = [], _ body: @escaping @Sendable (APICall) throws(Problem) -> Void
  ) -> Operation {
    Operation(method: method, query: query, body: .immediate(body))
  }
}

/// One line of the route table: a path and what its methods do.
struct Endpoint: Sendable {
  let path: PathPattern
  let operations: [Operation]

  init(_ path: PathPattern, _ operations: Operation...) {
    self.path = path
    self.operations = operations
  }

  /// The methods as `Allow` lists them.
  var allowed: String {
    (operations.flatMap { $0.method == "GET" ? ["GET", "HEAD"] : [$0.method] } + ["OPTIONS"]).joined(separator: ", ")
  }
}
