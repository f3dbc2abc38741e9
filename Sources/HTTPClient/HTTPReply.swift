// SPDX-License-Identifier: Apache-2.0

/// What a server answered.
package struct HTTPReply: Sendable {
  package let status: Int
  /// In their order, names in lower case.
  package let headers: [(name: String, value: String)]
  package let body: [UInt8]

  /// The first value of a header; `name` is in lower case.
  package func header(_ name: String) -> String? {
    headers.first { $0.name == name }?.value
  }

  /// The body as text, what is not UTF-8 repaired.
  package var text: String { String(decoding: body, as: UTF8.self) }
}

/// Gathers the parts of a reply while libcurl hands them over.
final class ReplyBuffer {
  private(set) var headers: [(name: String, value: String)] = []
  private(set) var body: [UInt8] = []

  func append(_ bytes: UnsafeBufferPointer<UInt8>) {
    body.append(contentsOf: bytes)
  }

  func append(headerLine bytes: UnsafeBufferPointer<UInt8>) {
    let line = String(decoding: bytes, as: UTF8.self)
    // An interim reply (100 Continue) comes before the real one.
    if line.hasPrefix("HTTP/") { headers.removeAll() }
    guard let colon = line.firstIndex(of: ":") else { return }
    let value = line[line.index(after: colon)...].drop { $0.isWhitespace }.reversed().drop { $0.isWhitespace }
    headers.append((line[..<colon].lowercased(), String(value.reversed())))
  }
}
