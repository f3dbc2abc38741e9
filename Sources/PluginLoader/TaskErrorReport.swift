// SPDX-License-Identifier: Apache-2.0
internal import CRoost
internal import TaskModel

/// What a plugin said with set_error(), copied and repaired.
struct TaskErrorReport: Sendable {
  let message: String
  let code: Int32
  let retryable: Bool
  let detail: [UInt8]?
  let retryAfterMillis: Int64?

  /// A hundred years: what is longer would overflow somebody's clock.
  private static let longestDelay: Int64 = 100 * 366 * 86_400_000

  init(_ error: roost_error) {
    message = error.message.text(limit: TaskError.messageLimit)
    code = error.code
    retryable = error.flags & ROOST_NOT_RETRYABLE == 0
    detail = Self.detail(error.detail)
    retryAfterMillis = error.retry_after > 0 ? min(error.retry_after, Self.longestDelay) : nil
  }

  /// As an error of a record; `fallback` is the message when the plugin gave none.
  func taskError(kind: ErrorKind, fallback: @autoclosure () -> String) -> TaskError {
    TaskError(
      kind: kind, message: message.isEmpty ? fallback() : message, code: code,
      retryable: retryable && kind != .rejected, detail: detail, retryAfterMillis: retryAfterMillis)
  }

  /// JSON as it stands; other text as a JSON string; nil when empty or longer than is kept.
  private static func detail(_ bytes: roost_bytes) -> [UInt8]? {
    let borrowed = bytes.borrowed
    guard !borrowed.isEmpty, borrowed.count <= TaskError.detailLimit else { return nil }
    do {
      try JSONScanner.validate(borrowed.bindMemory(to: UInt8.self))
      return [UInt8](borrowed)
    } catch {
      var writer = JSONWriter()
      writer.string(bytes.text(limit: TaskError.detailLimit))
      return writer.bytes
    }
  }
}
