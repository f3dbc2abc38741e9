// SPDX-License-Identifier: Apache-2.0
internal import CSystemShims
internal import FlightBoard
internal import Glibc
internal import Logging
internal import PluginLoader
internal import Redis
internal import TaskModel
internal import TaskStore
internal import Threading
internal import WorkerControl

/// The control thread: plugins, threads, heartbeats, the way out.
final class Worker {
  private let assignment: WorkerAssignment
  private let channel: ControlChannel
  private let recorder: FlightRecorder
  private let clock = RedisClock()
  private let lease: LeaseGuard
  private var beats: Int64 = 0
  /// Signals whose handlers were told of.
  private var takenOver: Set<Int32> = []
  /// Nothing more is taken, once it is there.
  private var departure: Departure?

  init(_ assignment: WorkerAssignment, _ channel: ControlChannel, _ recorder: FlightRecorder) {
    self.assignment = assignment
    self.channel = channel
    self.recorder = recorder
    lease = LeaseGuard(leaseMillis: assignment.leaseMillis)
  }

  func run() -> Never {
    let (plugins, issues) = LoadedPlugins.load(assignment)
    guard issues.isEmpty else { leave(with: .failed(issues), status: 3) }
    recorder.marksCrashes()
    send(.loaded)
    waitForBegin(plugins)

    let keys = Keys(prefix: assignment.prefix)
    let (address, id, clock) = (assignment.redis, assignment.id, clock)
    let connect: @Sendable (Int64) throws -> WorkerSession = { epoch in
      try WorkerSession(to: address, keys: keys, worker: id, epoch: epoch, clock: clock)
    }
    let origins = plugins.types.map { origin(of: $0, plugins) }
    let (session, numbers) = firstSession(connect, origins, plugins)
    var types = plugins.types
    for (index, number) in numbers.enumerated() { types[index] = types[index].known(as: origins[index], number) }

    let core = WorkerCore(
      types: types, lease: lease, clock: clock, keys: keys, recorder: recorder, runsAlone: assignment.runsAlone)
    for pool in core.pools { pool.start(core) }
    let loop = TakeLoop(
      core: core, origins: origins, connect: connect,
      comesDue: { [channel] in try? channel.send(WorkerMessage.comesDue(inMillis: $0)) }
    ) { [channel] in
      Log.warning("the lease of this worker was taken; it ends, and its tasks run elsewhere")
      try? channel.send(WorkerMessage.leaseLost)
      _exit(4)
    }
    // The session changes its owner here, for good.
    nonisolated(unsafe) let first = session
    NativeThread(name: "take") { loop.run(first) }.detach()
    NativeThread(name: "wake") { WakeListener(core: core, address: address, worker: id).run() }.detach()
    NativeThread(name: "ticker") { Ticker(core: core).run() }.detach()
    send(.ready)
    control(core, plugins)
  }

  private func origin(of type: LoadedType, _ plugins: LoadedPlugins) -> TaskRecord.Origin {
    let library = plugins.libraries[type.definition.executor.plugin]
    return TaskRecord.Origin(
      worker: assignment.label, plugin: type.definition.executor.plugin, version: library?.version ?? "",
      build: library?.build ?? "")
  }

  private func waitForBegin(_ plugins: LoadedPlugins) {
    while true {
      switch receive(timeout: -1) {
      case .begin: return
      case .drain(let millis): end(nil, plugins, within: millis)
      case .acknowledged, nil: break
      }
    }
  }

  /// Connects, however long it takes, and makes the lease.
  private func firstSession(
    _ connect: (Int64) throws -> WorkerSession, _ origins: [TaskRecord.Origin], _ plugins: LoadedPlugins
  ) -> (WorkerSession, [UInt32]) {
    var backoff = Backoff(initial: .milliseconds(50), limit: .milliseconds(1000))
    while true {
      if let session = try? connect(1) {
        let before = roost_boottime_millis()
        // Said once in the life of a worker: when the answer is lost, nobody knows whether this id has a lease or had one.
        guard let numbers = try? session.hello(lastBatch: 0, held: [], origins: origins) else {
          leave(with: .leaseLost, status: 4)
        }
        lease.confirmed(at: before)
        return (session, numbers)
      }
      if case .drain(let millis) = receive(timeout: Int32(backoff.next() / 1_000_000)) {
        end(nil, plugins, within: millis)
      }
    }
  }

