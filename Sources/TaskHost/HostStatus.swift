// SPDX-License-Identifier: Apache-2.0
internal import Threading

/// What the host's threads know of its health and its workers; may be asked from any thread.
package final class HostStatus: Sendable {
  private struct State {
    var loading: Set<String> = []
    var isDraining = false
    var busy: [String: [String: Int]] = [:]
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

  /// Tasks of the type that this host's workers run just now, as of their last heartbeats.
  package func busy(_ type: String) -> Int {
    state.withLock { $0.busy.values.reduce(0) { $0 + ($1[type] ?? 0) } }
  }

  func setLoading(_ labels: Set<String>) { state.withLock { $0.loading = labels } }
  func loaded(_ label: String) { state.withLock { _ = $0.loading.remove(label) } }
  func drains() { state.withLock { $0.isDraining = true } }
  func worker(_ label: String, isBusyWith busy: [String: Int]) { state.withLock { $0.busy[label] = busy } }
  func ended(_ label: String) { state.withLock { $0.busy[label] = nil } }
}
