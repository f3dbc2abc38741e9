// SPDX-License-Identifier: Apache-2.0

/// Code that runs the tasks of a type on one of the type's pool threads, where it may block.
///
/// One instance serves all tasks of its plugin at once: keep what changes inside a lock. Throwing tells how the task ended:
/// - ``TaskFailure`` or any other error: failed; tried again within the type's `retry.attempts`;
/// - ``TaskRejection``: these params can never work; never tried again;
/// - `CancellationError`: stopped because ``TaskContext/isCancelled`` said so;
/// - ``Detached``: somebody outside finishes the task.
///
/// Params that do not decode are rejected before ``execute(_:context:)`` is called.
public protocol TaskExecutor: Sendable {
  /// What the params are decoded to; ``RawJSON`` takes them as they were submitted.
  associatedtype Params: Decodable
  /// What the task comes to; ``RawJSON`` is kept byte for byte.
  associatedtype Output: Encodable

  /// Runs one attempt of a task, on a pool thread, concurrently with others.
  func execute(_ params: Params, context: TaskContext) throws -> Output
}

/// Code that runs the tasks of a type as Swift tasks, so that waiting holds no thread.
///
/// The Swift task is cancelled when the host asks this task to stop; cancellation handlers run on a thread that
/// those of other tasks wait for, so they must not block. Errors mean what they mean to a ``TaskExecutor``.
public protocol AsyncTaskExecutor: Sendable {
  /// What the params are decoded to; ``RawJSON`` takes them as they were submitted.
  associatedtype Params: Decodable & Sendable
  /// What the task comes to; ``RawJSON`` is kept byte for byte.
  associatedtype Output: Encodable

  /// Runs one attempt of a task on Swift's own threads, which it must not block.
  func execute(_ params: Params, context: TaskContext) async throws -> Output
}

/// Code that is told of tasks that completed.
///
/// It may be told twice of one outcome: the task's id, the status and ``TaskOutcome/finishedAt`` are the key. An error that it throws
/// is tried again as the type's `handlerRetry` says, a ``TaskRejection`` is not, and a `CancellationError`, thrown because
/// ``TaskContext/isCancelled`` said so, gives the call back; none changes the task.
public protocol TaskCallback: Sendable {
  /// Takes the outcome of a completed task, on a handler thread, where it may block.
  func completed(_ outcome: TaskOutcome, context: TaskContext) throws
}

/// Code that is told of tasks that failed for good.
///
/// It may be told twice of one outcome: the task's id, the status and ``TaskOutcome/finishedAt`` are the key. An error that it throws
/// is tried again as the type's `handlerRetry` says, a ``TaskRejection`` is not, and a `CancellationError`, thrown because
/// ``TaskContext/isCancelled`` said so, gives the call back; none changes the task.
public protocol TaskExceptionHandler: Sendable {
  /// Takes the outcome of a failed task, on a handler thread, where it may block.
  func failed(_ outcome: TaskOutcome, context: TaskContext) throws
}
