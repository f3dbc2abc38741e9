// SPDX-License-Identifier: Apache-2.0
internal import Logging
internal import TaskModel
internal import TaskStore

/// The lines that an attempt has logged and that are not written yet; however many come, it stays small.
struct TaskLog: Sendable {
  fileprivate struct Line: Sendable {
    var at: Int64
    var level: Log.Level
    var message: String
  }

  /// Lines that a record keeps.
  static let limit = 100
  /// Bytes of a message that are kept.
  static let messageLimit = 1024
  /// As many left out lines are told of; fewer are what the limit of a record means.
  static let flood = 1000

  private var lines: [Line] = []
  private var leftOut = 0

  var isEmpty: Bool { lines.isEmpty }

  /// Adds a line of a moment of the monotonic clock.
  mutating func add(_ level: Log.Level, _ message: String, at: Int64) {
    // Half of the lines go at once, so that one costs nothing.
    if lines.count == 2 * Self.limit {
      lines.removeFirst(Self.limit)
      leftOut += Self.limit
    }
    lines.append(Line(at: at, level: level, message: message.prefixed(byBytes: Self.messageLimit)))
  }

  /// The last lines, each a JSON object, by Redis' clock.
  func json(_ clock: RedisClock) -> [[UInt8]] {
    var last = lines.suffix(Self.limit)
    let leftOut = leftOut + lines.count - last.count
    var json: [[UInt8]] = []
    if leftOut >= Self.flood, let first = last.popFirst() {
      json.append(
        Line(at: first.at, level: .warning, message: "\(leftOut + 1) lines before this were left out").json(clock))
    }
    return json + last.map { $0.json(clock) }
  }
}

extension TaskLog.Line {
  fileprivate func json(_ clock: RedisClock) -> [UInt8] {
    var writer = JSONWriter()
    writer.beginObject()
    writer.member("at", clock.time(at: at).iso8601)
    writer.member("level", level.name)
    writer.member("message", message)
    writer.endObject()
    return writer.bytes
  }
}
