// SPDX-License-Identifier: Apache-2.0
internal import Logging
internal import Redis
internal import TaskModel
internal import TaskStore
internal import Threading
internal import WorkerControl

/// The host's periodic work in Redis, one call a second, and when something comes due, on a connection of its own.
///
/// Duties: 1. pass on the heartbeats of this host's workers, and tell them when Redis has them; 2. take the leases of dead
/// workers at once, and those of foreign ones that have not moved for a whole lease time; 3. trim what is finished beyond
/// the retention; 4. read now and then which types and hosts there are; 5. notice that Redis forgot this host; 6. make the
/// tasks of schedules. What is due and lost wake tokens are looked after inside the heartbeat's script.
final class Housekeeper: Sendable {
  private struct State {
    var beats: [String: (beat: Housekeeping.Beat, number: Int64, channel: ControlChannel)] = [:]
    var toReap: [(worker: String, loss: WorkerLoss)] = []
    var types: [TypeDefinition]
    var schedules: [Schedule]
    var lease: Duration
    /// Changes with the schedules, so that those of before are not gone on with.
    var edition = 0
    /// On the monotonic clock: something comes due that the last heartbeat could not know of.
    var soonest: Int64?
    /// Workers of this host that have beaten and are not dead yet.
    var own: Set<String> = []
    var isOver = false
    var hasWarnedOfName = false
  }

  /// A heartbeat count as it was first seen, for the lease's time.
  private struct Sighting {
    var count: String
    var since: Int64
  }

  private let store: TaskStore
  private let name: String
  private let state: Monitor<State>
  /// Called with the id of a worker of this host whose lease was taken: it must end.
  private let lost: @Sendable (_ worker: String, _ standsStill: Bool) -> Void
  /// Called with how many tasks of each type wait to run alone.
  private let alone: @Sendable ([String: Int]) -> Void

  /// Nanoseconds that trimming may take of one round.
  static let trimTime: Int64 = 300_000_000
  /// Nanoseconds between two rounds, however much comes due.
  static let shortestWait: Int64 = 20_000_000
  /// Nanoseconds between two looks at types and hosts.
  static let refreshEvery: Int64 = 10_000_000_000

  init(
    store: TaskStore, name: String, types: [TypeDefinition], schedules: [Schedule], lease: Duration,
    lost: @escaping @Sendable (_ worker: String, _ standsStill: Bool) -> Void,
    alone: @escaping @Sendable ([String: Int]) -> Void
  ) {
    self.store = store
    self.name = name
    state = Monitor(State(types: types, schedules: schedules, lease: lease))
    self.lost = lost
    self.alone = alone
  }

  /// Another config is in force.
  func apply(types: [TypeDefinition], schedules: [Schedule], lease: Duration) {
    state.withLock { state in
      (state.types, state.schedules, state.lease) = (types, schedules, lease)
      state.edition += 1
    }
  }

  func note(_ beat: Housekeeping.Beat, number: Int64, from channel: ControlChannel) {
    state.withLock { state in
      state.beats[beat.worker] = (beat, number, channel)
      state.own.insert(beat.worker)
    }
  }

  /// A task or handler call comes due in so many milliseconds, sooner perhaps than the next heartbeat.
  func comesDue(inMillis millis: Int64) {
    let at = MonotonicClock.now + max(0, millis) * 1_000_000
    state.withLock { $0.soonest = min($0.soonest ?? at, at) }
    state.signal()
  }

  /// The worker's process, and everything descended from it, is gone.
  func reap(_ worker: String, _ loss: WorkerLoss) {
    state.withLock { state in
      state.beats[worker] = nil
      state.own.remove(worker)
      state.toReap.append((worker, loss))
    }
    state.signal()
  }

  /// Nothing is left to be reaped.
  var isSettled: Bool { state.withLock { $0.toReap.isEmpty } }

  func stop() {
    state.withLock { $0.isOver = true }
    state.signal()
  }

  /// Works until `stop`; for a thread of its own.
  ///
  /// With `voidingLeases`, all leases are void, because this host has just started the Redis that keeps them: nothing of
  /// what held them lives. `voided` is called when they are taken.
  func run(voidingLeases: Bool, voided: @escaping @Sendable () -> Void) {
    var backoff = Backoff(initial: .milliseconds(50), limit: .milliseconds(1000))
    var mustVoid = voidingLeases
    var schedules: ScheduleLoop?
    while !state.withLock({ $0.isOver }) {
      do throws(RedisError) {
        let redis = try Housekeeping(to: store.address, keys: store.keys)
        if mustVoid {
          for worker in try redis.leases() where worker != store.hostID { try redis.reap(worker) }
          mustVoid = false
          voided()
        }
        backoff.reset()
        try serve(redis, &schedules)
      } catch {
        Log.debug("housekeeping: \(error)")
        // It became a replica under a living connection.
        if case .refused(let reason) = error, reason.hasPrefix("READONLY") { store.registerAgain() }
      }
      _ = state.wait(until: MonotonicClock.now + backoff.next()) { $0.isOver ? true : nil }
    }
  }

  /// How long the heartbeat of a foreign worker may stand still.
  private var lease: Duration { state.withLock { $0.lease } }

