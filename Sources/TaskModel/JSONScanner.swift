// SPDX-License-Identifier: Apache-2.0

/// Where JSON text goes wrong, and how.
package struct JSONSyntaxError: Error, Equatable, Sendable, CustomStringConvertible {
  /// Bytes from the start of the text.
  package let offset: Int
  package let reason: String

  package init(offset: Int, reason: String) {
    self.offset = offset
    self.reason = reason
  }

  package var description: String { "\(reason) at offset \(offset)" }
}

/// One pass over JSON text (RFC 8259, UTF-8) that makes no objects.
///
/// It stands on borrowed memory: it must not outlive the closure that lends the buffer.
package struct JSONScanner {
  /// Arrays and objects inside one another that are accepted.
  package static let depthLimit = 512

  package private(set) var offset = 0
  private let text: UnsafeBufferPointer<UInt8>

  package init(_ text: UnsafeBufferPointer<UInt8>) {
    self.text = text
  }

  /// Checks that the bytes are one whole JSON value and nothing else.
  package static func validate(_ bytes: [UInt8]) throws(JSONSyntaxError) {
    try bytes.withUnsafeBufferPointer { (buffer) throws(JSONSyntaxError) in
      try validate(buffer)
    }
  }

  package static func validate(_ buffer: UnsafeBufferPointer<UInt8>) throws(JSONSyntaxError) {
    var scanner = JSONScanner(buffer)
    _ = try scanner.value()
    try scanner.end()
  }

  package func failure(_ reason: String) -> JSONSyntaxError { JSONSyntaxError(offset: offset, reason: reason) }

  /// The byte that comes next after white space; nil at the end.
  package mutating func peek() -> UInt8? {
    while offset < text.count {
      switch text[offset] {
      case 0x20, 0x0a, 0x0d, 0x09: offset += 1
      default: return text[offset]
      }
    }
    return nil
  }

  /// Takes the byte if it comes next after white space.
  package mutating func take(_ byte: UInt8) -> Bool {
    guard peek() == byte else { return false }
    offset += 1
    return true
  }

  /// Checks that only white space is left.
  package mutating func end() throws(JSONSyntaxError) {
    if let byte = peek() { throw failure("unexpected \(shown(byte)) after the value") }
  }

  /// Passes one value and returns its range, without white space around it.
  package mutating func value() throws(JSONSyntaxError) -> Range<Int> {
    guard peek() != nil else { throw failure(text.isEmpty ? "the text is empty" : "a value is missing") }
    let start = offset
    // One bit per open bracket: is it an object? A stack of our own, because recursion would be the sender's to exhaust.
    var isObject = InlineArray<8, UInt64>(repeating: 0)
    var depth = 0
    repeat {
      var opened = false
      switch peek() {
      case UInt8(ascii: "{"), UInt8(ascii: "["):
        guard depth < Self.depthLimit else { throw failure("nested deeper than \(Self.depthLimit) levels") }
        let object = text[offset] == UInt8(ascii: "{")
        let bit = UInt64(1) << UInt64(depth & 63)
        if object { isObject[depth >> 6] |= bit } else { isObject[depth >> 6] &= ~bit }
        depth += 1
        offset += 1
        opened = !take(object ? UInt8(ascii: "}") : UInt8(ascii: "]"))
        if !opened { depth -= 1 } else if object { try name() }
      case UInt8(ascii: "\""): _ = try string()
      case UInt8(ascii: "t"): try word("true")
      case UInt8(ascii: "f"): try word("false")
      case UInt8(ascii: "n"): try word("null")
      case let byte? where byte == UInt8(ascii: "-") || (0x30...0x39).contains(byte): try number()
      case let byte?: throw failure("unexpected \(shown(byte))")
      case nil: throw failure("the text ends inside a value")
      }
      if opened { continue }
      while depth > 0 {
        let object = isObject[(depth - 1) >> 6] >> UInt64((depth - 1) & 63) & 1 == 1
        if take(UInt8(ascii: ",")) {
          if object { try name() }
          break
        }
        guard take(object ? UInt8(ascii: "}") : UInt8(ascii: "]")) else {
          guard let byte = peek() else { throw failure("the text ends inside \(object ? "an object" : "an array")") }
          throw failure("unexpected \(shown(byte)), expected \",\" or \"\(object ? "}" : "]")\"")
        }
        depth -= 1
      }
    } while depth > 0
    return start..<offset
  }

  private mutating func name() throws(JSONSyntaxError) {
    guard peek() == UInt8(ascii: "\"") else { throw failure("a member name in quotes is missing") }
    _ = try string()
    guard take(UInt8(ascii: ":")) else { throw failure("\":\" is missing after the member name") }
  }

  /// Passes one string and returns the range between its quotes.
  package mutating func string() throws(JSONSyntaxError) -> Range<Int> {
    guard take(UInt8(ascii: "\"")) else { throw failure("a string is missing") }
    let start = offset
    while true {
      skipPlainText()
      guard offset < text.count else { break }
      let byte = text[offset]
      if byte == UInt8(ascii: "\"") {
        offset += 1
        return start..<offset - 1
      }
      if byte == UInt8(ascii: "\\") {
        try escape()
      } else if byte < 0x20 {
        throw failure("a control character stands in a string")
      } else if byte < 0x80 {
        offset += 1
      } else {
        try multibyte()
      }
    }
    throw failure("the text ends inside a string")
  }

  /// Passes ASCII text without quotes, escapes and control characters, eight bytes at once, up to the last seven of the text.
  ///
  /// A subtraction borrows into the highest bit of a byte only where the byte was less; what a borrow from there spoils lies
  /// behind the first hit ("Determine if a word has a byte less than n", Bit Twiddling Hacks).
  private mutating func skipPlainText() {
    let bytes = UnsafeRawBufferPointer(text)
    let ones: UInt64 = 0x0101_0101_0101_0101
    let highest: UInt64 = 0x8080_8080_8080_8080
    while offset + 8 <= bytes.count {
      let word = UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
      let quote = word ^ ones &* UInt64(UInt8(ascii: "\""))
      let backslash = word ^ ones &* UInt64(UInt8(ascii: "\\"))
      let control = (word &- ones &* 0x20) & ~word
      let hits = (word | control | (quote &- ones) & ~quote | (backslash &- ones) & ~backslash) & highest
      guard hits == 0 else {
        offset += hits.trailingZeroBitCount >> 3
        return
      }
      offset += 8
    }
  }

  private mutating func escape() throws(JSONSyntaxError) {
    guard offset + 1 < text.count else { throw failure("the text ends inside a string") }
    switch text[offset + 1] {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"), UInt8(ascii: "b"), UInt8(ascii: "f"),
      UInt8(ascii: "n"), UInt8(ascii: "r"), UInt8(ascii: "t"):
      offset += 2
    case UInt8(ascii: "u"):
      guard offset + 6 <= text.count, text[offset + 2..<offset + 6].allSatisfy(isHexDigit) else {
        throw failure("\\u needs four hex digits")
      }
      offset += 6
    default: throw failure("unknown escape in a string")
    }
  }

  /// Well-formed UTF-8 by table 3-7 of the Unicode standard.
  private mutating func multibyte() throws(JSONSyntaxError) {
    let lead = text[offset]
    let length: Int
    var second: ClosedRange<UInt8> = 0x80...0xbf
    switch lead {
    case 0xc2...0xdf: length = 2
    case 0xe0: (length, second) = (3, 0xa0...0xbf)
    case 0xed: (length, second) = (3, 0x80...0x9f)
    case 0xe1...0xef: length = 3
    case 0xf0: (length, second) = (4, 0x90...0xbf)
    case 0xf4: (length, second) = (4, 0x80...0x8f)
    case 0xf1...0xf3: length = 4
    default: throw failure("invalid UTF-8")
    }
    guard offset + length <= text.count, second.contains(text[offset + 1]) else { throw failure("invalid UTF-8") }
    for index in 2..<max(2, length) where text[offset + index] & 0xc0 != 0x80 { throw failure("invalid UTF-8") }
    offset += length
  }

  private mutating func word(_ word: StaticString) throws(JSONSyntaxError) {
    let count = word.utf8CodeUnitCount
    guard offset + count <= text.count else { throw failure("the text ends inside a value") }
    for index in 0..<count where text[offset + index] != word.utf8Start[index] {
      throw failure("unexpected \(shown(text[offset]))")
    }
    offset += count
  }

  private mutating func number() throws(JSONSyntaxError) {
    if text[offset] == UInt8(ascii: "-") { offset += 1 }
    if offset < text.count, text[offset] == UInt8(ascii: "0") { offset += 1 } else { try digits() }
    if offset < text.count, text[offset] == UInt8(ascii: ".") {
      offset += 1
      try digits()
    }
    if offset < text.count, text[offset] | 0x20 == UInt8(ascii: "e") {
      offset += 1
      if offset < text.count, text[offset] == UInt8(ascii: "+") || text[offset] == UInt8(ascii: "-") { offset += 1 }
      try digits()
    }
  }

  private mutating func digits() throws(JSONSyntaxError) {
    let start = offset
    while offset < text.count, (0x30...0x39).contains(text[offset]) { offset += 1 }
    guard offset > start else { throw failure("a digit is missing in a number") }
  }

  private func shown(_ byte: UInt8) -> String {
    (0x21...0x7e).contains(byte) ? "\"\(Character(Unicode.Scalar(byte)))\"" : "byte \(byte)"
  }
}

private func isHexDigit(_ byte: UInt8) -> Bool {
  (0x30...0x39).contains(byte) || (0x41...0x46).contains(byte) || (0x61...0x66).contains(byte)
}
