// SPDX-License-Identifier: Apache-2.0
internal import HTTPServer
internal import Synchronization
internal import Threading
internal import TaskModel
internal import TaskStore

/// The requests that wait for a task to be final; none of them holds a thread.
final class OpenWaits: Sendable {
  private struct State {
    var actions: [UInt64: @Sendable () -> Void] = [:]
    var last: UInt64 = 0
    var isOver = false
  }

  private let state = Lock(State())

  /// Calls `action` once: when the task is final or gone, when `limit` is over, or at the end; never once the client went.
  func wait(
    for id: TaskID, in store: TaskStore, within limit: Duration, _ responder: HTTPResponder,
    _ action: @escaping @Sendable () -> Void
  ) {
    guard let number = hold(responder, action) else { return action() }
    store.awaitFinal(id, within: limit) { [self] in release(number) }
  }

  /// Keeps `action` until it is released, all waits end, or the client went; nil if all are over.
  func hold(_ responder: HTTPResponder, _ action: @escaping @Sendable () -> Void) -> UInt64? {
    let number = state.withLock { state -> UInt64? in
      guard !state.isOver else { return nil }
      state.last += 1
      state.actions[state.last] = action
      return state.last
    }
    if let number { responder.onGone { [self] in _ = remove(number) } }
    return number
  }

  /// Does what was kept under the number, unless that has happened or the client went.
  func release(_ number: UInt64) { remove(number)?() }

  /// Ends all waits, and from now on every new one at once.
  func end() {
    let actions = state.withLock { state in
      state.isOver = true
      defer { state.actions = [:] }
      return Array(state.actions.values)
    }
    for action in actions { action() }
  }

  private func remove(_ number: UInt64) -> (@Sendable () -> Void)? {
    state.withLock { $0.actions.removeValue(forKey: number) }
  }
}
