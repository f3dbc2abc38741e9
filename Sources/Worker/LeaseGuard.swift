// SPDX-License-Identifier: Apache-2.0
internal import CSystemShims
internal import Synchronization
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
  /// Up to when tasks may start without a look at the state; changed with it.
  private let startsUntil = Atomic<Int64>(.min)

  init(leaseMillis: Int64) {
    half = leaseMillis / 2
  }

  /// The lease was made: the moment counts from before that was asked for.
  func confirmed(at millis: Int64) {
    state.withLock { confirm(&$0, millis) }
    state.broadcast()
  }

  func sends(beat: Int64) {
    state.withLock { $0.sent[beat] = roost_boottime_millis() }
  }

  func acknowledged(beat: Int64) {
    state.withLock { state in
      guard let at = state.sent[beat] else { return }
      confirm(&state, at)
      state.sent = state.sent.filter { $0.key > beat }
    }
    state.broadcast()
  }

  private func confirm(_ state: inout State, _ millis: Int64) {
    state.confirmedAt = max(state.confirmedAt, millis)
    if !state.isOver { startsUntil.store(state.confirmedAt + half, ordering: .relaxed) }
  }

  /// Nothing starts any more.
  func end() {
    state.withLock { state in
      state.isOver = true
      startsUntil.store(.min, ordering: .relaxed)
    }
    state.broadcast()
  }

  /// Waits until a task may start and returns that moment, in milliseconds of CLOCK_BOOTTIME; nil if none ever may.
  func mayStart() -> Int64? {
    let now = roost_boottime_millis()
    if now <= startsUntil.load(ordering: .relaxed) { return now }
    while true {
      let answer = state.wait(until: MonotonicClock.now + 50_000_000) { [half] state -> Int64?? in
        if state.isOver { return .some(nil) }
        let now = roost_boottime_millis()
        return now - state.confirmedAt <= half ? .some(now) : nil
      }
      if let answer { return answer }
    }
  }
}
