// SPDX-License-Identifier: Apache-2.0
internal import TaskModel

extension Quantity {
  /// A duration of whole milliseconds as it would be written in a config, in the largest unit that fits.
  static func text(_ duration: Duration) -> String {
    let units: [(String, Int64)] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)]
    return text(duration.millis, units, zero: "0s")
  }

  /// A size as it would be written in a config, in the largest unit that fits.
  static func text(byteCount: Int) -> String {
    text(Int64(byteCount), [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)], zero: "0B")
  }

  private static func text(_ value: Int64, _ units: [(String, Int64)], zero: String) -> String {
    guard value > 0, let (unit, factor) = units.first(where: { value % $0.1 == 0 }) else { return zero }
    return "\(value / factor)\(unit)"
  }
}
