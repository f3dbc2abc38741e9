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

  /// Until Redis has been heard, this machine's clock stands in for its.
  package init() {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    heard(Timestamp(millis: Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000))
  }

  /// Redis said that it is `time` now.
  package func heard(_ time: Timestamp) {
    offsetNanos.store(time.millis * 1_000_000 - MonotonicClock.now, ordering: .relaxed)
  }

  package var now: Timestamp { time(at: MonotonicClock.now) }

  /// The time of a moment of the monotonic clock, in its nanoseconds.
  package func time(at monotonic: Int64) -> Timestamp {
    Timestamp(millis: (monotonic + offsetNanos.load(ordering: .relaxed)) / 1_000_000)
  }
}
