// SPDX-License-Identifier: Apache-2.0
internal import CSystemShims
internal import FlightBoard
package import TaskModel
internal import TaskStore
internal import Threading

/// What the host's threads know of its health, its workers and its plugins; may be asked from any thread.
package final class HostStatus: Sendable {
  /// A worker process.
  package struct Worker: Sendable, Equatable {
    /// What it runs just now.
    package struct Flight: Sendable, Equatable {
      package var task: TaskID
      package var type: String
      package var startedAt: Timestamp
    }

    package var id: String
    /// `host/worker/number`.
    package var name: String
    package var pid: Int32
    package var generation: Int
    package var flights: [Flight]
  }

  /// A plugin of the generation that takes tasks.
  package struct Plugin: Sendable, Equatable {
    /// The name that config gives it.
    package var name: String
    package var version: String
    /// `sha256:` and the digest of the file that is loaded, in hex.
    package var build: String
    /// As config has it.
    package var path: String
    package var exports: [(name: String, kind: PluginExportKind)]

    package static func == (a: Plugin, b: Plugin) -> Bool {
      (a.name, a.version, a.build, a.path) == (b.name, b.version, b.build, b.path)
        && a.exports.elementsEqual(b.exports, by: ==)
    }
  }

  /// Whether the processes of a worker are started.
  package enum Breaker: String, Sendable {
    case closed, open
    /// One process shows whether they may be.
    case halfOpen = "half-open"
  }

  /// A worker process whose board can be read.
  struct Process: Sendable {
    let id: String
    let name: String
    let pid: Int32
    let generation: Int
    let board: FlightBoard
    let plan: WorkerPlan
  }

  private struct State {
    var loading: Set<String> = []
    var isDraining = false
    var busy: [String: [String: Int]] = [:]
    /// Looks at what they run when it is asked.
    var workers: @Sendable () -> [Worker] = { [] }
    var plugins: [Plugin] = []
    var breakers: [String: Breaker] = [:]
    var schedules: [Schedule] = []
    /// Why something is wrong without keeping the host from serving.
    var troubles: [String: String] = [:]
  }

  private let state = Monitor(State())
  private let store: TaskStore

  init(_ store: TaskStore) {
    self.store = store
  }

  /// Why the host is not ready; empty when it is.
  package var reasons: [String] {
    let (loading, isDraining) = state.withLock { ($0.loading, $0.isDraining) }
    var reasons: [String] = []
    if isDraining { reasons.append("the host is draining") }
    if !store.isConnected { reasons.append("Redis does not answer") }
    for label in loading.sorted() { reasons.append("worker \(label) has not loaded its plugins yet") }
    return reasons
  }

  var isConnected: Bool { store.isConnected }

  /// What is wrong although the host is ready: open breakers, a clock that jumped.
  package var troubles: [String] {
    let known = state.withLock { $0.troubles }.sorted { $0.key < $1.key }.map(\.value)
    return store.clock.isPlausible ? known : [Self.doubtfulClock] + known
  }

  static let doubtfulClock =
    "the clock of Redis has jumped by more than a minute: nothing is trimmed and nothing expires until it is right again, or a reload says that it is"

  /// Tasks of the type that this host's workers run just now, as of their last heartbeats.
  package func busy(_ type: String) -> Int {
    state.withLock { $0.busy.values.reduce(0) { $0 + ($1[type] ?? 0) } }
  }

  /// The worker processes, by name and then by age.
  package var workers: [Worker] { state.withLock { $0.workers }() }

  private func read(_ processes: [Process]) -> [Worker] {
    let (boot, monotonic) = (roost_boottime_millis(), MonotonicClock.now)
    return processes.map { process in
      let flights = process.board.flights.filter { $0.kind == .attempt }.map { flight in
        // Plugin code can write to the board: no number of it may overflow.
        let age = boot - min(max(flight.startedAt, 0), boot)
        return Worker.Flight(
          task: flight.task, type: process.plan.typeName(flight.type),
          startedAt: store.clock.time(at: monotonic - age * 1_000_000))
      }
      return Worker(
        id: process.id, name: process.name, pid: process.pid, generation: process.generation, flights: flights)
    }
  }
  /// The plugins, by name.
  package var plugins: [Plugin] { state.withLock { $0.plugins } }
  /// Those of the config that is in force.
  package var schedules: [Schedule] { state.withLock { $0.schedules } }
  package func breaker(ofWorker name: String) -> Breaker { state.withLock { $0.breakers[name] ?? .closed } }

  func setLoading(_ labels: Set<String>) { state.withLock { $0.loading = labels } }
  func loaded(_ label: String) { state.withLock { _ = $0.loading.remove(label) } }
  func drains() { state.withLock { $0.isDraining = true } }
  func worker(_ id: String, isBusyWith busy: [String: Int]) { state.withLock { $0.busy[id] = busy } }
  func ended(_ id: String) { state.withLock { $0.busy[id] = nil } }
  func set(processes: [Process]) {
    let ordered = processes.sorted { $0.name < $1.name }
    state.withLock { $0.workers = { [weak self] in self?.read(ordered) ?? [] } }
  }

  /// Those that are not closed, by worker.
  func set(breakers: [String: Breaker]) {
    state.withLock { state in
      for name in state.breakers.keys { state.troubles["breaker " + name] = nil }
      state.breakers = breakers
      for (name, breaker) in breakers {
        state.troubles["breaker " + name] =
          "the breaker of worker \(name) is \(breaker.rawValue): its processes died too often"
      }
    }
  }
  func set(_ schedules: [Schedule]) { state.withLock { $0.schedules = schedules } }
  func set(workers: [Worker]) { state.withLock { $0.workers = { workers } } }
  func set(plugins: [Plugin]) { state.withLock { $0.plugins = plugins } }
  /// `trouble` is told under the key until it is set to nil.
  func set(trouble: String?, for key: String) { state.withLock { $0.troubles[key] = trouble } }
}
