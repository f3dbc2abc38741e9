// SPDX-License-Identifier: Apache-2.0
package import Logging
package import TaskModel

/// What a plugin may ask about the task that it is called for.
package struct TaskFacts: Sendable {
  package var id: TaskID
  package var type: String
  /// JSON, byte for byte as submitted.
  package var params: ArraySlice<UInt8>
  /// 1 for the first.
  package var attempt: UInt32
  package var maxAttempts: UInt32
  /// Workers that this task has taken down so far.
  package var crashes: UInt32
  /// W3C traceparent as submitted, or empty.
  package var trace: String
  package var tenant: String
  /// Milliseconds since 1970 on this machine's CLOCK_REALTIME.
  package var createdAtMillis: Int64
  /// On the same clock; 0: none.
  package var deadlineMillis: Int64
  /// Bytes of result that are accepted.
  package var maxResult: Int

  package init(
    id: TaskID, type: String, params: ArraySlice<UInt8>, attempt: UInt32, maxAttempts: UInt32, crashes: UInt32 = 0,
    trace: String = "", tenant: String = "", createdAtMillis: Int64, deadlineMillis: Int64 = 0, maxResult: Int
  ) {
    self.id = id
    self.type = type
    self.params = params
    self.attempt = attempt
    self.maxAttempts = maxAttempts
    self.crashes = crashes
    self.trace = trace
    self.tenant = tenant
    self.createdAtMillis = createdAtMillis
    self.deadlineMillis = deadlineMillis
    self.maxResult = maxResult
  }
}

/// The worker's side of one attempt or one handler call.
///
/// Its functions are called on whatever thread the plugin chooses, several at once, and must be cheap.
package protocol TaskCall: AnyObject, Sendable {
  /// Asked for once, when the call begins.
  var facts: TaskFacts { get }
  /// 0 no, 1 cancel, 2 deadline passed, 3 the worker must go now; never back to 0.
  func stopRequested() -> Int32
  /// The fraction lies in 0...1; the note is well-formed text and cut to a bound.
  func progress(_ fraction: Double, _ note: String)
  func log(_ level: Log.Level, _ message: String)
  /// The record as the HTTP API answers it, without its log; nil when it cannot be had.
  func record() -> [UInt8]?
}

/// What an attempt came to.
package enum AttemptOutcome: Sendable, Equatable {
  /// With the result's JSON; nil: null.
  case completed([UInt8]?)
  case failed(TaskError)
  /// Stopped because it was asked to.
  case cancelled
  /// These params can never work.
  case rejected(TaskError)
  /// Somebody outside finishes the task.
  case detached
}

/// A task's outcome as its callback or exception handler sees it.
package struct HandlerOutcome: Sendable {
  /// Whether the task completed; the callback is called then, else the exception handler.
  package var completed: Bool
  /// Why it did not; nil when it completed.
  package var kind: ErrorKind?
  package var code: Int32
  package var message: String
  /// One JSON value, or nil.
  package var detail: [UInt8]?
  /// One JSON value when the task completed (empty: null), else ignored.
  package var result: [UInt8]
  /// Milliseconds since 1970 on this machine's CLOCK_REALTIME; 0: never started.
  package var startedAtMillis: Int64
  package var finishedAtMillis: Int64

  package init(
    completed: Bool, kind: ErrorKind? = nil, code: Int32 = 0, message: String = "", detail: [UInt8]? = nil,
    result: [UInt8] = [], startedAtMillis: Int64, finishedAtMillis: Int64
  ) {
    self.completed = completed
    self.kind = kind
    self.code = code
    self.message = message
    self.detail = detail
    self.result = result
    self.startedAtMillis = startedAtMillis
    self.finishedAtMillis = finishedAtMillis
  }
}

/// What a handler call came to.
package enum HandlerResult: Sendable, Equatable {
  case delivered
  /// To be called again as `handlerRetry` says, unless the error is not retryable.
  case failed(TaskError)
  /// Never to be called again.
  case rejected(TaskError)
  /// Stopped because it was asked to; the call is still owed.
  case givenBack
}
