// SPDX-License-Identifier: Apache-2.0

/// One whole request, its body included.
package struct HTTPRequest: Sendable {
  /// As the client sent it, known or not; a HEAD shows as GET, its answer goes out without the body.
  package let method: String
  /// The path as it was sent, without the query.
  package let path: String
  /// The path between its slashes, percent-decoded one by one: `/` is none, `/a%2Fb/` is `a/b` and an empty one.
  package let segments: [String]
  /// The query in its order, percent-decoded, `+` being a space; a name without `=` has an empty value.
  package let query: [(name: String, value: String)]
  package let body: [UInt8]
  /// Only those of `HTTPHeaderName.kept`, names in lower case.
  let headers: [(name: String, value: String)]

  package init(
    method: String, path: String, segments: [String], query: [(name: String, value: String)] = [],
    headers: [(name: String, value: String)] = [], body: [UInt8] = []
  ) {
    self.method = method
    self.path = path
    self.segments = segments
    self.query = query
    self.headers = headers
    self.body = body
  }

  /// The value of a header, its name in any case; nil when it was not sent or is none of those a server keeps.
  ///
  /// Kept are Host, Origin, Authorization, Content-Length, Content-Type, Accept, Last-Event-ID, traceparent.
  package func header(_ name: String) -> String? {
    headers.first { HTTPHeaderName.equal($0.name.utf8, name.utf8) }?.value
  }

  /// The first value of a name in the query.
  package func queryValue(_ name: String) -> String? {
    query.first { $0.name == name }?.value
  }
}

/// The request headers that are copied out of a request; the rest is not looked at.
enum HTTPHeaderName {
  /// In lower case; each fits the 15 bytes that a String holds without memory of its own.
  static let kept = [
    "host", "origin", "authorization", "content-length", "content-type", "accept", "last-event-id", "traceparent",
  ]
  /// Those that say who asks for what: with two values a proxy and this server could each believe another one.
  static let single: Set<String> = ["host", "origin", "authorization", "content-length"]

  /// Whether two names are the same but for the case of their letters.
  static func equal(_ a: some Collection<UInt8>, _ b: some Collection<UInt8>) -> Bool {
    a.count == b.count && zip(a, b).allSatisfy { lowercase($0) == lowercase($1) }
  }

  private static func lowercase(_ byte: UInt8) -> UInt8 {
    (0x41...0x5a).contains(byte) ? byte | 0x20 : byte
  }
}
