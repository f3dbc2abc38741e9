// SPDX-License-Identifier: Apache-2.0

/// One command with its arguments, gathered in one buffer so that an argument costs no object.
package struct RedisCommand: Sendable {
  private(set) var bytes: [UInt8] = []
  private(set) var lengths: [Int] = []

  package init(_ name: String, capacity: Int = 128) {
    bytes.reserveCapacity(capacity)
    add(name)
  }

  /// A command of a few words.
  package init(words: String...) {
    for word in words { add(word) }
  }

  /// Bytes gathered so far.
  package var byteCount: Int { bytes.count }

  package mutating func add(_ text: String) {
    let before = bytes.count
    bytes.append(contentsOf: text.utf8)
    lengths.append(bytes.count - before)
  }

  package mutating func add(_ text: [UInt8]) {
    bytes.append(contentsOf: text)
    lengths.append(text.count)
  }

  package mutating func add(_ text: ArraySlice<UInt8>) {
    bytes.append(contentsOf: text)
    lengths.append(text.count)
  }

  package mutating func add(_ number: Int64) { add(String(number)) }

  /// An argument that is written piece by piece into the buffer.
  package mutating func add(writing body: (inout [UInt8]) -> Void) {
    let before = bytes.count
    body(&bytes)
    lengths.append(bytes.count - before)
  }
}
