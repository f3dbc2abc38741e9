// SPDX-License-Identifier: Apache-2.0

/// The header of W3C Trace Context, level 1.
enum TraceParent {
  /// The value if it has the form `version-trace-parent-flags` in lowercase hex with ids that are not all zero, else nil.
  static func valid(_ value: String?) -> String? {
    guard let value, value.utf8.count == 55 else { return nil }
    let parts = value.utf8.split(separator: UInt8(ascii: "-"), omittingEmptySubsequences: false)
    guard parts.map(\.count) == [2, 32, 16, 2], parts.allSatisfy({ $0.allSatisfy(isLowercaseHex) }),
      !parts[0].elementsEqual("ff".utf8), parts[1...2].allSatisfy({ $0.contains { $0 != UInt8(ascii: "0") } })
    else { return nil }
    return value
  }

  private static func isLowercaseHex(_ byte: UInt8) -> Bool {
    (0x30...0x39).contains(byte) || (0x61...0x66).contains(byte)
  }
}
