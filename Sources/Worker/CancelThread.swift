// SPDX-License-Identifier: Apache-2.0
internal import FlightBoard
internal import PluginLoader
internal import Synchronization
internal import Threading

/// Calls executors' cancel functions, one after the other, on a thread that is there while there is something to call.
///
/// One that blocks, against the rules, holds up the others that wait here and nothing else.
final class CancelThread: Sendable {
  private struct State {
    var waiting: [Underway] = []
    var isRunning = false
  }

  private let state = Lock(State())

  /// A running attempt with its flight, whose a crash of its cancel function is.
  struct Underway: Sendable {
    let attempt: RunningAttempt
    let flight: FlightRecorder.Token
  }

  func cancel(_ attempt: Underway) {
    let mustStart = state.withLock { state in
      defer { state.isRunning = true }
      state.waiting.append(attempt)
      return !state.isRunning
    }
    if mustStart { NativeThread(name: "cancel") { self.work() }.detach() }
  }

  private func work() {
    FlightRecorder.withAlternateStack {
      while let attempts = next() {
        for underway in attempts { FlightRecorder.flying(underway.flight) { underway.attempt.cancel() } }
      }
    }
  }

  private func next() -> [Underway]? {
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
