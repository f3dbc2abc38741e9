// SPDX-License-Identifier: Apache-2.0
internal import FlightBoard
internal import Logging
internal import PluginLoader
internal import Synchronization
internal import TaskModel
internal import TaskStore
internal import WorkerControl
internal import Threading

/// Why an attempt is to stop, as executors are told it.
enum StopReason: Int32, Sendable {
  case cancel = 1
  case deadline = 2
  /// The worker must go.
  case drain = 3
}

/// One run of an executor: from the take to the write that ends it.
final class Attempt: TaskCall {
  let task: TakenTask
  let batch: Int64
  let type: LoadedType
  /// On the monotonic clock.
  let takenAt: Int64
  let params: ArraySlice<UInt8>
  let clock: RedisClock
  let state = Lock(State())
  private let extras: Extras
  /// On the monotonic clock; 0: not started.
  private let start = Atomic<Int64>(0)

  struct State {
    var isOver = false
    var isMarked = false
    var progress: Progress?
    var progressIsNew = false
    var log = TaskLog()
    /// When progress or log lines were written last.
    var newsMadeAt: Int64 = 0
    /// Marks, progress and lines that wait to be written: no more are made meanwhile, however long Redis is away.
    var unwritten = 0
    var stop: StopReason?
    /// When the code was told to stop for its own sake, on the monotonic clock.
    var stoppedAt: Int64 = 0
    var overstays = false
    var running: CancelThread.Underway?
  }

  /// A task that runs longer than this is shown as IN_PROGRESS; nobody can see shorter ones.
  static let shownAfter: Int64 = 50_000_000
  /// Progress and log lines are written at most this often, however often the executor reports them.
  static let newsEvery: Int64 = 250_000_000
  /// Longer timeouts mean the same.
  static let longestTimeoutMillis: Int64 = 3650 * 86_400_000

  init(
    _ task: TakenTask, params: ArraySlice<UInt8>, batch: Int64, type: LoadedType, clock: RedisClock, takenAt: Int64
  ) {
    self.task = task
    self.params = params
    self.takenAt = takenAt
    self.batch = batch
    self.type = type
    self.clock = clock
    extras = task.record.extras
  }

  /// Which attempt at the task this is; 1 for the first.
  var number: Int { task.record.attempts + 1 }
  var startedAt: Int64 { start.load(ordering: .relaxed) }
  /// On the monotonic clock; nil: it may take as long as it likes.
  var deadline: Int64? {
    (extras.timeoutMillis ?? type.definition.timeoutMillis).map {
      startedAt + min($0, Self.longestTimeoutMillis) * 1_000_000
    }
  }

  /// Runs the executor on this thread; `done` is called once with what it came to, maybe from another thread.
  func run(_ flight: FlightRecorder.Token, _ done: @escaping RunningAttempt.Completion) {
    start.store(MonotonicClock.now, ordering: .relaxed)
    let running = type.executor.prepare(self)
    let isCancelled = state.withLock { state in
      state.running = CancelThread.Underway(attempt: running, flight: flight)
      return state.stop == .cancel
    }
    if isCancelled { done(.cancelled) } else { running.run(done) }
  }

  /// Asks the executor to stop; what was asked before stays, unless that was only that the worker must go.
  func requestStop(_ reason: StopReason, _ thread: CancelThread) {
    let running = state.withLock { state -> CancelThread.Underway? in
      guard !state.isOver, state.stop == nil || state.stop == .drain && reason != .drain else { return nil }
      state.stop = reason
      state.stoppedAt = MonotonicClock.now
      return state.running
    }
    if let running, type.executor.hasCancel { thread.cancel(running) }
  }

  var isOver: Bool { state.withLock { $0.isOver } }
  var overstays: Bool { state.withLock { $0.overstays } }

  // MARK: TaskCall

  var facts: TaskFacts {
    TaskFacts(
      id: task.id, type: type.name, params: params, attempt: UInt32(number),
      maxAttempts: UInt32(clamping: type.definition.retry.attempts), crashes: UInt32(task.record.crashes),
      trace: extras.trace ?? "", tenant: "", createdAtMillis: clock.machineMillis(task.record.createdAt),
      deadlineMillis: deadline.map { clock.machineMillis(clock.time(at: $0)) } ?? 0,
      maxResult: type.definition.maxResult)
  }

