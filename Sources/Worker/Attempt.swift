// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import Logging
internal import PluginLoader
internal import TaskModel
internal import TaskStore
internal import WorkerControl
internal import Threading

/// One run of an executor: from the take to the write that ends it.
final class Attempt: TaskCall {
  let task: TakenTask
  let batch: Int64
  let type: LoadedType
  let takenAt = MonotonicClock.now
  private let params: [UInt8]
  private let clock: RedisClock
  private let state = Lock(State())

  private struct State {
    var startedAt: Int64 = 0
    var isOver = false
    var isMarked = false
    var progress: Progress?
    var progressIsNew = false
    var progressWrittenAt: Int64 = 0
    /// Whether a mark or progress waits to be written: no second one is made meanwhile, however long Redis is away.
    var hasUnwrittenNews = false
    var stopRequested: Int32 = 0
    var running: RunningAttempt?
  }

  /// A task that runs longer than this is shown as IN_PROGRESS; nobody can see shorter ones.
  static let shownAfter: Int64 = 50_000_000
  /// Progress is written at most this often, however often the executor reports it.
  static let progressEvery: Int64 = 250_000_000
  /// Who detaches a task without a deadline of its own has this long.
  static let detachedMillis: Int64 = 24 * 3_600_000

  init(_ task: TakenTask, params: [UInt8], batch: Int64, type: LoadedType, clock: RedisClock) {
    self.task = task
    self.params = params
    self.batch = batch
    self.type = type
    self.clock = clock
  }

  /// Runs the executor on this thread; `done` is called once with the write that ends the attempt, maybe from another thread.
  func run(_ done: @escaping @Sendable (Attempt, TaskWrite) -> Void) {
    let running = type.executor.prepare(self)
    state.withLock { state in
      state.startedAt = MonotonicClock.now
      state.running = running
    }
    running.run { outcome in done(self, self.end(with: outcome)) }
  }

  /// Asks the executor to stop: 1 cancel, 2 deadline, 3 the worker must go.
  func requestStop(_ reason: Int32) {
    let running = state.withLock { state -> RunningAttempt? in
      if state.stopRequested == 0 || state.stopRequested == 3 { state.stopRequested = reason }
      return state.running
    }
    running?.cancel()
  }

  /// How long it has run so far, in nanoseconds.
  var elapsed: Int64 { MonotonicClock.now - state.withLock { $0.startedAt } }

  /// What of a running attempt is to be shown now: that it runs, or its progress.
  func news(at now: Int64) -> TaskWrite? {
    state.withLock { state -> TaskWrite? in
      guard !state.isOver, state.startedAt > 0, !state.hasUnwrittenNews else { return nil }
      if !state.isMarked, now - state.startedAt > Self.shownAfter {
        state.isMarked = true
        state.hasUnwrittenNews = true
        return write(.running, startedAt: state.startedAt)
      }
      guard state.isMarked, state.progressIsNew, now - state.progressWrittenAt > Self.progressEvery,
        let progress = state.progress
      else { return nil }
      state.progressIsNew = false
      state.hasUnwrittenNews = true
      state.progressWrittenAt = now
      return write(.progress(progress), startedAt: state.startedAt)
    }
  }

  /// The mark or progress that was made last has been written.
  func newsWasWritten() { state.withLock { $0.hasUnwrittenNews = false } }

  /// The last progress that was reported but not shown yet, if any was shown before.
  var lastProgress: TaskWrite? {
    state.withLock { state in
      guard state.progressIsNew, state.progressWrittenAt > 0, let progress = state.progress else { return nil }
      state.progressIsNew = false
      return write(.progress(progress), startedAt: state.startedAt)
    }
  }

  func givingBack() -> TaskWrite { write(.givenBack, startedAt: takenAt) }

  private func end(with outcome: AttemptOutcome) -> TaskWrite {
    let (startedAt, reason) = state.withLock { state in
      state.isOver = true
      state.running = nil
      return (state.startedAt, state.stopRequested)
    }
    let operation: TaskWrite.Operation
    switch outcome {
    case .completed(let result): operation = .completed(result: result ?? Array("null".utf8))
    case .failed(let error), .rejected(let error): operation = .failed(error)
    case .cancelled:
      switch reason {
      case 3: operation = .givenBack
      case 2: operation = .failed(TaskError(kind: .timeout, message: "stopped at its deadline"))
      default: operation = .stopped
      }
    case .detached:
      operation = .detached(deadline: Timestamp(millis: clock.now.millis + Self.detachedMillis))
    }
    return write(operation, startedAt: startedAt)
  }

  /// A task that cannot be run: its params are gone.
  func withoutParams() -> TaskWrite {
    write(
      .failed(TaskError(kind: .exception, message: "the params are gone from Redis", retryable: false)),
      startedAt: takenAt)
  }

  private func write(_ operation: TaskWrite.Operation, startedAt: Int64) -> TaskWrite {
    let record = task.record
    var write = TaskWrite(
      id: task.id, fence: record.fence, operation: operation, attempts: record.attempts + 1, maxAttempts: 1,
      hasParamsKey: record.hasParamsKey, origin: type.origin,
      // Never before the task was made, however the two clocks were read.
      startedAt: max(clock.time(at: startedAt), record.createdAt))
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
    record.params = params
    record.attempts = write.attempts
    record.startedAt = write.startedAt
    record.finishedAt = clock.now
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

  // MARK: TaskCall

  var facts: TaskFacts {
    TaskFacts(
      id: task.id, type: type.name, params: params, attempt: UInt32(task.record.attempts + 1), maxAttempts: 1,
      crashes: UInt32(task.record.crashes), trace: task.record.trace ?? "", tenant: "",
      createdAtMillis: clock.machineMillis(task.record.createdAt), deadlineMillis: 0,
      maxResult: type.definition.maxResult)
  }

  func stopRequested() -> Int32 { state.withLock { $0.stopRequested } }

  func progress(_ fraction: Double, _ note: String) {
    state.withLock { state in
      state.progress = Progress(fraction: fraction, note: note)
      state.progressIsNew = true
    }
  }

  func log(_ level: Log.Level, _ message: String) {
    Log.write(
      level, { message }, ["plugin": type.definition.executor.plugin, "type": type.name, "task": task.id.description])
  }

  func record() -> [UInt8]? {
    var record = TaskRecord(id: task.id, task.record)
    record.params = params
    record.status = .inProgress
    record.attempts += 1
    record.startedAt = clock.time(at: state.withLock { $0.startedAt })
    var writer = JSONWriter()
    record.write(to: &writer, parts: [.params, .result], definition: nil)
    return writer.bytes
  }
}

extension RedisClock {
  /// The same moment in milliseconds of this machine's CLOCK_REALTIME, as plugins are told it.
  func machineMillis(_ time: Timestamp) -> Int64 {
    var now = timespec()
    clock_gettime(CLOCK_REALTIME, &now)
    return time.millis - self.now.millis + Int64(now.tv_sec) * 1000 + Int64(now.tv_nsec) / 1_000_000
  }
}
