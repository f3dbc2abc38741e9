// SPDX-License-Identifier: Apache-2.0

/// Base 64 with the alphabet for URLs and without padding (RFC 4648 section 5).
enum Base64URL {
  private static let digits = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)

  static func encode(_ bytes: [UInt8]) -> String {
    var text: [UInt8] = []
    var bits = 0
    var value = 0
    for byte in bytes {
      value = value << 8 | Int(byte)
      bits += 8
      while bits >= 6 {
        bits -= 6
        text.append(digits[value >> bits & 63])
      }
      value &= (1 << bits) - 1
    }
    if bits > 0 { text.append(digits[value << (6 - bits) & 63]) }
    return String(decoding: text, as: UTF8.self)
  }

  static func decode(_ text: String) -> [UInt8]? {
    var bytes: [UInt8] = []
    var bits = 0
    var value = 0
    for digit in text.utf8 {
      guard let index = digits.firstIndex(of: digit) else { return nil }
      value = value << 6 | index
      bits += 6
      if bits >= 8 {
        bits -= 8
        bytes.append(UInt8(value >> bits & 255))
      }
      value &= (1 << bits) - 1
    }
    return bytes
  }
}
