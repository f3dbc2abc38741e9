// SPDX-License-Identifier: Apache-2.0
internal import PluginLoader
internal import Threading

/// Calls executors' cancel functions, one after the other, on a thread that is there while there is something to call.
///
/// One that blocks, against the rules, holds up the others that wait here and nothing else.
final class CancelThread: Sendable {
  private struct State {
    var waiting: [RunningAttempt] = []
    var isRunning = false
  }

  private let state = Lock(State())

  func cancel(_ attempt: RunningAttempt) {
    let mustStart = state.withLock { state in
      defer { state.isRunning = true }
      state.waiting.append(attempt)
      return !state.isRunning
    }
    if mustStart { NativeThread(name: "cancel") { self.work() }.detach() }
  }

  private func work() {
    while let attempts = next() {
      for attempt in attempts { attempt.cancel() }
    }
  }

  private func next() -> [RunningAttempt]? {
    state.withLock { state in
      guard !state.waiting.isEmpty else {
        state.isRunning = false
        return nil
      }
      defer { state.waiting = [] }
      return state.waiting
    }
  }
}