  /// Heartbeats and the host's messages, until the host goes away or everything is over.
  private func control(_ core: WorkerCore, _ plugins: LoadedPlugins) -> Never {
    let every = max(20, min(1000, assignment.leaseMillis / 10))
    var next = roost_boottime_millis()
    while true {
      let now = roost_boottime_millis()
      if now >= next {
        beat(core)
        next = now + every
      }
      reportOverstayers(core, at: now)
      goOnLeaving(core, plugins, at: now)
      let timeout = departure == nil ? max(1, next - now) : 10
      switch receive(timeout: Int32(timeout), orFor: core.overstayers.descriptor) {
      case .acknowledged(let beat): lease.acknowledged(beat: beat)
      case .drain(let millis): beginLeaving(core) { $0.told(at: roost_boottime_millis(), within: millis) }
      case .begin, nil: break
      }
    }
  }

  private func beginLeaving(_ core: WorkerCore, _ why: (inout Departure) -> Void) {
    if departure == nil { core.drain() }
    var leaving = departure ?? Departure()
    why(&leaving)
    departure = leaving
  }

  private func reportOverstayers(_ core: WorkerCore, at now: Int64) {
    let overstays = core.overstayers.news()
    if overstays.isEmpty { return }
    beginLeaving(core) { $0.forced(at: now, neighboursNeed: core.neighboursNeed) }
    let left = departure?.left(at: now) ?? 0
    for overstay in overstays {
      let why = overstay.reason == .cancel ? "it was cancelled" : "its time was over"
      Log.warning(
        "the code of task \(overstay.task) goes on after \(why); this worker ends for it, what runs beside it has \(left) ms",
        ["task": overstay.task])
    }
    send(.overstayed(overstays, endsWithinMillis: left))
  }

  private func goOnLeaving(_ core: WorkerCore, _ plugins: LoadedPlugins, at now: Int64) {
    guard let isForced = departure?.isForced else { return }
    // A take that was under way when it began may have brought something since.
    core.giveBackWaiting()
    let isDone = isForced ? core.hasOnlyOverstayers : core.isIdle
    switch departure?.step(at: now, isDone: isDone, isWritten: core.isWritten) {
    case .press: core.pressDrain()
    case .end:
      core.end()
      end(core, plugins, within: departure?.left(at: now) ?? 0)
    case .breakOff: _exit(5)
    case .wait, nil: break
    }
  }

  /// Nothing runs any more.
  private func end(_ core: WorkerCore?, _ plugins: LoadedPlugins, within millis: Int64) -> Never {
    var now = timespec()
    clock_gettime(CLOCK_REALTIME, &now)
    let deadline = Int64(now.tv_sec) * 1000 + Int64(now.tv_nsec) / 1_000_000 + max(0, millis)
    let instances = plugins.instances
    let isOver = Monitor(false)
    NativeThread(name: "stop") {
      for instance in instances { _ = instance.stop(deadlineMillis: deadline) }
      isOver.withLock { $0 = true }
      isOver.signal()
    }.detach()
    // A plugin may take its time: meanwhile the host goes on hearing of this worker.
    let every = max(20, min(500, assignment.leaseMillis / 10)) * 1_000_000
    while isOver.wait(until: MonotonicClock.now + every, { $0 ? true : nil }) == nil {
      if let core { beat(core) }
    }
    leave(with: .drained, status: 0)
  }

  private func beat(_ core: WorkerCore) {
    beats += 1
    lease.sends(beat: beats)
    renewMarks()
    let standing = core.batches.standing
    var busy: [String: Int] = [:]
    var finished: Int64 = 0
    for pool in core.pools {
      let attempts = pool.attempts
      if attempts.busy > 0 { busy[pool.type.name] = attempts.busy }
      finished += attempts.finished
    }
    send(
      .beat(number: beats, lastBatch: standing.last, held: standing.held, busy: busy, finished: finished))
  }

  private func renewMarks() {
    for signal in FlightRecorder.renewMarks() where takenOver.insert(signal).inserted {
      let name = strsignal(signal).map { String(cString: $0) } ?? "unknown"
      Log.warning("code of a plugin has taken over signal \(signal) (\(name)); whose crash it is, is still noted first")
    }
  }

  private func send(_ message: WorkerMessage) {
    do { try channel.send(message) } catch { _exit(0) }
  }

  private func receive(timeout: Int32, orFor other: Int32 = -1) -> HostMessage? {
    // Without its host a worker ends at once: another one may already be running its tasks.
    do { return try channel.receive(HostMessage.self, timeout: timeout, orFor: other) } catch { _exit(0) }
  }

  private func leave(with message: WorkerMessage, status: Int32) -> Never {
    try? channel.send(message)
    // Not exit(): the plugins' own threads may still run, and their destructors are theirs no more.
    _exit(status)
  }
}
