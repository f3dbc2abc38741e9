// SPDX-License-Identifier: Apache-2.0

/// Why a server answers a request itself, without its handler; the body of the answer is made by the `problem` closure.
package enum HTTPRefusal: Error, Sendable, Equatable {
  /// 413: the body is larger than `limit` bytes.
  case bodyTooLarge(limit: Int)
  /// 400: the path or the query cannot be read; the text is a sentence without its full stop.
  case malformedTarget(String)
  /// 400: the length of the body is said twice, in two ways (RFC 9112 section 6.3); the connection is closed.
  case ambiguousLength
  /// 400: a header that must stand once stands twice.
  case repeatedHeader(String)

  package var status: Int {
    switch self {
    case .bodyTooLarge: 413
    case .ambiguousLength, .malformedTarget, .repeatedHeader: 400
    }
  }

  /// What is wrong and what to do, for the client.
  package var reason: String {
    switch self {
    case .bodyTooLarge(let limit): "the body is larger than \(limit) bytes; send less"
    case .ambiguousLength: "the request has Content-Length and Transfer-Encoding; send one of them"
    case .malformedTarget(let reason): reason
    case .repeatedHeader(let name): "the header \(name) stands more than once; send it once"
    }
  }
}
