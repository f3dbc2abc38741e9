// SPDX-License-Identifier: Apache-2.0
internal import Config
internal import CSystemShims
internal import FlightBoard
internal import Glibc
internal import Logging
internal import TaskModel
internal import TaskStore
internal import WorkerControl

/// Starts workers, hears them, replaces them, and starts them again when they die; one thread's, and that thread must
/// outlive them all.
final class Supervisor {
  /// A place for one worker process of the generation in force.
  struct Slot {
    let plan: WorkerPlan
    var worker: WorkerProcess?
    /// What is to take over from `worker` once it has loaded (recycling).
    var successor: WorkerProcess?
    var startAt: Int64 = 0
    var backoff = Backoff(initial: .milliseconds(200), limit: .seconds(60))
  }

  /// A generation that is being made ready.
  struct Candidate {
    let generation: Generation
    var workers: [WorkerProcess] = []
    var issues: [ConfigIssue] = []
    /// Why it comes, if it is one that was before: nobody waits for the answer.
    let rollback: String?
  }

  private(set) var generation: Generation
  /// The one before, and until when it comes back if the one in force cannot live.
  var fallback: (generation: Generation, until: Int64)?
  var slots: [Slot] = []
  /// Processes that run tasks alone, by type.
  var alone: [String: AloneWorker] = [:]
  /// Processes that are on their way out.
  var leaving: [WorkerProcess] = []
  var candidate: Candidate?
  var breakers: [String: Breaker] = [:]
  private(set) var isDraining = false
  private var firstIssues: [WorkerMessage.Issue] = []
  /// Workers that have not loaded once since the host started.
  private var unproven: Set<String>
  private var lastLook: Int64 = 0

  let status: HostStatus
  let housekeeper: Housekeeper
  let output: OutputReader
  private let groups = ControlGroups(membership: text(ofFile: "/proc/self/cgroup"), mount: "/sys/fs/cgroup")
  private let redis: RedisAddress
  /// Called when another generation is in force.
  var tookOver: (Generation) -> Void = { _ in }
  /// Called when a generation that was prepared has taken over, or was dropped.
  var prepared: (Result<Int, ReloadRefusal>) -> Void = { _ in }

  /// A worker that lived this long (milliseconds) is started again at once.
  static let steadyAfter: Int64 = 10_000
  /// Milliseconds without a look after which this process is thought to have stood still itself.
  private static let ownStandstill: Int64 = 3000
  /// Milliseconds between two looks at memory and at what takes too long.
  static let lookEvery: Int64 = 100

  init(
    _ generation: Generation, redis: RedisAddress, status: HostStatus, housekeeper: Housekeeper, output: OutputReader
  ) {
    self.generation = generation
    self.redis = redis
    self.status = status
    self.housekeeper = housekeeper
    self.output = output
    slots = generation.plans.map { Slot(plan: $0) }
    unproven = Set(slots.map(\.plan.label))
    status.setLoading(unproven)
    status.set(plugins: generation.plugins)
  }

  /// The processes of the generation in force that are not on their way out.
  var inForce: [WorkerProcess] {
    slots.flatMap { [$0.worker, $0.successor].compactMap { $0 } } + alone.values.compactMap(\.worker)
  }
  /// Every process there is.
  var processes: [WorkerProcess] { inForce + leaving + (candidate?.workers ?? []) }
  var pids: Set<pid_t> { Set(processes.map(\.child.pid)) }
  /// Those of the plugin files that workers may be started with.
  var digests: Set<String> {
    generation.digests.union(fallback?.generation.digests ?? []).union(candidate?.generation.digests ?? [])
  }
  var isEmpty: Bool { processes.isEmpty }

  /// What keeps the first workers from ever starting, once all of them have said so or loaded; nil while that is open or fine.
  var refusals: [WorkerMessage.Issue]? {
    guard !firstIssues.isEmpty, slots.allSatisfy({ $0.worker.map { $0.phase != .loading } ?? true }) else { return nil }
    var seen: Set<String> = []
    return firstIssues.filter { seen.insert($0.path + $0.message).inserted }
  }

