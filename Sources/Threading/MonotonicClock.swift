// SPDX-License-Identifier: Apache-2.0
internal import Glibc

/// Nanoseconds of CLOCK_MONOTONIC, for measuring and waiting.
package enum MonotonicClock {
  package static var now: Int64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
  }

  /// The same in milliseconds, for deadlines.
  package static var millis: Int64 { now / 1_000_000 }
}
