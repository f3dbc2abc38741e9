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
    let number = newNumber()
    hold(number, action)
    store.awaitFinal(id, within: limit) { [self] in release(number) }
    responder.onGone { [self] in drop(number) }
  }

  /// What one action is held and released by.
  func newNumber() -> UInt64 {
    state.withLock { state in
      state.last += 1
      return state.last
    }
  }

  /// Calls `action` once: when its number is released, or at the end, which may have been already.
  func hold(_ number: UInt64, _ action: @escaping @Sendable () -> Void) {
    let isOver = state.withLock { state in
      if !state.isOver { state.actions[number] = action }
      return state.isOver
    }
    if isOver { action() }
  }

  func release(_ number: UInt64) { remove(number)?() }

  /// The client went: nobody is left to be answered.
  func drop(_ number: UInt64) { _ = remove(number) }

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
