// SPDX-License-Identifier: Apache-2.0

/// Why an attempt or a task failed: the `error` of a record.
package struct TaskError: Error, Sendable, Equatable {
  package var kind: ErrorKind
  package var message: String
  /// The plugin's own number; 0: none.
  package var code: Int32
  package var retryable: Bool
  /// The name of the signal that ended the worker, as in `SIGSEGV`.
  package var signal: String?
  /// One JSON value, or nil.
  package var detail: [UInt8]?
  /// Milliseconds until the next attempt as the executor asked for; nil: the type's backoff.
  package var retryAfterMillis: Int64?

  package init(
    kind: ErrorKind, message: String, code: Int32 = 0, retryable: Bool = true, signal: String? = nil,
    detail: [UInt8]? = nil, retryAfterMillis: Int64? = nil
  ) {
    self.kind = kind
    self.message = message
    self.code = code
    self.retryable = retryable
    self.signal = signal
    self.detail = detail
    self.retryAfterMillis = retryAfterMillis
  }

  /// Bytes of message and of detail that are kept; the rest is cut or left out, so that a record stays small.
  package static let messageLimit = 4096
  package static let detailLimit = 16384

  /// The object that stands in a record and in a `no_result` problem.
  package var json: [UInt8] {
    var writer = JSONWriter()
    writer.beginObject()
    writer.member("kind", kind.name)
    writer.member("message", message.prefixed(byBytes: Self.messageLimit))
    if code != 0 { writer.member("code", Int64(code)) }
    writer.member("retryable", retryable)
    if let signal { writer.member("signal", signal) }
    if let detail, detail.count <= Self.detailLimit {
      writer.key("detail")
      writer.raw(detail)
    }
    writer.endObject()
    return writer.bytes
  }
}

extension String {
  /// At most `limit` bytes of UTF-8, cut between characters, with an ellipsis where something was cut.
  package func prefixed(byBytes limit: Int) -> String {
    guard utf8.count > limit else { return self }
    var end = utf8.index(utf8.startIndex, offsetBy: max(0, limit - 3))
    while end > utf8.startIndex, end.samePosition(in: unicodeScalars) == nil {
      end = utf8.index(before: end)
    }
    return String(self[..<end]) + "…"
  }
}
