// SPDX-License-Identifier: Apache-2.0
internal import Config
internal import CSystemShims
internal import Glibc
internal import Logging
internal import TaskModel
internal import TaskStore
internal import WorkerControl

/// Starts workers, hears them, and starts them again when they die; one thread's, and that thread must outlive them all.
final class Supervisor {
  /// A place for one worker process and whoever fills it now.
  private struct Slot {
    let plan: WorkerPlan
    var running: Running?
    var startAt: Int64 = 0
    var backoff = Backoff(initial: .milliseconds(200), limit: .seconds(60))
  }

  private struct Running {
    let id: String
    let process: ChildProcess
    let channel: ControlChannel
    let since: Int64
    var hasLoaded = false
    var isReady = false
    var issues: [WorkerMessage.Issue] = []
  }

  private let config: Config
  private let redis: RedisAddress
  private let status: HostStatus
  private let housekeeper: Housekeeper
  private var slots: [Slot]
  private(set) var isDraining = false
  private var firstIssues: [WorkerMessage.Issue] = []
  /// Workers that have not loaded once since the host started.
  private var unproven: Set<String>

  /// A worker that lived this long (milliseconds) is started again at once.
  static let steadyAfter: Int64 = 10_000

  init(config: Config, redis: RedisAddress, environment: [String: String], status: HostStatus, housekeeper: Housekeeper)
  {
    self.config = config
    self.redis = redis
    self.status = status
    self.housekeeper = housekeeper
    slots = WorkerPlan.plans(config, environment: environment).map { Slot(plan: $0) }
    unproven = Set(slots.map(\.plan.label))
    status.setLoading(unproven)
  }

  var pids: Set<pid_t> { Set(slots.compactMap { $0.running?.process.pid }) }
  var isEmpty: Bool { slots.allSatisfy { $0.running == nil } }

  /// What keeps the first workers from ever starting, once all of them have said so or loaded; nil while that is open or fine.
  var refusals: [WorkerMessage.Issue]? {
    guard !firstIssues.isEmpty, slots.allSatisfy({ $0.running.map(\.hasLoaded) ?? true }) else { return nil }
    var seen: Set<String> = []
    return firstIssues.filter { seen.insert($0.path + $0.message).inserted }
  }

  /// The descriptors whose readability means work for `handle`.
  var descriptors: [Int32] {
    slots.compactMap(\.running).flatMap { [$0.channel.descriptor, $0.process.pidfd] }
  }

  /// Milliseconds until a worker is to be started; nil when none is.
  func nextStart(now: Int64) -> Int64? {
    isDraining ? nil : slots.filter { $0.running == nil }.map { max(0, $0.startAt - now) }.min()
  }

  func startDue() {
    let now = roost_boottime_millis()
    for index in slots.indices where !isDraining && slots[index].running == nil && slots[index].startAt <= now {
      start(index)
    }
  }

  private func start(_ index: Int) {
    let plan = slots[index].plan
    do {
      let id = RandomID.make()
      let (process, channel) = try spawn(plan, id)
      slots[index].running = Running(id: id, process: process, channel: channel, since: roost_boottime_millis())
      try channel.send(plan.assignment(id: id, config: config, redis: redis))
    } catch {
      Log.error("cannot start worker \(plan.label): \(error)")
      slots[index].startAt = roost_boottime_millis() + slots[index].backoff.next() / 1_000_000
    }
  }

  /// The worker's end of the channel is this process's only until here: with it open, sending to a dead worker would block.
  private func spawn(_ plan: WorkerPlan, _ id: String) throws -> (ChildProcess, ControlChannel) {
    let (host, worker) = try ControlChannel.pair()
    var environment = plan.environment
    environment[Orphans.mark] = id
    let process = try ChildProcess.start(
      "/proc/self/exe", ["roost", "worker", plan.label], environment: environment, directory: config.directory,
      descriptors: [-1, 2, 2, worker.descriptor], deathSignal: SIGKILL)
    return (process, host)
  }

  /// Reads what workers have said, and notices those that died.
  func handle() {
    for index in slots.indices {
      guard let running = slots[index].running else { continue }
      hearAll(from: index, running.channel)
      guard let end = running.process.reap(within: 0) else { continue }
      // It may have said why between the two.
      while hearAll(from: index, running.channel) {}
      died(index, end)
    }
  }

  /// Hears what has come; false when there is nothing more.
  @discardableResult
  private func hearAll(from index: Int, _ channel: ControlChannel) -> Bool {
    // A channel that is closed says nothing: its end is seen at the process, which may take a moment longer.
    guard let messages = try? channel.available(WorkerMessage.self), !messages.isEmpty else { return false }
    for message in messages { hear(message, from: index) }
    return true
  }

  private func hear(_ message: WorkerMessage, from index: Int) {
    guard let running = slots[index].running else { return }
    let label = slots[index].plan.label
    switch message {
    case .loaded: slots[index].running?.hasLoaded = true
    case .ready:
      slots[index].running?.isReady = true
      unproven.remove(label)
      status.loaded(label)
      Log.info("worker \(label) is ready", ["pid": "\(running.process.pid)"])
    case .failed(let issues):
      slots[index].running?.issues = issues
      for issue in issues where !issue.mayBeTriedAgain && unproven.contains(label) { firstIssues.append(issue) }
      for issue in issues { Log.error("\(issue.path): \(issue.message)", ["worker": label]) }
    case .beat(let number, let lastBatch, let held, let busy, _):
      status.worker(label, isBusyWith: busy)
      housekeeper.note(
        Housekeeping.Beat(worker: running.id, lastBatch: lastBatch, held: held), number: number, from: running.channel)
    case .comesDue(let millis): housekeeper.comesDue(inMillis: millis)
    case .leaseLost: Log.warning("worker \(label) lost its lease and starts anew")
    case .overstayed, .drained: break
    }
  }

  private func died(_ index: Int, _ end: ChildProcess.End) {
    guard let running = slots[index].running else { return }
    let label = slots[index].plan.label
    slots[index].running = nil
    status.ended(label)
    Orphans.kill(of: running.id)
    housekeeper.reap(running.id)
    guard !isDraining else { return }
    let now = roost_boottime_millis()
    if now - running.since >= Self.steadyAfter { slots[index].backoff.reset() }
    let wait = slots[index].backoff.next() / 1_000_000
    slots[index].startAt = now + wait
    if running.issues.isEmpty || !running.issues.contains(where: { !$0.mayBeTriedAgain }) {
      Log.warning("worker \(label) ended (\(end)); it starts again in \(wait) ms, and its tasks are given back")
    }
  }

  /// Redis says that this worker has no lease: whatever it still runs belongs to somebody else.
  func kill(worker id: String) {
    for slot in slots {
      if let running = slot.running, running.id == id { Glibc.kill(running.process.pid, SIGKILL) }
    }
  }

  /// Lets every worker finish what runs and give back the rest.
  func drain(within limit: Duration) {
    isDraining = true
    status.drains()
    for slot in slots {
      guard let running = slot.running else { continue }
      let isTold = running.isReady && (try? running.channel.send(HostMessage.drain(withinMillis: limit.millis))) != nil
      if !isTold { Glibc.kill(running.process.pid, SIGKILL) }
    }
  }

  func killAll() {
    isDraining = true
    for pid in pids { Glibc.kill(pid, SIGKILL) }
  }
}
