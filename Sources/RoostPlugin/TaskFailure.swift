// SPDX-License-Identifier: Apache-2.0

/// An attempt that failed, with everything that the record and the retry want to know.
public struct TaskFailure: Error, Sendable, CustomStringConvertible {
  /// What happened, for people.
  public var message: String
  /// The plugin's own number; 0: none.
  public var code: Int32
  /// Whether the task may be tried again within the type's `retry.attempts`.
  public var retryable: Bool
  /// The delay until the next attempt, at most a day; nil: the type's backoff.
  public var retryAfter: Duration?
  /// Further facts as one JSON value.
  public var detail: RawJSON?

  /// A failure; only the message is needed.
  public init(
    _ message: String, code: Int32 = 0, retryable: Bool = true, retryAfter: Duration? = nil, detail: RawJSON? = nil
  ) {
    self.message = message
    self.code = code
    self.retryable = retryable
    self.retryAfter = retryAfter
    self.detail = detail
  }

  /// The message.
  public var description: String { message }
}

/// Params (or, from a factory, settings) that can never work: the task fails as `rejected` and is not tried again.
public struct TaskRejection: Error, Sendable, CustomStringConvertible {
  /// What is wrong with the params, for people.
  public var message: String
  /// Further facts as one JSON value.
  public var detail: RawJSON?

  /// A rejection with its reason.
  public init(_ message: String, detail: RawJSON? = nil) {
    self.message = message
    self.detail = detail
  }

  /// The message.
  public var description: String { message }
}

/// Thrown by an executor whose task somebody outside will finish over HTTP; its thread and lease are released.
///
/// The task stays IN_PROGRESS until `PUT /v1/tasks/{id}/result` or `PUT /v1/tasks/{id}/status`, or until its deadline.
public struct Detached: Error, Sendable {
  /// The answer "somebody outside finishes it".
  public init() {}
}
