// SPDX-License-Identifier: Apache-2.0
package import TaskModel
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

  private struct State {
    var loading: Set<String> = []
    var isDraining = false
    var busy: [String: [String: Int]] = [:]
    var workers: [Worker] = []
    var plugins: [Plugin] = []
    var breakers: [String: Breaker] = [:]
    var schedules: [Schedule] = []
    /// Why something is wrong without keeping the host from serving.
    var troubles: [String: String] = [:]
  }

  private let state = Monitor(State())
  private let isConnected: @Sendable () -> Bool

  init(isConnected: @escaping @Sendable () -> Bool) {
    self.isConnected = isConnected
  }

  /// Why the host is not ready; empty when it is.
  package var reasons: [String] {
    let (loading, isDraining) = state.withLock { ($0.loading, $0.isDraining) }
    var reasons: [String] = []
    if isDraining { reasons.append("the host is draining") }
    if !isConnected() { reasons.append("Redis does not answer") }
    for label in loading.sorted() { reasons.append("worker \(label) has not loaded its plugins yet") }
    return reasons
  }

  /// What is wrong although the host is ready: open breakers, a clock that jumped.
  package var troubles: [String] { state.withLock { $0.troubles.sorted { $0.key < $1.key }.map(\.value) } }

  /// Tasks of the type that this host's workers run just now, as of their last heartbeats.
  package func busy(_ type: String) -> Int {
    state.withLock { $0.busy.values.reduce(0) { $0 + ($1[type] ?? 0) } }
  }

  /// The worker processes, by name and then by age.
  package var workers: [Worker] { state.withLock { $0.workers } }
  /// The plugins, by name.
  package var plugins: [Plugin] { state.withLock { $0.plugins } }
  /// Those of the config that is in force.
  package var schedules: [Schedule] { state.withLock { $0.schedules } }
  package func breaker(ofWorker name: String) -> Breaker { state.withLock { $0.breakers[name] ?? .closed } }

  func setLoading(_ labels: Set<String>) { state.withLock { $0.loading = labels } }
  func loaded(_ label: String) { state.withLock { _ = $0.loading.remove(label) } }
  func drains() { state.withLock { $0.isDraining = true } }
  func worker(_ label: String, isBusyWith busy: [String: Int]) { state.withLock { $0.busy[label] = busy } }
  func ended(_ label: String) { state.withLock { $0.busy[label] = nil } }
  func set(_ schedules: [Schedule]) { state.withLock { $0.schedules = schedules } }
}
