// SPDX-License-Identifier: Apache-2.0

/// Why a request has no reply.
package enum HTTPClientError: Error, Sendable, Equatable, CustomStringConvertible {
  /// The base is not an http or https URL.
  case badURL(String)
  /// Nothing was sent: the name is unknown, nobody listens, or TLS was not agreed on.
  case unreachable(url: String, reason: String)
  /// The request may have been carried out: the time ran out after the connection stood.
  case timedOut(url: String, after: Duration)
  /// The request may have been carried out: the connection broke before the whole reply was there.
  case broken(url: String, reason: String)
  /// libcurl refused to begin, as when memory is short.
  case failed(reason: String)

  package var description: String {
    switch self {
    case .badURL(let text): "\"\(text)\" is not a URL; write http://HOST:PORT or https://HOST"
    case .unreachable(let url, let reason): "cannot reach \(url): \(reason)"
    case .timedOut(let url, let limit): "\(url) did not answer within \(limit)"
    case .broken(let url, let reason): "the connection to \(url) broke: \(reason)"
    case .failed(let reason): "the request could not be made: \(reason)"
    }
  }
}
