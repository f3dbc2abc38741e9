// SPDX-License-Identifier: Apache-2.0

/// Durations and sizes as people write them: `"500ms"`, `"24h"`, `"64KiB"`.
package enum Quantity {
  /// Reads `"500ms" "10s" "5m" "24h" "7d"`; nil for anything else, signs and fractions included.
  package static func duration(_ text: String) -> Duration? {
    let units: [(String, Int64)] = [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)]
    return value(text, units).map { .milliseconds($0) }
  }

  /// Reads a size in bytes: `"512B" "64KiB" "512MiB" "2GiB"`; nil for anything else.
  package static func byteCount(_ text: String) -> Int? {
    let units: [(String, Int64)] = [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("B", 1)]
    return value(text, units).map(Int.init)
  }

  private static func value(_ text: String, _ units: [(String, Int64)]) -> Int64? {
    for (unit, factor) in units where text.hasSuffix(unit) {
      let digits = text.dropLast(unit.count)
      guard !digits.isEmpty, digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let number = Int64(digits)
      else { continue }
      let (product, overflow) = number.multipliedReportingOverflow(by: factor)
      return overflow ? nil : product
    }
    return nil
  }
}

extension Duration {
  /// Whole milliseconds, rounded down.
  package var millis: Int64 {
    components.seconds * 1000 + components.attoseconds / 1_000_000_000_000_000
  }
}