  private func serve(_ redis: Housekeeping, _ schedules: inout ScheduleLoop?) throws(RedisError) {
    schedules?.forget()
    // Seen on this connection only: an unbroken one is what makes a count that stands still a sign of death.
    var sightings: [String: Sighting] = [:]
    var refreshAt: Int64 = 0
    var edition = state.withLock { $0.edition }
    let start = MonotonicClock.now
    var next = start
    while true {
      while let (worker, loss) = state.withLock({ $0.toReap.first }) {
        try reap(redis, worker, loss)
        state.withLock { _ = $0.toReap.removeFirst() }
        Log.debug("took the lease of worker \(worker)")
      }
      if state.withLock({ $0.isOver }) {
        // Nobody has to wait until its heartbeat has stood still.
        try redis.reap(store.hostID)
        return
      }
      let now = MonotonicClock.now
      if now >= next {
        // Who did not look for a while (stopped, suspended) has not seen that a heartbeat stood still.
        if now - next > 1_000_000_000 { sightings = [:] }
        next = now + max(20, min(1000, lease.millis / 10)) * 1_000_000
        state.withLock { if $0.soonest.map({ $0 <= now }) ?? false { $0.soonest = nil } }
        let report = try beat(redis)
        try takeStaleLeases(redis, report, &sightings)
        let isBehind = store.clock.isPlausible ? try !trim(redis, report) : false
        if report.hasMore {
          next = now
        } else {
          // Redis' clock is known from here on.
          let (wanted, current) = state.withLock { ($0.schedules, $0.edition) }
          if edition != current { schedules = nil }
          edition = current
          var loop = schedules ?? ScheduleLoop(wanted, start: report.now)
          defer { schedules = loop }
          try loop.run(redis, now: report.now)
          if let due = [report.nextDue, loop.nextDue].compactMap({ $0 }).min() {
            next = min(next, now + max(Self.shortestWait, (due.millis - report.now.millis) * 1_000_000))
          }
          if isBehind { next = now }
        }
        if now >= refreshAt {
          refreshAt = now + Self.refreshEvery
          // Before three leases have passed the other one may be a dead one.
          if now - start > 3 * lease.millis * 1_000_000 { lookForNamesake() }
          store.refreshTypes()
        }
      }
      let (latest, earliest) = (next, now + Self.shortestWait)
      next =
        state.wait(until: next) { state -> Int64? in
          if let soonest = state.soonest, soonest < latest {
            state.soonest = nil
            return max(soonest, earliest)
          }
          return state.isOver || !state.toReap.isEmpty ? latest : nil
        } ?? latest
    }
  }

  private func reap(_ redis: Housekeeping, _ worker: String, _ loss: WorkerLoss) throws(RedisError) {
    do throws(RedisError) {
      try redis.reap(worker, loss)
    } catch .refused(let reason) {
      // One that cannot be told of must not keep the others waiting.
      Log.error("what is known of the end of worker \(worker) is refused: \(reason)")
      try redis.reap(worker, WorkerLoss(counts: loss.counts))
    }
  }

  private func beat(_ redis: Housekeeping) throws(RedisError) -> Housekeeping.Report {
    let beats = state.withLock { state in
      defer { state.beats = [:] }
      return Array(state.beats.values)
    }
    let report = try redis.beat(
      host: store.hostID, types: state.withLock { $0.types }.map(\.name), workers: beats.map(\.beat),
      latest: store.clock.latestPlausible)
    let wasPlausible = store.clock.isPlausible
    store.clock.heard(report.now)
    if wasPlausible, !store.clock.isPlausible {
      Log.error("\(HostStatus.doubtfulClock)")
    }
    store.note(report.backlogs)
    alone(report.alone)
    if !report.isKnown, store.wasConnected { store.registerAgain() }
    for entry in beats where !report.lost.contains(entry.beat.worker) {
      // A worker that has just gone is noticed by its process, not here.
      try? entry.channel.send(HostMessage.acknowledged(beat: entry.number))
    }
    for worker in report.lost { lost(worker, false) }
    return report
  }

  private func lookForNamesake() {
    guard store.livingHosts(named: name) > 1 else { return }
    let isFirst = state.withLock { state in
      defer { state.hasWarnedOfName = true }
      return !state.hasWarnedOfName
    }
    if isFirst {
      Log.warning("another host is named \(name) too; give each its own name in config, or nobody can tell them apart")
    }
  }

  private func takeStaleLeases(
    _ redis: Housekeeping, _ report: Housekeeping.Report, _ sightings: inout [String: Sighting]
  ) throws(RedisError) {
    let now = MonotonicClock.now
    for (id, count) in report.beats {
      if let seen = sightings[id], seen.count == count {
        guard now - seen.since > lease.millis * 1_000_000 else { continue }
        if state.withLock({ $0.own.contains(id) }) {
          // It may be stopped and go on at any moment: its tasks are given back when its process is gone.
          Log.warning("worker \(id) of this host stands still; it is killed")
          lost(id, true)
        } else if try redis.reap(id, ifStillAt: count) {
          Log.warning("took the lease of \(id), whose heartbeat had stopped")
        }
        sightings[id] = nil
      } else {
        sightings[id] = Sighting(count: count, since: now)
      }
    }
    sightings = sightings.filter { report.beats[$0.key] != nil }
  }

  /// Removes what is finished and too old or too much; false when its time was over before that.
  private func trim(_ redis: Housekeeping, _ report: Housekeeping.Report) throws(RedisError) -> Bool {
    let end = MonotonicClock.now + Self.trimTime
    let types = state.withLock { $0.types }
    for list in report.finished {
      guard let type = types.first(where: { $0.name == list.type }) else { continue }
      let before = Timestamp(millis: report.now.millis - type.retentionAge.millis)
      guard list.count > type.retentionCount || list.oldest.map({ $0 < before }) ?? true else { continue }
      while try redis.retain(type: list.type, list: list.name, count: type.retentionCount, before: before) {
        if MonotonicClock.now > end { return false }
      }
    }
    return true
  }
}
