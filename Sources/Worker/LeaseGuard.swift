// SPDX-License-Identifier: Apache-2.0
internal import CSystemShims
internal import Threading

/// Says whether this worker may still start tasks.
///
/// Another host takes a lease whose heartbeat has not moved for a whole lease time. A worker that was stopped, or cut off,
/// must not start what may be running elsewhere: so it starts nothing when the heartbeat last acknowledged was sent more
/// than half a lease ago. The clock also runs while the machine is suspended.
final class LeaseGuard: Sendable {
  private struct State {
    var confirmedAt: Int64 = 0
    var sent: [Int64: Int64] = [:]
    var isOver = false
  }

  private let half: Int64
  private let state = Monitor(State())

  init(leaseMillis: Int64) {
    half = leaseMillis / 2
  }

  /// The lease was made: the moment counts from before that was asked for.
  func confirmed(at millis: Int64) {
    state.withLock { $0.confirmedAt = max($0.confirmedAt, millis) }
    state.broadcast()
  }

  func sends(beat: Int64) {
    state.withLock { $0.sent[beat] = roost_boottime_millis() }
  }

  func acknowledged(beat: Int64) {
    state.withLock { state in
      guard let at = state.sent[beat] else { return }
      state.confirmedAt = max(state.confirmedAt, at)
      state.sent = state.sent.filter { $0.key > beat }
    }
    state.broadcast()
  }

  /// Nothing starts any more.
  func end() {
    state.withLock { $0.isOver = true }
    state.broadcast()
  }

  /// Waits until a task may start; false if none ever may.
  func mayStart() -> Bool {
    while true {
      let answer = state.wait(until: MonotonicClock.now + 50_000_000) { [half] state -> Bool? in
        if state.isOver { return false }
        return roost_boottime_millis() - state.confirmedAt <= half ? true : nil
      }
      if let answer { return answer }
    }
  }
}