  /// The descriptors whose readability means work for `handle`.
  var descriptors: [Int32] { processes.flatMap { [$0.channel.descriptor, $0.child.pidfd] } }

  /// Milliseconds until there is something to do that nobody says.
  func nextLook(now: Int64) -> Int64 {
    let isWatched = !leaving.isEmpty || processes.contains { $0.plan.isMeasured }
    let look = isWatched ? Self.lookEvery : 1000
    if isDraining { return look }
    let places = slots.map { ($0.worker, $0.startAt) } + alone.values.map { ($0.worker, $0.startAt) }
    return min(look, places.filter { $0.0 == nil && $0.1 > now }.map { $0.1 - now }.min() ?? look)
  }

  // MARK: Starting

  func startDue() {
    let now = roost_boottime_millis()
    guard !isDraining else { return }
    for name in breakers.keys.sorted() where breakers[name]?.tick(at: now) ?? false { breakerChanged(name) }
    var running: [String: Int] = [:]
    for index in slots.indices {
      let worker = slots[index].plan.worker
      let place = running[worker, default: 0]
      running[worker] = place + 1
      guard slots[index].worker == nil, slots[index].startAt <= now,
        place < breakers[worker]?.allowed(of: .max) ?? .max
      else { continue }
      slots[index].worker = spawn(slots[index].plan, generation)
      if slots[index].worker == nil { slots[index].startAt = now + slots[index].backoff.next() / 1_000_000 }
    }
    startAlone(now)
  }

  /// Starts a process of the plan; nil, with a line in the log, when that cannot be done.
  func spawn(_ plan: WorkerPlan, _ generation: Generation) -> WorkerProcess? {
    do throws(HostError) {
      let config = generation.config
      return try WorkerProcess.start(
        plan, generation: generation.number, directory: config.directory,
        assignment: { [redis] in plan.assignment(id: $0, config: config, redis: redis) }, output: output,
        groups: groups)
    } catch {
      Log.error("cannot start worker \(plan.label): \(error)")
      return nil
    }
  }

  // MARK: Hearing

  /// Reads what workers have said, notices those that died, and ends those that take too long.
  func handle() {
    for process in processes {
      hearAll(from: process)
      guard !process.isGone, let end = process.child.reap(within: 0) else { continue }
      // It may have said why between the two.
      while hearAll(from: process) {}
      died(process, end)
    }
    look()
    if !isDraining { settleCandidate() }
    show()
  }

  /// Hears what has come; false when there is nothing more.
  @discardableResult
  private func hearAll(from process: WorkerProcess) -> Bool {
    // A channel that is closed says nothing: its end is seen at the process, which may take a moment longer.
    guard let messages = try? process.channel.available(WorkerMessage.self), !messages.isEmpty else { return false }
    for message in messages { hear(message, from: process) }
    return true
  }

  private func hear(_ message: WorkerMessage, from process: WorkerProcess) {
    let label = process.plan.label
    process.lastHeard = roost_boottime_millis()
    switch message {
    case .loaded: loaded(process)
    case .ready:
      process.isReady = true
      unproven.remove(label)
      status.loaded(label)
      if slots.contains(where: { $0.worker === process }) {
        breakers[process.plan.worker]?.serves(at: process.lastHeard)
      }
      Log.info("worker \(label) is ready", ["pid": "\(process.child.pid)"])
    case .failed(let issues):
      process.issues = issues
      for issue in issues where !issue.mayBeTriedAgain && unproven.contains(label) { firstIssues.append(issue) }
      for issue in issues { Log.error("\(issue.path): \(issue.message)", ["worker": label]) }
    case .beat(let number, let lastBatch, let held, let busy, let finished):
      process.busy = busy
      process.finished = finished
      status.worker(process.id, isBusyWith: busy)
      housekeeper.note(
        Housekeeping.Beat(worker: process.id, lastBatch: lastBatch, held: held), number: number, from: process.channel)
    // Plugin code can write to the channel too: no number of it may overflow.
    case .comesDue(let millis): housekeeper.comesDue(inMillis: min(max(0, millis), 60_000))
    case .overstayed(let tasks, let millis): overstayed(process, tasks, endsWithin: min(max(0, millis), 60_000))
    case .leaseLost:
      Log.warning("worker \(label) lost its lease and starts anew")
      process.ending = .leaseLost
    case .drained: process.ending = process.ending ?? .inGoodOrder
    }
  }

