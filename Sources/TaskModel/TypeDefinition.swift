// SPDX-License-Identifier: Apache-2.0

/// A type as hosts make it known to each other.
package struct TypeDefinition: Sendable, Equatable {
  package var name: String
  package var executor: String
  package var callback: String?
  package var exceptionHandler: String?
  package var worker: String
  package var threads: Int
  package var retentionAge: Duration
  package var retentionCount: Int
  package var maxParams: Int
  package var maxResult: Int
  package var retry: RetryPolicy
  /// PENDING and SCHEDULED tasks together, beyond which submissions are refused.
  package var queueCapacity: Int
  /// Counted from the final status, how long a key stays taken; nil: as long as its task's record.
  package var keyTTL: Duration?
  /// How long an attempt may take; nil: without limit.
  package var timeout: Duration?
  /// Crashes of one task after which it is FAILED.
  package var maxCrashes: Int
  package var handlerRetry: RetryPolicy

  /// The name of the handler that a task calls when it ends so.
  package func handler(of status: TaskStatus) -> String? { status == .completed ? callback : exceptionHandler }

  package init(
    name: String, executor: String, callback: String?, exceptionHandler: String?, worker: String, threads: Int,
    retentionAge: Duration, retentionCount: Int, maxParams: Int, maxResult: Int, retry: RetryPolicy = .task,
    queueCapacity: Int = 100_000, keyTTL: Duration? = nil, timeout: Duration? = nil, maxCrashes: Int = 2,
    handlerRetry: RetryPolicy = .handler
  ) {
    self.name = name
    self.executor = executor
    self.callback = callback
    self.exceptionHandler = exceptionHandler
    self.worker = worker
    self.threads = threads
    self.retentionAge = retentionAge
    self.retentionCount = retentionCount
    self.maxParams = maxParams
    self.maxResult = maxResult
    self.retry = retry
    self.queueCapacity = queueCapacity
    self.keyTTL = keyTTL
    self.timeout = timeout
    self.maxCrashes = maxCrashes
    self.handlerRetry = handlerRetry
  }
}
