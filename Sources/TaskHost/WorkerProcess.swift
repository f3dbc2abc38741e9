// SPDX-License-Identifier: Apache-2.0
internal import CSystemShims
internal import FlightBoard
internal import Glibc
internal import TaskModel
internal import TaskStore
internal import WorkerControl

/// One process of a worker, from its start until it is reaped; belongs to the supervisor's thread.
final class WorkerProcess {
  enum Phase {
    case loading
    /// Its plugins are loaded and started; it waits to be told to begin.
    case loaded
    /// It takes tasks, or is about to.
    case begun
    /// It takes nothing more and ends.
    case leaving
  }

  /// Why this host ended it, or lets it end.
  enum Ending {
    case inGoodOrder
    case overstayed
    /// Its tasks belong to somebody else.
    case leaseLost
    case memory(resident: Int, limit: Int)
    case stalled
    /// Its plugins were not loaded in time.
    case slowStart
  }

  let id: String
  let plan: WorkerPlan
  let generation: Int
  let child: ChildProcess
  let channel: ControlChannel
  let board: FlightBoard
  let since: Int64
  /// Milliseconds, of the config that it was started with.
  private let lease: Int64
  var phase = Phase.loading
  var isReady = false
  /// It has ended and was reaped.
  var isGone = false
  var issues: [WorkerMessage.Issue] = []
  var ending: Ending?
  /// The host has ended it by a signal.
  private var isKilled = false
  /// When it is killed if it has not ended by itself.
  var leaveBy: Int64?
  var overstays: [WorkerMessage.Overstay] = []
  var lastHeard: Int64
  var busy: [String: Int] = [:]
  /// Attempts that have ended in it.
  var finished: Int64 = 0

  /// Milliseconds that plugins may take to load and start.
  static let startLimit: Int64 = 60_000
  /// Milliseconds that a leaving worker gets for its last words.
  static let leavingSlack: Int64 = 500

  private init(
    _ id: String, _ plan: WorkerPlan, _ generation: Int, _ child: ChildProcess, _ channel: ControlChannel,
    _ board: FlightBoard, lease: Int64
  ) {
    (self.id, self.plan, self.generation, self.child) = (id, plan, generation, child)
    (self.channel, self.board) = (channel, board)
    self.lease = lease
    since = roost_boottime_millis()
    lastHeard = since
  }

  /// Starts the process and tells it what it is to do; its output goes to `output`.
  static func start(
    _ plan: WorkerPlan, generation: Int, directory: String, assignment: (String) -> WorkerAssignment,
    output: OutputReader, groups: ControlGroups?
  ) throws(HostError) -> WorkerProcess {
    let id = RandomID.make()
    let assignment = assignment(id)
    guard let board = FlightBoard(slots: assignment.slots) else { throw .system("no descriptor or no memory is left") }
    let group = groups?.open(worker: id, memory: plan.memory, cpu: plan.cpu)
    defer { if let group { close(group) } }
    let pipes = try OutputReader.Pipes()
    let (child, channel): (ChildProcess, ControlChannel)
    do throws(HostError) {
      (child, channel) = try spawn(id, plan, directory, pipes, board, group)
    } catch {
      pipes.closeReaders()
      groups?.remove(worker: id)
      throw error
    }
    let worker = WorkerProcess(id, plan, generation, child, channel, board, lease: assignment.leaseMillis)
    output.read(pipes, of: id, label: plan.label, board: board, plan: plan)
    // A worker that has died already is noticed at its process.
    try? channel.send(assignment)
    return worker
  }

  /// The worker's ends of channel and pipes are this process's only until here: with them open, sending to a dead worker
  /// would block, and the end of its output would never be seen.
  private static func spawn(
    _ id: String, _ plan: WorkerPlan, _ directory: String, _ pipes: OutputReader.Pipes, _ board: FlightBoard,
    _ group: Int32?
  ) throws(HostError) -> (ChildProcess, ControlChannel) {
    defer { pipes.closeWriters() }
    // Never as the host's own user instead.
    if let name = plan.userName, plan.user == nil { throw .system("there is no user \(name)") }
    guard let ends = try? ControlChannel.pair() else { throw .system("no descriptor is left") }
    var environment = plan.environment
    environment[Orphans.mark] = id
    environment[Orphans.hostMark] = Orphans.ownHost
    let child = try ChildProcess.start(
      "/proc/self/exe", ["roost", "worker", plan.label],
      ChildProcess.Setting(
        environment: environment, directory: directory,
        descriptors: [-1, pipes.output.writer, pipes.errors.writer, ends.worker.descriptor, board.descriptor, 2],
        user: plan.user, cgroup: group ?? -1))
    return (child, ends.host)
  }

  /// Lets it take tasks.
  func begin() {
    phase = .begun
    lastHeard = roost_boottime_millis()
    try? channel.send(HostMessage.begin)
  }

  /// Lets it finish what runs within the time and give back the rest.
  func leave(within limit: Duration) {
    let by = roost_boottime_millis() + limit.millis + Self.leavingSlack
    leaveBy = min(leaveBy ?? by, by)
    ending = ending ?? .inGoodOrder
    let hasBegun = phase == .begun || phase == .leaving
    phase = .leaving
    if !hasBegun || (try? channel.send(HostMessage.drain(withinMillis: limit.millis))) == nil { kill() }
  }

  /// Ends it at once.
  func kill(_ ending: Ending = .inGoodOrder) {
    // What ends it now says more than that it was leaving.
    if case .inGoodOrder = self.ending ?? .inGoodOrder { self.ending = ending }
    isKilled = true
    Glibc.kill(child.pid, SIGKILL)
  }

  /// Why it ended; nil when this host has nothing to do with it: one that leaves may still crash.
  func reason(of end: ChildProcess.End) -> Ending? {
    if board.crash?.flight != nil { return nil }
    if isKilled { return ending }
    if case .exited(let status) = end, Self.ownStatuses.contains(status) { return ending }
    return nil
  }

  /// Exit statuses of a worker that ends by itself: drained or left alone, refused, without its lease, for code that does not stop.
  private static let ownStatuses: Set<Int32> = [0, 3, 4, 5]

  /// What of it takes too long, or nil.
  func overdue(at now: Int64) -> Ending? {
    switch phase {
    case .loading: now - since > Self.startLimit ? .slowStart : nil
    case .loaded: nil
    case .begun where !isReady: now - lastHeard > Self.startLimit ? .slowStart : nil
    case .begun, .leaving:
      if let leaveBy, now > leaveBy {
        ending ?? .inGoodOrder
      } else if isReady, now - lastHeard > lease {
        .stalled
      } else {
        nil
      }
    }
  }
}
