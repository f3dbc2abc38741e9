// SPDX-License-Identifier: Apache-2.0

/// One command with its arguments, gathered in one buffer as they are sent, so that an argument costs no object.
package struct RedisCommand: Sendable {
  /// The arguments, each a bulk string of RESP: `$LENGTH`, line end, bytes, line end.
  private(set) var bytes: [UInt8] = []
  private(set) var count = 0

  package init(_ name: String, capacity: Int = 128) {
    bytes.reserveCapacity(capacity)
    add(name)
  }

  /// A command of a few words.
  package init(words: String...) {
    for word in words { add(word) }
  }

  package mutating func add(_ text: String) {
    var text = text
    text.withUTF8 { add(UnsafeRawBufferPointer($0)) }
  }

  package mutating func add(_ text: [UInt8]) { text.withUnsafeBytes { add($0) } }

  package mutating func add(_ text: ArraySlice<UInt8>) { text.withUnsafeBytes { add($0) } }

  package mutating func add(_ number: Int64) { add(String(number)) }

  private mutating func add(_ text: UnsafeRawBufferPointer) {
    count += 1
    appendLine(UInt8(ascii: "$"), text.count)
    bytes.append(contentsOf: text)
    appendLineEnd()
  }

  /// An argument that is written piece by piece into the buffer; cheapest when it is as long as expected.
  package mutating func add(expecting expected: Int = 200, writing body: (inout [UInt8]) -> Void) {
    let start = bytes.count
    appendLine(UInt8(ascii: "$"), expected)
    let before = bytes.count
    body(&bytes)
    let length = bytes.count - before
    count += 1
    if length != expected { correctLength(length, in: start + 1..<before - 2) }
    appendLineEnd()
  }

  private mutating func correctLength(_ length: Int, in range: Range<Int>) {
    var rest = length
    for index in range.reversed() {
      bytes[index] = digit(rest)
      rest /= 10
    }
    let hasAsMany = rest == 0 && (bytes[range.lowerBound] != digit(0) || range.count == 1)
    if !hasAsMany { bytes.replaceSubrange(range, with: String(length).utf8) }
  }

  /// What is sent before the arguments.
  var head: [UInt8] {
    var head = RedisCommand()
    head.appendLine(UInt8(ascii: "*"), count)
    return head.bytes
  }

  private mutating func appendLine(_ sign: UInt8, _ number: Int) {
    bytes.append(sign)
    if number >= 1000 { bytes.append(contentsOf: String(number / 1000).utf8) }
    if number >= 100 { bytes.append(digit(number / 100)) }
    if number >= 10 { bytes.append(digit(number / 10)) }
    bytes.append(digit(number))
    appendLineEnd()
  }

  private mutating func appendLineEnd() {
    bytes.append(0x0d)
    bytes.append(0x0a)
  }

  private func digit(_ number: Int) -> UInt8 { UInt8(ascii: "0") + UInt8(number % 10) }
}