  func stopRequested() -> Int32 { state.withLock { $0.stop?.rawValue ?? 0 } }

  func progress(_ fraction: Double, _ note: String) {
    state.withLock { state in
      state.progress = Progress(fraction: fraction, note: note)
      state.progressIsNew = true
    }
  }

  func log(_ level: Log.Level, _ message: String) {
    Log.write(
      level, { message }, ["plugin": type.definition.executor.plugin, "type": type.name, "task": task.id.description])
    guard level >= .info || Log.shows(level) else { return }
    let now = MonotonicClock.now
    state.withLock { state in
      if !state.isOver { state.log.add(level, message, at: now) }
    }
  }

  func record() -> [UInt8]? {
    var record = TaskRecord(id: task.id, task.record)
    record.params = Array(params)
    record.status = .inProgress
    record.attempts = number
    record.maxAttempts = type.definition.retry.attempts
    record.startedAt = clock.time(at: startedAt)
    record.deadline = deadline.map(clock.time)
    record.origin = type.origin
    record.progress = state.withLock { $0.progress }.map { ($0.fraction, $0.note) }
    var writer = JSONWriter()
    record.write(to: &writer, parts: [.params, .result], handler: nil)
    return writer.bytes
  }
}

extension Attempt {
  /// Hands over what of a running attempt is to be shown now: that it runs, its progress, its log lines.
  ///
  /// `post` is called under the attempt's lock, so that nothing is posted behind the outcome, which would be refused.
  func report(at now: Int64, _ post: ([TaskWrite]) -> Void) {
    let startedAt = startedAt
    guard startedAt > 0, now - startedAt > Self.shownAfter else { return }
    state.withLock { state in
      guard !state.isOver, state.unwritten == 0 else { return }
      var writes = marking(&state, startedAt)
      if now - state.newsMadeAt > Self.newsEvery {
        let news = state.takeNews(at: now)
        if let progress = news.progress { writes.append(write(.progress(progress), startedAt: startedAt)) }
        if let log = news.log { writes.append(write(.log(log.json(clock)), startedAt: startedAt)) }
      }
      state.unwritten = writes.count
      if !writes.isEmpty { post(writes) }
    }
  }

  /// That it runs, if nobody has been shown it yet.
  private func marking(_ state: inout State, _ startedAt: Int64) -> [TaskWrite] {
    if state.isMarked { return [] }
    state.isMarked = true
    if state.progress == nil, task.record.has(.progress) {
      // What an earlier attempt reported was shown until now.
      state.progress = Progress(fraction: 0, note: "")
      state.progressIsNew = true
    }
    return [write(.running(deadline: deadline.map(clock.time)), startedAt: startedAt)]
  }

  /// Why the code was told to stop, once, when it has gone on beyond its grace since.
  ///
  /// That its deadline has passed is posted as in `report`: the task's fate is to be written before the process ends for it.
  func overstay(at now: Int64, _ post: ([TaskWrite]) -> Void) -> StopReason? {
    let startedAt = startedAt
    guard startedAt > 0 else { return nil }
    let grace = min(type.definition.graceMillis, Self.longestTimeoutMillis) * 1_000_000
    return state.withLock { state in
      guard !state.isOver, !state.overstays, let stop = state.stop, stop != .drain else { return nil }
      guard now - state.stoppedAt >= grace else { return nil }
      state.overstays = true
      var writes = marking(&state, startedAt)
      if stop == .deadline { writes.append(write(.overdue, startedAt: startedAt)) }
      state.unwritten += writes.count
      post(writes)
      return stop
    }
  }

  /// One of the news has been written.
  func newsWasWritten() { state.withLock { $0.unwritten -= 1 } }
}

extension Attempt.State {
  /// Progress and log lines that were not written yet.
  mutating func takeNews(at now: Int64) -> (progress: Progress?, log: TaskLog?) {
    guard progressIsNew || !log.isEmpty else { return (nil, nil) }
    defer {
      progressIsNew = false
      log = TaskLog()
      newsMadeAt = now
    }
    return (progressIsNew ? progress : nil, log.isEmpty ? nil : log)
  }
}