  private func loaded(_ process: WorkerProcess) {
    guard process.phase == .loading else { return }
    process.phase = .loaded
    if let index = slots.firstIndex(where: { $0.successor === process }) {
      if let old = slots[index].worker { leave(old, within: generation.config.drain.reload) }
      slots[index].successor = nil
      slots[index].worker = process
      slots[index].backoff.reset()
    }
    // A candidate begins when the whole generation has loaded.
    if !(candidate?.workers.contains { $0 === process } ?? false) { process.begin() }
  }

  private func overstayed(_ process: WorkerProcess, _ tasks: [WorkerMessage.Overstay], endsWithin millis: Int64) {
    for task in tasks {
      Log.warning(
        "the code of a task did not stop within its grace after its \(task.reason == .cancel ? "cancel" : "deadline"); its worker ends",
        ["worker": process.plan.label, "task": task.task])
    }
    process.overstays += tasks
    process.ending = process.ending ?? .overstayed
    let by = roost_boottime_millis() + millis + Self.lastWords
    process.leaveBy = min(process.leaveBy ?? by, by)
    process.phase = .leaving
    // Others are not to wait for a process that has a while to live.
    depart(process)
  }

  /// Milliseconds that a worker with code that does not stop has to write the last outcomes.
  private static let lastWords: Int64 = 3000

  // MARK: Ending

  private func died(_ process: WorkerProcess, _ end: ChildProcess.End) {
    let now = roost_boottime_millis()
    let label = process.plan.label
    process.isGone = true
    Orphans.kill(of: process.id, group: process.child.pid)
    let lines = output.finish(process.id)
    var reason = process.reason(of: end)
    if let limit = process.plan.memory, reason == nil, groups?.ranOutOfMemory(worker: process.id) ?? false {
      reason = .memory(resident: limit, limit: limit)
    }
    groups?.remove(worker: process.id)
    let post = PostMortem(
      reason, end, flights: process.board.flights, crash: process.board.crash, overstays: process.overstays,
      output: lines)
    housekeeper.reap(process.id, post.loss)
    status.ended(process.id)
    let wasInForce = slots.contains { $0.worker === process } || alone.values.contains { $0.worker === process }
    if !isDraining { plan(process, post, now) }
    depart(process)
    if let index = candidate?.workers.firstIndex(where: { $0 === process }) {
      candidate?.workers.remove(at: index)
      candidate?.issues += process.issues.map { ConfigIssue(path: $0.path, message: $0.message) }
      if process.issues.isEmpty {
        let last = lines.last.map { "; its last line: \($0.prefixed(byBytes: 200))" } ?? ""
        candidate?.issues.append(
          ConfigIssue(
            path: "workers.\(process.plan.worker)",
            message:
              "a process with \(process.plan.pluginNames.joined(separator: ", ")) ended while it started: \(post.summary)\(last)"
          ))
      }
      return
    }
    guard !isDraining else { return }
    if !post.isOrderly, !process.issues.contains(where: { !$0.mayBeTriedAgain }) {
      let culprit = post.culprit.map { [("worker", label), ("task", $0.description)] } ?? [("worker", label)]
      Log.write(.warning, { "worker \(label) ended (\(post.summary)); its tasks are given back" }, fields: culprit)
    }
    // Generations before this one say nothing about it, and what was to take over from a living one has not failed it.
    guard wasInForce, post.isAbnormal || !process.issues.isEmpty else { return }
    if breakers[process.plan.worker, default: Breaker()].died(culprit: post.culprit, at: now) {
      breakerOpened(process.plan.worker)
    }
  }

