// SPDX-License-Identifier: Apache-2.0

/// Random ids of hosts and workers: 16 hex digits.
package enum RandomID {
  package static func make() -> String {
    let digits = String(UInt64.random(in: .min ... .max), radix: 16)
    return String(repeating: "0", count: 16 - digits.utf8.count) + digits
  }

  /// The 8 bytes of an id, as they stand in records; nil if it is none.
  package static func bytes(_ id: String) -> [UInt8]? {
    guard id.utf8.count == 16, let value = UInt64(id, radix: 16) else { return nil }
    return (0..<8).map { UInt8(truncatingIfNeeded: value >> UInt64(56 - $0 * 8)) }
  }
}
