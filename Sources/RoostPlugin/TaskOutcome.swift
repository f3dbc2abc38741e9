// SPDX-License-Identifier: Apache-2.0
internal import CRoost
public import FoundationEssentials

/// How a task ended, as a callback or an exception handler is told.
public struct TaskOutcome: Sendable {
  /// The result of a completed task; nil for a failed one.
  public let result: RawJSON?
  /// Why the task failed; nil for a completed one.
  public let error: FinalError?
  /// When the last attempt began; nil: the task never started.
  public let startedAt: Date?
  /// When the task ended.
  public let finishedAt: Date

  /// Why a task failed for good.
  public struct FinalError: Sendable, Hashable {
    /// What sort of failure it was.
    public let kind: Kind
    /// What happened, for people.
    public let message: String
    /// The executor's own number; 0: none.
    public let code: Int32
    /// Further facts as one JSON value.
    public let detail: RawJSON?
  }

  /// The `error.kind` of a record; the raw values are those of the HTTP API.
  public enum Kind: String, Sendable {
    /// The executor failed, or its result is not JSON or too large.
    case exception
    /// The task did not end in time.
    case timeout
    /// The task took its worker down.
    case crash
    /// The task needed more memory than its worker may have.
    case memory
    /// The executor refused the params.
    case rejected
    /// The task did not start in time.
    case expired
    /// The task before it in a chain did not complete.
    case upstream
  }

  /// Decodes the result of a completed task; throws ``TaskRejection`` for a failed one.
  public func result<Value: Decodable>(as type: Value.Type) throws -> Value {
    guard let result else { throw TaskRejection("a task that failed has no result") }
    return try result.decode(as: type)
  }

  init(_ outcome: roost_outcome) {
    let completed = outcome.status == ROOST_OK
    result = completed ? RawJSON(copying: outcome.result) : nil
    error =
      completed
      ? nil
      : FinalError(
        kind: Kind(outcome.kind), message: outcome.message.text, code: outcome.code,
        detail: outcome.detail.length == 0 ? nil : RawJSON(copying: outcome.detail))
    startedAt = Date(millis: outcome.started_at)
    finishedAt = Date(millis: outcome.finished_at) ?? Date(timeIntervalSince1970: 0)
  }
}

extension TaskOutcome.Kind {
  /// The ABI's number; one that is not known counts as an exception.
  init(_ number: UInt32) {
    switch number {
    case ROOST_KIND_TIMEOUT: self = .timeout
    case ROOST_KIND_CRASH: self = .crash
    case ROOST_KIND_MEMORY: self = .memory
    case ROOST_KIND_REJECTED: self = .rejected
    case ROOST_KIND_EXPIRED: self = .expired
    case ROOST_KIND_UPSTREAM: self = .upstream
    default: self = .exception
    }
  }
}