  /// When the place of a process that has ended is filled again.
  private func plan(_ process: WorkerProcess, _ post: PostMortem, _ now: Int64) {
    func start(_ backoff: inout Backoff) -> Int64 {
      let isSteady = now - process.since >= Self.steadyAfter
      if isSteady { backoff.reset() }
      return isSteady && !post.isAbnormal ? now : now + backoff.next() / 1_000_000
    }
    for index in slots.indices where slots[index].worker === process || slots[index].successor === process {
      slots[index].startAt = start(&slots[index].backoff)
    }
    for (type, place) in alone where place.worker === process {
      var place = place
      // To find culprits is what it is for.
      if post.culprit != nil { place.backoff.reset() }
      place.startAt = start(&place.backoff)
      alone[type] = place
    }
  }

  /// Takes a process out of its place; it may go on for a while.
  func depart(_ process: WorkerProcess) {
    for index in slots.indices {
      if slots[index].worker === process { slots[index].worker = nil }
      if slots[index].successor === process { slots[index].successor = nil }
    }
    for (type, place) in alone where place.worker === process { alone[type]?.worker = nil }
    leaving.removeAll { $0 === process }
    if process.phase == .leaving, !process.isGone { leaving.append(process) }
  }

  /// Lets a process finish what it runs.
  func leave(_ process: WorkerProcess, within limit: Duration) {
    process.leave(within: limit)
    depart(process)
  }

  /// Ends what takes too long or too much, and recycles what has done enough.
  private func look() {
    let now = roost_boottime_millis()
    defer { lastLook = now }
    // Who was stopped itself has heard nobody meanwhile.
    if now - lastLook > Self.ownStandstill { for process in processes { process.lastHeard = now } }
    for process in processes {
      // Until Redis has a worker it has nothing to say.
      if !process.isReady, !status.isConnected { process.lastHeard = now }
      if let ending = process.overdue(at: now) {
        process.kill(ending)
        continue
      }
      let plan = process.plan
      let resident = plan.isMeasured ? residentBytes(of: process.child.pid) : 0
      if let limit = plan.memory, resident > limit {
        process.kill(.memory(resident: resident, limit: limit))
      } else if process.finished >= plan.recycle.tasks ?? .max || resident >= plan.recycle.memory ?? .max {
        recycle(process)
      }
    }
  }

  private func recycle(_ process: WorkerProcess) {
    guard !isDraining, candidate == nil, process.isReady,
      let index = slots.firstIndex(where: { $0.worker === process }), slots[index].successor == nil,
      slots[index].startAt <= roost_boottime_millis()
    else { return }
    Log.info("worker \(process.plan.label) has done enough and is replaced", ["tasks": "\(process.finished)"])
    slots[index].successor = spawn(slots[index].plan, generation)
    if slots[index].successor == nil { slots[index].startAt = roost_boottime_millis() + 1000 }
  }

  /// Redis says that this worker has no lease, or its heartbeat stands still.
  func kill(worker id: String, standsStill: Bool) {
    processes.first { $0.id == id }?.kill(standsStill ? .stalled : .leaseLost)
  }

  /// Lets every worker finish what runs and give back the rest.
  func drain(within limit: Duration) {
    isDraining = true
    status.drains()
    for process in processes { leave(process, within: limit) }
    dropCandidate()
  }

  func killAll() {
    isDraining = true
    for process in processes { process.kill() }
  }

  // MARK: Generations

  /// Another generation is in force from now on.
  func install(_ next: Candidate) {
    generation = next.generation
    slots = generation.plans.map { plan in
      Slot(plan: plan, worker: next.workers.first { $0.plan.label == plan.label })
    }
    breakers = [:]
    unproven = []
    firstIssues = []
    status.setLoading([])
    status.set(plugins: generation.plugins)
    status.set(breakers: [:])
    tookOver(generation)
  }

  private func show() {
    status.set(
      processes: processes.filter { $0.phase != .loading }.map {
        HostStatus.Process(
          id: $0.id, name: $0.plan.label, pid: $0.child.pid, generation: $0.generation, board: $0.board, plan: $0.plan)
      })
  }
}
