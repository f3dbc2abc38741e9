// SPDX-License-Identifier: Apache-2.0
internal import Threading

/// Looks at what runs, while something does: shows it, tells it that its time is over, notices what does not heed that, and
/// gives back what waits behind it.
final class Ticker: Sendable {
  private let core: WorkerCore
  /// Nanoseconds between two looks.
  static let period: Int64 = 20_000_000
  /// It goes on so many ticks after the last task, so that short tasks one after the other need not wake it each time.
  static let linger = 50

  init(core: WorkerCore) {
    self.core = core
  }

  func run() {
    while true {
      let goesOn = core.ticking.wait { [core] ticking -> Bool? in
        if ticking.isOver { return false }
        ticking.isAsleep = core.pools.allSatisfy(\.isIdle)
        return ticking.isAsleep ? nil : true
      }
      guard goesOn == true else { return }
      var idle = 0
      while idle < Self.linger {
        if core.ticking.wait(until: MonotonicClock.now + Self.period, { $0.isOver ? true : nil }) != nil { return }
        idle = core.pools.allSatisfy(\.isIdle) ? idle + 1 : 0
        tick()
      }
    }
  }

  private func tick() {
    let now = MonotonicClock.now
    for pool in core.pools where !pool.isIdle {
      core.giveBack(pool.overdue(at: now), [])
      for attempt in pool.running {
        if let deadline = attempt.deadline, attempt.startedAt > 0, now >= deadline {
          attempt.requestStop(.deadline, core.cancelThread)
        }
        if let reason = attempt.overstay(at: now, { core.post(news: $0, attempt) }) {
          core.overstayers.add(attempt, reason)
        }
        attempt.report(at: now) { core.post(news: $0, attempt) }
      }
    }
  }
}
