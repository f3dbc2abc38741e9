// SPDX-License-Identifier: Apache-2.0

/// Takes server-sent events apart, from chunks that are cut anywhere: inside a line, a CR LF or a character.
struct EventParser {
  /// A longer event is an error, so that a stream without line breaks cannot fill memory.
  static let eventLimit = 4 << 20

  private var line: [UInt8] = []
  private var data: [UInt8]?
  private var lastWasReturn = false
  private var isFirstLine = true

  /// An event was longer than the limit.
  struct TooLong: Error {}

  /// Takes the next bytes and calls `event` with the data of each event that is complete.
  mutating func append(_ bytes: UnsafeRawBufferPointer, event: ([UInt8]) throws -> Void) throws {
    var rest = bytes[...]
    while let first = rest.first {
      if lastWasReturn {
        lastWasReturn = false
        if first == UInt8(ascii: "\n") {
          rest = rest.dropFirst()
          continue
        }
      }
      guard let end = rest.firstIndex(where: { $0 == UInt8(ascii: "\n") || $0 == UInt8(ascii: "\r") }) else {
        line.append(contentsOf: rest)
        break
      }
      line.append(contentsOf: rest[..<end])
      lastWasReturn = rest[end] == UInt8(ascii: "\r")
      rest = rest[(end + 1)...]
      try endLine(event)
    }
    guard line.count + (data?.count ?? 0) <= Self.eventLimit else { throw TooLong() }
  }

  /// Ends the stream; an event without the empty line after it is taken as it is.
  mutating func close(event: ([UInt8]) throws -> Void) throws {
    if !line.isEmpty { try endLine(event) }
    try endLine(event)
  }

  private mutating func endLine(_ event: ([UInt8]) throws -> Void) throws {
    defer { line.removeAll(keepingCapacity: true) }
    if isFirstLine {
      isFirstLine = false
      if line.starts(with: [0xEF, 0xBB, 0xBF]) { line.removeFirst(3) }
    }
    guard !line.isEmpty else {
      guard let complete = data else { return }
      data = nil
      return try event(complete)
    }
    let colon = line.firstIndex(of: UInt8(ascii: ":")) ?? line.endIndex
    // A line that begins with a colon is a comment; other fields than data say nothing here.
    guard line[..<colon].elementsEqual("data".utf8) else { return }
    var value = line[colon...].dropFirst()
    if value.first == UInt8(ascii: " ") { value = value.dropFirst() }
    data = data.map { $0 + [UInt8(ascii: "\n")] + value } ?? Array(value)
  }
}
