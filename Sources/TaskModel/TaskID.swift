// SPDX-License-Identifier: Apache-2.0
import Synchronization

/// Names one task: 32 lowercase hex digits, time-ordered, with the shard in the last two.
///
/// The layout is that of a UUIDv7 (RFC 9562 section 5.7) without its dashes.
package struct TaskID: Hashable, Sendable, Comparable, CustomStringConvertible {
  package let high: UInt64
  package let low: UInt64

  package init(high: UInt64, low: UInt64) {
    self.high = high
    self.low = low
  }

  /// Reads 32 lowercase hex digits; nil for anything else.
  package init?(_ text: ArraySlice<UInt8>) {
    guard text.count == 32, let (high, low) = text.withUnsafeBufferPointer(Self.halves) else { return nil }
    self.init(high: high, low: low)
  }

  package init?(_ text: some Collection<UInt8>) {
    self.init(Array(text)[...])
  }

  private static func halves(_ digits: UnsafeBufferPointer<UInt8>) -> (UInt64, UInt64)? {
    var (high, low) = (UInt64(0), UInt64(0))
    for digit in digits {
      let value: UInt8
      switch digit {
      case UInt8(ascii: "0")...UInt8(ascii: "9"): value = digit - UInt8(ascii: "0")
      case UInt8(ascii: "a")...UInt8(ascii: "f"): value = digit - UInt8(ascii: "a") + 10
      default: return nil
      }
      high = high << 4 | low >> 60
      low = low << 4 | UInt64(value)
    }
    return (high, low)
  }

  package init?(_ text: String) {
    self.init(Array(text.utf8))
  }

  /// The id of the task that a schedule makes at a due time: the same whichever host makes it.
  package init(schedule: String, due: Timestamp, shard: UInt8 = 0) {
    let text = Array("\(schedule) \(due.millis)".utf8)
    let high = UInt64(truncatingIfNeeded: due.millis) << 16 | 0x7000 | fnv1a(text, basis: 0xcbf2_9ce4_8422_2325) & 0xfff
    let low = fnv1a(text.reversed(), basis: 0x8422_2325_cbf2_9ce4)
    self.init(high: high, low: 0x8000_0000_0000_0000 | low >> 2 & ~0xff | UInt64(shard))
  }

  /// The shard that holds the task, 0–255.
  package var shard: UInt8 { UInt8(truncatingIfNeeded: low) }

  package var description: String {
    String(unsafeUninitializedCapacity: 32) { buffer in
      write(into: buffer)
      return 32
    }
  }

  /// The 32 digits as bytes.
  package var utf8: [UInt8] {
    [UInt8](unsafeUninitializedCapacity: 32) { buffer, count in
      write(into: buffer)
      count = 32
    }
  }

  /// Appends the 32 digits without making a string.
  package func append(to bytes: inout [UInt8]) {
    withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 32) { digits in
      write(into: digits)
      bytes.append(contentsOf: digits)
    }
  }

  private func write(into buffer: UnsafeMutableBufferPointer<UInt8>) {
    for index in 0..<16 {
      let shift = UInt64(60 - index * 4)
      buffer[index] = hexDigit(high >> shift)
      buffer[index + 16] = hexDigit(low >> shift)
    }
  }

  package static func < (a: TaskID, b: TaskID) -> Bool { (a.high, a.low) < (b.high, b.low) }
}

@inline(__always)
private func hexDigit(_ value: UInt64) -> UInt8 {
  let digit = UInt8(truncatingIfNeeded: value & 15)
  return digit < 10 ? digit + UInt8(ascii: "0") : digit - 10 + UInt8(ascii: "a")
}

/// FNV-1a (Fowler, Noll, Vo) of 64 bits.
private func fnv1a(_ bytes: some Sequence<UInt8>, basis: UInt64) -> UInt64 {
  bytes.reduce(basis) { ($0 ^ UInt64($1)) &* 0x0000_0100_0000_01b3 }
}

/// Makes ids without locks or system calls; may be called from any thread.
package final class TaskIDGenerator: Sendable {
  private let seed = UInt64.random(in: .min ... .max)
  private let counter = Atomic<UInt64>(0)

  package init() {}

  package func next(at time: Timestamp, shard: UInt8 = 0) -> TaskID {
    let count = counter.add(1, ordering: .relaxed).newValue
    let high = UInt64(time.millis) << 16 | 0x7000 | count & 0xfff
    let random = mixed(seed &+ count &* 0x9e37_79b9_7f4a_7c15)
    return TaskID(high: high, low: 0x8000_0000_0000_0000 | random >> 2 & ~0xff | UInt64(shard))
  }

  /// The finaliser of SplitMix64 (Steele, Lea, Flood 2014): a bijection, so that equal counts alone give equal bits.
  private func mixed(_ value: UInt64) -> UInt64 {
    var z = value
    z = (z ^ z >> 30) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ z >> 27) &* 0x94d0_49bb_1331_11eb
    return z ^ z >> 31
  }
}
