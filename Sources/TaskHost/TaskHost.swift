// SPDX-License-Identifier: Apache-2.0
package import Config
internal import CSystemShims
internal import Glibc
internal import Logging
internal import TaskModel
package import TaskStore
internal import Threading
internal import WorkerControl

/// A host: its Redis, its store, its workers and its housekeeping, from start to orderly stop.
package final class TaskHost: Sendable {
  package let config: Config
  package let store: TaskStore
  package let status: HostStatus
  private let embedded: EmbeddedRedis?
  private let lostWorkers = Monitor<[String]>([])
  /// Wakes the main loop.
  private let bell: Int32

  /// How a run ended.
  package enum Ending: Sendable, Equatable {
    case orderly
    /// Workers had to be killed at the end of the drain.
    case cutShort
    /// A second signal came.
    case hurried
  }

  /// Milliseconds for killed workers to be gone and for the last writes of housekeeping at the end.
  static let settleTime: Int64 = 3000
  /// The same after a second signal.
  static let hurriedTime: Int64 = 500

  /// Takes the directory of an embedded Redis, for which it may have to wait; starts nothing yet.
  package init(_ config: Config) throws(HostError) {
    self.config = config
    let address: RedisAddress
    switch config.redis.source {
    case .embedded(let redis):
      embedded = try EmbeddedRedis(redis)
      address = EmbeddedRedis.address(redis)
    case .address(let given):
      embedded = nil
      address = given
    }
    let store = TaskStore(address: address, prefix: config.redis.prefix, name: config.name)
    self.store = store
    status = HostStatus { store.isConnected }
    status.set(Schedule.all(of: config))
    bell = roost_eventfd()
  }

  deinit {
    close(bell)
  }

  /// Runs the host on the calling thread until a signal ends it.
  ///
  /// `prepareProcess` was called before.
  ///
  /// `stopping` is called when the workers are gone and before Redis goes: the place to stop answering requests, within the
  /// time given.
  package func run(stopping: (Duration) -> Void) throws(HostError) -> Ending {
    _ = roost_become_subreaper()
    let signals = roost_signalfd()
    guard signals >= 0, bell >= 0 else { throw .system("no descriptor is left; raise the limit of open files") }
    defer { close(signals) }

    try embedded?.start()
    store.start(types: config.definitions)
    let housekeeper = Housekeeper(
      store: store, name: config.name, types: config.definitions, schedules: status.schedules, lease: config.lease
    ) { worker in
      self.lostWorkers.withLock { $0.append(worker) }
      self.ring()
    }
    let supervisor = Supervisor(
      config: config, redis: store.address, environment: ChildProcess.ownEnvironment, status: status,
      housekeeper: housekeeper)
    store.whenDueSoon { housekeeper.comesDue(inMillis: $0) }
    let isEmbedded = embedded != nil
    // Workers of an embedded Redis start once the leases of its last life are taken: their tasks are to be had again.
    let mayStart = Monitor(!isEmbedded)
    let thread = NativeThread(name: "housekeeper") {
      housekeeper.run(voidingLeases: isEmbedded) {
        mayStart.withLock { $0 = true }
        self.ring()
      }
    }

    let ending: Ending
    do {
      ending = try serve(signals, supervisor, mayStart)
    } catch {
      finish(supervisor, housekeeper, thread, isHurried: true, stopping)
      throw error
    }
    finish(supervisor, housekeeper, thread, isHurried: ending == .hurried, stopping)
    return ending
  }

  /// Blocks the signals that `run` takes, in this thread and all that it starts, and lets the process open many
  /// connections; to be called first of all.
  package static func prepareProcess() {
    roost_block_signals()
    roost_raise_open_files()
  }

  // MARK: The main loop

  private func serve(
    _ signals: Int32, _ supervisor: Supervisor, _ mayStart: Monitor<Bool>
  ) throws(HostError) -> Ending {
    var drainEnd: Int64?
    var redisStartAt: Int64 = 0
    var redisBackoff = Backoff(initial: .milliseconds(100), limit: .seconds(5))
    while true {
      if mayStart.withLock({ $0 }) { supervisor.startDue() }
      let now = roost_boottime_millis()
      var timeout = supervisor.nextStart(now: now) ?? 1000
      if let drainEnd { timeout = min(timeout, max(0, drainEnd - now)) }
      if !store.isConnected { timeout = min(timeout, 100) }
      wait(
        [signals, bell, embedded?.process?.pidfd ?? -1] + supervisor.descriptors, timeout: max(1, min(1000, timeout)))

      silence()
      for id in lostWorkers.withLock({ lost in
        defer { lost = [] }; return lost
      }) { supervisor.kill(worker: id) }
      supervisor.handle()
      Orphans.collect(except: supervisor.pids.union([embedded?.process?.pid].compactMap { $0 }))
      if !store.wasConnected, let refusal = store.refusal { throw .redisUnusable(refusal) }
      if let issues = supervisor.refusals { throw .pluginsRefused(issues.map { "\($0.path): \($0.message)" }) }
      if let embedded { try keep(embedded, &redisStartAt, &redisBackoff) }

      switch roost_next_signal(signals) {
      case 0: break
      case SIGHUP: Log.warning("reload is not supported yet; restart the host to apply a changed config")
      case _ where drainEnd != nil:
        Log.warning("second signal: workers are killed, and what they ran is given back")
        supervisor.killAll()
        return .hurried
      case let signal:
        Log.info("signal \(signal): taking stops; running tasks have \(config.drain.stop.millis / 1000) s to finish")
        supervisor.drain(within: config.drain.stop)
        drainEnd = roost_boottime_millis() + config.drain.stop.millis
      }
      if let drainEnd {
        if supervisor.isEmpty { return .orderly }
        if roost_boottime_millis() >= drainEnd {
          Log.warning("the time to drain is over: workers are killed, and what still ran is given back")
          supervisor.killAll()
          return .cutShort
        }
      }
    }
  }

  /// Starts the embedded Redis again when it has died, with growing pauses.
  private func keep(
    _ embedded: EmbeddedRedis, _ startAt: inout Int64, _ backoff: inout Backoff
  ) throws(HostError) {
    let now = roost_boottime_millis()
    if let process = embedded.process {
      var poll = pollfd(fd: process.pidfd, events: Int16(POLLIN), revents: 0)
      guard Glibc.poll(&poll, 1, 0) > 0 else { return }
      let wasUsable = store.wasConnected
      let reason = embedded.ended()
      guard wasUsable else { throw .redisDoesNotStart(reason) }
      let pause = backoff.next() / 1_000_000
      startAt = now + pause
      Log.error("the embedded Redis ended (\(reason)); it starts again in \(pause) ms")
    } else if now >= startAt {
      try embedded.start()
    }
    if store.isConnected { backoff.reset() }
  }

  private func finish(
    _ supervisor: Supervisor, _ housekeeper: Housekeeper, _ thread: NativeThread, isHurried: Bool,
    _ stopping: (Duration) -> Void
  ) {
    status.drains()
    supervisor.killAll()
    let end = roost_boottime_millis() + (isHurried ? Self.hurriedTime : Self.settleTime)
    while !supervisor.isEmpty, roost_boottime_millis() < end {
      wait(supervisor.descriptors, timeout: 100)
      supervisor.handle()
    }
    stopping(isHurried ? .zero : .seconds(5))
    // What the dead workers held is given back now rather than after a lease time, if Redis is there to be told.
    while !housekeeper.isSettled, store.isConnected, roost_boottime_millis() < end { usleep(10_000) }
    housekeeper.stop()
    thread.join()
    store.close()
    embedded?.stop(within: isHurried ? 2000 : 20_000)
  }

  // MARK: Signals and waiting

  private func wait(_ descriptors: [Int32], timeout: Int64) {
    var polls = descriptors.map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
    poll(&polls, nfds_t(polls.count), Int32(timeout))
  }

  private func ring() {
    var one: UInt64 = 1
    write(bell, &one, MemoryLayout<UInt64>.size)
  }

  private func silence() {
    var count: UInt64 = 0
    read(bell, &count, MemoryLayout<UInt64>.size)
  }
}
