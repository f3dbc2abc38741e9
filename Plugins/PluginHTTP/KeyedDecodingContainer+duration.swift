// SPDX-License-Identifier: Apache-2.0
import RoostPlugin

extension KeyedDecodingContainer {
  /// A duration as config writes them, `500ms`, `10s`, `5m`, `1h`, at most a day; nil if it is absent.
  package func durationIfPresent(forKey key: Key) throws -> Duration? {
    guard let text = try decodeIfPresent(String.self, forKey: key) else { return nil }
    let digits = text.prefix { $0.isASCII && $0.isNumber }
    let units = ["ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000]
    guard let number = Int(digits), number > 0, let unit = units[String(text.dropFirst(digits.count))],
      number <= 86_400_000 / unit
    else { throw TaskRejection("settings.\(key.stringValue): \"\(text)\" is no duration; write it as \"60s\"") }
    return .milliseconds(number * unit)
  }
}
