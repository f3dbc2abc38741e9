// SPDX-License-Identifier: Apache-2.0
internal import PluginLoader
internal import TaskModel
internal import TaskStore
internal import Synchronization
internal import Threading
internal import WorkerControl

extension Attempt {
  /// What is written when an attempt is over.
  struct Ending: Sendable {
    /// Progress and log lines that were not shown yet.
    var news: [TaskWrite] = []
    var write: TaskWrite
    /// On the monotonic clock.
    var endedAt: Int64
  }

  /// Who detaches a task without a timeout of its own has this long.
  private static let detachedMillis: Int64 = 24 * 3_600_000

  func end(with outcome: AttemptOutcome) -> Ending {
    let (reason, isMarked, wasShown, news) = state.withLock { state in
      state.isOver = true
      state.running = nil
      return (state.stop, state.isMarked, state.newsMadeAt > 0, state.takeNews(at: startedAt))
    }
    let now = MonotonicClock.now
    var ending = Ending(write: write(operation(outcome, reason), startedAt: startedAt, at: now), endedAt: now)
    // The mark has the deadline, and a task that ended by it is to show it.
    if reason == .deadline, !isMarked {
      ending.news.append(write(.running(deadline: deadline.map(clock.time)), startedAt: startedAt))
    }
    // Progress that nobody has seen says nothing about a task that is over.
    if let progress = news.progress, wasShown {
      ending.news.append(write(.progress(progress), startedAt: startedAt))
    }
    if let log = news.log { ending.news.append(write(.log(log.json(clock)), startedAt: startedAt)) }
    return ending
  }

  private func operation(_ outcome: AttemptOutcome, _ reason: StopReason?) -> TaskWrite.Operation {
    switch outcome {
    case .completed(let result): .completed(result: result ?? Array("null".utf8))
    case .rejected(let error): .failed(error)
    case .failed(let error): failure(error)
    case .cancelled:
      switch reason {
      case .drain: .givenBack
      case .deadline: failure(TaskError(kind: .timeout, message: "stopped at its deadline"))
      case .cancel, nil: .stopped
      }
    case .detached:
      .detached(deadline: deadline.map(clock.time) ?? Timestamp(millis: clock.now.millis + Self.detachedMillis))
    }
  }

  /// Again, if attempts are left and the error allows it.
  private func failure(_ error: TaskError) -> TaskWrite.Operation {
    let policy = type.definition.retry
    guard error.isRetried, number < policy.attempts else { return .failed(error) }
    return .retry(error, at: clock.later(policy.delayMillis(after: number, error)))
  }

  func givingBack() -> TaskWrite { write(.givenBack, startedAt: takenAt) }

  /// Somebody wants a task stopped that has not started.
  func stopping() -> TaskWrite { write(.stopped, startedAt: takenAt) }

  /// It was not to be started so late.
  func expiring() -> TaskWrite { write(.expired, startedAt: takenAt) }

  /// A task that cannot be run: its params are gone.
  func withoutParams() -> TaskWrite {
    write(
      .failed(TaskError(kind: .exception, message: "the params are gone from Redis", retryable: false)),
      startedAt: takenAt)
  }

  /// A write of this moment; both times are the monotonic clock's.
  func write(_ operation: TaskWrite.Operation, startedAt: Int64, at now: Int64 = MonotonicClock.now) -> TaskWrite {
    let record = task.record
    var write = TaskWrite(
      id: task.id, fence: record.fence, ticket: task.ticket, operation: operation, attempts: number,
      maxAttempts: type.definition.retry.attempts, hasParamsKey: record.hasParamsKey, origin: type.originNumber,
      // Never before the task was made, however the two clocks were read.
      startedAt: max(clock.time(at: startedAt), record.createdAt), finishedAt: clock.time(at: now))
    switch operation {
    case .completed:
      write.callsHandler = type.callback != nil
      write.taken = record
    case .failed: write.callsHandler = type.exceptionHandler != nil
    default: break
    }
    return write
  }

  /// The call of the handler for the outcome that was written.
  func handlerCall(after write: TaskWrite) -> HandlerCall {
    var record = TaskRecord(id: task.id, task.record)
    record.params = Array(params)
    record.attempts = write.attempts
    record.maxAttempts = write.maxAttempts
    record.startedAt = write.startedAt
    record.finishedAt = write.finishedAt
    record.origin = type.origin
    switch write.operation {
    case .completed(let result):
      record.status = .completed
      record.result = result
      record.error = nil
    case .failed(let error):
      record.status = .failed
      record.error = error.json
    default: break
    }
    record.handler = .init(phase: .pending, attempts: 0, lastError: nil)
    return HandlerCall(record, fence: task.record.fence, batch: batch, type: type, clock: clock)
  }
}

extension TaskError {
  /// Whether an attempt that ended so is followed by another while attempts are left.
  fileprivate var isRetried: Bool {
    switch kind {
    case .exception, .timeout, .memory: retryable
    default: false
    }
  }
}

extension RetryPolicy {
  /// A delay that the plugin named is kept as it is, up to this.
  private static let longestNamedMillis: Int64 = 24 * 3_600_000

  /// Milliseconds to wait after try number `attempt` has failed with `error`.
  func delayMillis(after attempt: Int, _ error: TaskError) -> Int64 {
    guard let named = error.retryAfterMillis else { return delayMillis(after: attempt) }
    return min(named, Self.longestNamedMillis)
  }
}

extension RedisClock {
  func later(_ millis: Int64) -> Timestamp { Timestamp(millis: now.millis + max(1, millis)) }
}
