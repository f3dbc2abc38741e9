// SPDX-License-Identifier: Apache-2.0
package import Config
internal import CSystemShims
internal import Glibc
internal import Logging
internal import PluginFiles
internal import TaskModel
package import TaskStore
internal import Threading
internal import WorkerControl

/// A host: its Redis, its store, its workers and its housekeeping, from start to orderly stop.
package final class TaskHost: Sendable {
  /// That of the start; the one in force is the supervisor's.
  package var config: Config { checked.config }
  package let store: TaskStore
  package let status: HostStatus
  private let embedded: EmbeddedRedis?
  private let configPath: String
  private let checked: CheckedConfig
  private let files: PluginDirectory
  private let news = Monitor(News())
  let reloads: ReloadQueue
  /// Wakes the main loop.
  private let bell: Int32

  /// What other threads leave for the main loop.
  private struct News {
    var lostWorkers: [(id: String, standsStill: Bool)] = []
    var alone: [String: Int]?
  }

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
  ///
  /// `path` is that of the config, which reloads read anew.
  package init(_ checked: CheckedConfig, path: String) throws(HostError) {
    self.checked = checked
    configPath = path
    let config = checked.config
    let address: RedisAddress
    switch config.redis.source {
    case .embedded(let redis):
      embedded = try EmbeddedRedis(redis)
      address = EmbeddedRedis.address(redis)
    case .address(let given):
      embedded = nil
      address = given
    }
    let directory: String? = if case .embedded(let redis) = config.redis.source { redis.directory } else { nil }
    files = try PluginDirectory(embedded: directory)
    let store = TaskStore(address: address, prefix: config.redis.prefix, name: config.name)
    self.store = store
    status = HostStatus(store)
    status.set(Schedule.all(of: config))
    let bell = roost_eventfd()
    self.bell = bell
    reloads = ReloadQueue { Self.ring(bell) }
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
    Orphans.killLeftOvers()
    let signals = roost_signalfd()
    guard signals >= 0, bell >= 0 else { throw .system("no descriptor is left; raise the limit of open files") }
    defer { close(signals) }

    try embedded?.start()
    store.start(types: config.definitions)
    let housekeeper = Housekeeper(
      store: store, name: config.name, types: config.definitions, schedules: status.schedules, lease: config.lease,
      lost: { worker, standsStill in self.leave { $0.lostWorkers.append((worker, standsStill)) } },
      alone: { counts in self.leave { $0.alone = counts } })
    let output = OutputReader()
    let reader = NativeThread(name: "output") { output.run() }
    defer {
      output.stop()
      reader.join()
      files.remove()
    }
    let first = try firstGeneration()
    // Those of earlier starts.
    files.store.removeAll(except: first.digests)
    let supervisor = Supervisor(
      first, redis: store.address, status: status, housekeeper: housekeeper, output: output)
    supervisor.tookOver = { self.apply($0, housekeeper) }
    supervisor.prepared = { self.reloads.end($0) }
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
      var timeout = supervisor.nextLook(now: now)
      if let drainEnd { timeout = min(timeout, max(0, drainEnd - now)) }
      if !store.isConnected { timeout = min(timeout, 100) }
      wait(
        [signals, bell, embedded?.process?.pidfd ?? -1] + supervisor.descriptors, timeout: max(1, min(1000, timeout)))

      silence()
      hearNews(supervisor)
      supervisor.handle()
      Orphans.collect(except: supervisor.pids.union([embedded?.process?.pid].compactMap { $0 }))
      if !store.wasConnected, let refusal = store.refusal { throw .redisUnusable(refusal) }
      if let issues = supervisor.refusals { throw .pluginsRefused(issues.map { "\($0.path): \($0.message)" }) }
      if let embedded { try keep(embedded, &redisStartAt, &redisBackoff) }
      if mayStart.withLock({ $0 }) { reload(supervisor) }

      switch roost_next_signal(signals) {
      case 0: break
      case SIGHUP:
        reloads.ask { answer in
          switch answer {
          case .failure(.running): Log.warning("SIGHUP came while a reload was under way; send it again afterwards")
          case .failure(.stopping): Log.warning("SIGHUP came while the host ends: nothing is reloaded")
          case .failure(.refused), .success: break
          }
        }
      case _ where drainEnd != nil:
        Log.warning("second signal: workers are killed, and what they ran is given back")
        supervisor.killAll()
        return .hurried
      case let signal:
        let drain = supervisor.generation.config.drain.stop
        Log.info("signal \(signal): taking stops; running tasks have \(drain.millis / 1000) s to finish")
        supervisor.drain(within: drain)
        drainEnd = roost_boottime_millis() + drain.millis
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

  private func hearNews(_ supervisor: Supervisor) {
    let news = news.withLock { news in
      defer { news = News() }
      return news
    }
    for worker in news.lostWorkers { supervisor.kill(worker: worker.id, standsStill: worker.standsStill) }
    if let alone = news.alone { supervisor.waitAlone(alone) }
  }

  // MARK: Generations

  private func firstGeneration() throws(HostError) -> Generation {
    do throws(ConfigErrors) {
      let checked = try CheckedConfig.check(checked.config, path: configPath, in: files.store, known: checked)
      return Generation(number: 1, checked, environment: ChildProcess.ownEnvironment)
    } catch {
      throw .pluginsRefused(error.issues.map { "\($0.path): \($0.message)" })
    }
  }

  private func reload(_ supervisor: Supervisor) {
    let (before, number) = (supervisor.generation.config, supervisor.generation.number + 1)
    let isPossible = !supervisor.isDraining
    reloads.begin(isPossible: isPossible) { [configPath, files] in
      Generation.prepare(number, path: configPath, after: before, in: files.store)
    }
    guard let next = reloads.next() else { return }
    // Those of the one in force may have to be started again, and those before it may come back.
    files.store.removeAll(except: supervisor.digests.union(next.digests))
    if !isPossible {
      reloads.end(.failure(.stopping))
    } else if supervisor.candidate != nil {
      // The one before is just being rolled back.
      reloads.end(.failure(.running))
    } else {
      supervisor.prepare(next)
    }
  }

  /// A generation has taken over: what else stands in its config holds too.
  private func apply(_ generation: Generation, _ housekeeper: Housekeeper) {
    let config = generation.config
    let schedules = Schedule.all(of: config)
    store.clock.trust()
    store.replaceTypes(config.definitions)
    status.set(schedules)
    housekeeper.apply(types: config.definitions, schedules: schedules, lease: config.lease)
    Log.configure(
      level: Log.Level.allCases.first { $0.name == config.log.level.rawValue } ?? .info,
      format: Log.Format(rawValue: config.log.format.rawValue) ?? .auto, source: config.name)
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
    reloads.close()
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

  private func leave(_ change: (inout News) -> Void) {
    news.withLock { change(&$0) }
    ring()
  }

  private func ring() { Self.ring(bell) }

  private static func ring(_ bell: Int32) {
    var one: UInt64 = 1
    write(bell, &one, MemoryLayout<UInt64>.size)
  }

  private func silence() {
    var count: UInt64 = 0
    read(bell, &count, MemoryLayout<UInt64>.size)
  }
}
