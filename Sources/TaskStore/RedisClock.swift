// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import Synchronization
package import TaskModel
internal import Threading

/// Redis' clock, as told by its last answer and carried on by this machine's monotonic clock.
///
/// Every time on a record is Redis', whoever writes it, so that clocks of hosts that differ do no harm.
package final class RedisClock: Sendable {
  private let offsetNanos = Atomic<Int64>(0)
  /// Milliseconds that Redis' clock is ahead of CLOCK_BOOTTIME: as last heard, and as last believed.
  private let heardAhead = Atomic<Int64>(unheard)
  private let believedAhead = Atomic<Int64>(unheard)
  /// Milliseconds that this machine's CLOCK_REALTIME was ahead of Redis' clock when Redis was heard last.
  private let machineAhead = Atomic<Int64>(0)

  private static let unheard = Int64.min
  /// Milliseconds by which the two may have moved against each other since Redis was heard last.
  private static let tolerance: Int64 = 60_000

  /// Until Redis has been heard, this machine's clock stands in for its.
  package init() {
    follow(Timestamp(millis: Self.millis(of: CLOCK_REALTIME)))
  }

  /// Redis said that it is `time` now.
  package func heard(_ time: Timestamp) {
    follow(time)
    machineAhead.store(Self.millis(of: CLOCK_REALTIME) - time.millis, ordering: .relaxed)
    let ahead = time.millis - Self.boottimeMillis
    heardAhead.store(ahead, ordering: .relaxed)
    let believed = believedAhead.load(ordering: .relaxed)
    if believed == Self.unheard || abs(ahead - believed) <= Self.tolerance {
      believedAhead.store(ahead, ordering: .relaxed)
    }
  }

  /// Whether Redis' clock has not jumped, by more than a minute, since it was heard first or trusted last.
  package var isPlausible: Bool {
    let (heard, believed) = (heardAhead.load(ordering: .relaxed), believedAhead.load(ordering: .relaxed))
    return believed == Self.unheard || abs(heard - believed) <= Self.tolerance
  }

  /// What Redis' clock can say at most if it did not jump: by a later time nothing may be deleted, and nothing expires.
  package var latestPlausible: Timestamp {
    let believed = believedAhead.load(ordering: .relaxed)
    if believed == Self.unheard { return Self.forever }
    return Timestamp(millis: Self.boottimeMillis + believed + Self.tolerance)
  }

  /// Somebody who knows says that Redis' clock is right as it is.
  package func trust() { believedAhead.store(Self.unheard, ordering: .relaxed) }

  /// The end of the times that a record can hold (6 bytes).
  package static let forever = Timestamp(millis: 1 << 47)

  /// It goes on while the machine is suspended, as Redis' does.
  private static var boottimeMillis: Int64 { millis(of: CLOCK_BOOTTIME) }

  private static func millis(of clock: clockid_t) -> Int64 {
    var time = timespec()
    clock_gettime(clock, &time)
    return Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000
  }

  private func follow(_ time: Timestamp) {
    offsetNanos.store(time.millis * 1_000_000 - MonotonicClock.now, ordering: .relaxed)
  }

  /// The same moment in milliseconds of this machine's CLOCK_REALTIME, as far as Redis' last answer tells; for plugins.
  package func machineMillis(_ time: Timestamp) -> Int64 { time.millis + machineAhead.load(ordering: .relaxed) }

  package var now: Timestamp { time(at: MonotonicClock.now) }

  /// The time of a moment of the monotonic clock, in its nanoseconds.
  package func time(at monotonic: Int64) -> Timestamp {
    Timestamp(millis: (monotonic + offsetNanos.load(ordering: .relaxed)) / 1_000_000)
  }
}
