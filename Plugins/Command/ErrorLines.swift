// SPDX-License-Identifier: Apache-2.0
import RoostPlugin

/// Standard error, line by line: `progress 0.4 note` is progress, everything else goes to the log and is kept for the failure.
struct ErrorLines {
  private static let keptLines = 20
  /// A longer line is cut here, so that a program without newlines cannot fill memory.
  private static let lineLimit = 4096
  /// More lines of one attempt than these are not logged, so that a program gone wild cannot fill the disk.
  private static let loggedLines = 1000

  private let context: TaskContext
  private var line: [UInt8] = []
  private var kept: [String] = []
  private var logged = 0

  init(_ context: TaskContext) {
    self.context = context
  }

  /// The last lines that were not progress.
  var lastWords: String { kept.joined(separator: "\n") }

  mutating func append(_ bytes: UnsafeRawBufferPointer) {
    var rest = bytes[...]
    while let newline = rest.firstIndex(of: UInt8(ascii: "\n")) {
      take(rest[..<newline])
      endLine()
      rest = rest[(newline + 1)...]
    }
    take(rest)
  }

  /// Ends a last line without newline.
  mutating func close() {
    if !line.isEmpty { endLine() }
  }

  private mutating func take(_ bytes: Slice<UnsafeRawBufferPointer>) {
    line.append(contentsOf: bytes.prefix(Self.lineLimit - line.count))
  }

  private mutating func endLine() {
    defer { line.removeAll(keepingCapacity: true) }
    if line.last == UInt8(ascii: "\r") { line.removeLast() }
    let text = String(decoding: line, as: UTF8.self)
    if let (fraction, note) = Self.progress(in: text) {
      context.progress(fraction, note)
    } else {
      log(text)
      if kept.count == Self.keptLines { kept.removeFirst() }
      kept.append(text)
    }
  }

  private mutating func log(_ text: String) {
    logged += 1
    if logged <= Self.loggedLines {
      context.log(text)
    } else if logged == Self.loggedLines + 1 {
      context.log("more than \(Self.loggedLines) lines: the rest of this attempt's is not logged", level: .warning)
    }
  }

  /// `progress`, a number, and after another space anything.
  private static func progress(in line: String) -> (Double, String)? {
    let parts = line.split(separator: " ", maxSplits: 2, omittingEmptySubsequences: false)
    guard parts.count >= 2, parts[0] == "progress", let fraction = Double(parts[1]), fraction.isFinite else {
      return nil
    }
    return (fraction, parts.count == 3 ? String(parts[2]) : "")
  }
}
