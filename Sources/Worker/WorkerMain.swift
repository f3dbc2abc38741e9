// SPDX-License-Identifier: Apache-2.0
internal import CSystemShims
internal import Glibc
internal import Logging
internal import PluginLoader
internal import Redis
internal import TaskModel
internal import TaskStore
internal import Threading
internal import WorkerControl

/// A worker process: it loads its plugins, takes tasks of its types straight from Redis and runs them.
package enum WorkerMain {
  /// Runs the process to its end; the host's control channel is expected at descriptor 3.
  package static func run() -> Never {
    signal(SIGPIPE, SIG_IGN)
    // What plugins start must not hold this end.
    _ = fcntl(ControlChannel.workerDescriptor, F_SETFD, FD_CLOEXEC)
    let channel = ControlChannel(descriptor: ControlChannel.workerDescriptor)
    guard let assignment = try? channel.receive(WorkerAssignment.self, timeout: 10_000) else {
      Log.error("a worker is started by `roost serve`, not by hand")
      exit(2)
    }
    Log.configure(
      level: Log.Level.allCases.first { $0.name == assignment.logLevel } ?? .info,
      format: Log.Format(rawValue: assignment.logFormat) ?? .auto, source: assignment.label)
    roost_name_thread("control")
    Worker(assignment, channel).run()
  }
}

/// The control thread: plugins, threads, heartbeats, drain.
private final class Worker {
  private let assignment: WorkerAssignment
  private let channel: ControlChannel
  private let clock = RedisClock()
  private let lease: LeaseGuard
  private var beats: Int64 = 0

  /// Milliseconds before the end of a drain at which running tasks are told that the worker must go; of a short drain, half.
  static let grace: Int64 = 5000

  init(_ assignment: WorkerAssignment, _ channel: ControlChannel) {
    self.assignment = assignment
    self.channel = channel
    lease = LeaseGuard(leaseMillis: assignment.leaseMillis)
  }

  func run() -> Never {
    let (plugins, issues) = LoadedPlugins.load(assignment)
    guard issues.isEmpty else { leave(with: .failed(issues), status: 3) }
    send(.loaded)

    let keys = Keys(prefix: assignment.prefix)
    let (address, id, clock) = (assignment.redis, assignment.id, clock)
    let connect: @Sendable (Int64) throws -> WorkerSession = { epoch in
      try WorkerSession(to: address, keys: keys, worker: id, epoch: epoch, clock: clock)
    }
    let origins = plugins.types.map { origin(of: $0, plugins) }
    let (session, numbers) = firstSession(connect, origins)
    var types = plugins.types
    for (index, number) in numbers.enumerated() {
      (types[index].origin, types[index].originNumber) = (origins[index], number)
    }

    let core = WorkerCore(types: types, lease: lease, clock: clock, keys: keys)
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

  /// Connects, however long it takes, and makes the lease.
  private func firstSession(
    _ connect: (Int64) throws -> WorkerSession, _ origins: [TaskRecord.Origin]
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
      // The host's end of the channel closing is the only reason to give up.
      do {
        _ = try channel.receive(HostMessage.self, timeout: Int32(backoff.next() / 1_000_000))
      } catch { _exit(0) }
    }
  }

  /// Heartbeats and the host's messages, until the host says drain or goes away.
  private func control(_ core: WorkerCore, _ plugins: LoadedPlugins) -> Never {
    let every = max(20, min(1000, assignment.leaseMillis / 10))
    var next = roost_boottime_millis()
    while true {
      let now = roost_boottime_millis()
      if now >= next {
        beat(core)
        next = now + every
      }
      switch receive(timeout: Int32(max(1, next - now))) {
      case .acknowledged(let beat): lease.acknowledged(beat: beat)
      case .drain(let millis): drain(core, plugins, within: millis, every: every)
      case .begin, nil: break
      }
    }
  }

  private func drain(_ core: WorkerCore, _ plugins: LoadedPlugins, within millis: Int64, every: Int64) -> Never {
    let end = roost_boottime_millis() + millis
    var next = roost_boottime_millis()
    var isPressing = false
    core.drain()
    while !core.isIdle {
      let now = roost_boottime_millis()
      if now >= next {
        beat(core)
        next = now + every
      }
      // A take that was under way when the drain began may have brought something since.
      core.giveBackWaiting()
      if !isPressing, now >= end - min(Self.grace, millis / 2) {
        isPressing = true
        core.pressDrain()
      }
      if case .acknowledged(let beat) = receive(timeout: 10) { lease.acknowledged(beat: beat) }
    }
    core.end()
    var now = timespec()
    clock_gettime(CLOCK_REALTIME, &now)
    let left = max(0, end - roost_boottime_millis())
    for instance in plugins.instances {
      _ = instance.stop(deadlineMillis: Int64(now.tv_sec) * 1000 + Int64(now.tv_nsec) / 1_000_000 + left)
    }
    leave(with: .drained, status: 0)
  }

  private func beat(_ core: WorkerCore) {
    beats += 1
    lease.sends(beat: beats)
    let standing = core.batches.standing
    let busy = core.pools.map { ($0.type.name, $0.busy) }
    send(
      .beat(
        number: beats, lastBatch: standing.last, held: standing.held,
        busy: Dictionary(uniqueKeysWithValues: busy.filter { $0.1 > 0 }), finished: 0))
  }

  private func send(_ message: WorkerMessage) {
    do { try channel.send(message) } catch { _exit(0) }
  }

  private func receive(timeout: Int32) -> HostMessage? {
    // Without its host a worker ends at once: another one may already be running its tasks.
    do { return try channel.receive(HostMessage.self, timeout: timeout) } catch { _exit(0) }
  }

  private func leave(with message: WorkerMessage, status: Int32) -> Never {
    try? channel.send(message)
    // Not exit(): the plugins' own threads may still run, and their destructors are theirs no more.
    _exit(status)
  }
}
