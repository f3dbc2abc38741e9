// SPDX-License-Identifier: Apache-2.0
internal import CSystemShims
internal import Glibc
internal import Synchronization
internal import Threading
internal import TaskModel

/// Writes the log, one line per event, to standard error or where it is told to; may be called from any thread.
package enum Log {
  package enum Level: Int, Sendable, Comparable, CaseIterable {
    case debug, info, warning, error

    package var name: String {
      switch self {
      case .debug: "debug"
      case .info: "info"
      case .warning: "warning"
      case .error: "error"
      }
    }

    package static func < (a: Level, b: Level) -> Bool { a.rawValue < b.rawValue }
  }

  package enum Format: String, Sendable {
    /// `text` in a terminal, `json` otherwise.
    case auto, text, json
  }

  private struct Settings {
    var level = Level.info
    var json = isatty(STDERR_FILENO) == 0
    /// Stands in every line, as in `host` or `worker article/1`.
    var source = "roost"
    var descriptor = STDERR_FILENO
  }

  private static let settings = Lock(Settings())

  package static func configure(level: Level, format: Format, source: String, descriptor: Int32 = STDERR_FILENO) {
    settings.withLock {
      $0.level = level
      $0.json = format == .json || format == .auto && isatty(descriptor) == 0
      $0.source = source
      $0.descriptor = descriptor
    }
  }

  package static func debug(_ message: @autoclosure () -> String, _ fields: KeyValuePairs<String, String> = [:]) {
    write(.debug, message, fields)
  }

  package static func info(_ message: @autoclosure () -> String, _ fields: KeyValuePairs<String, String> = [:]) {
    write(.info, message, fields)
  }

  package static func warning(_ message: @autoclosure () -> String, _ fields: KeyValuePairs<String, String> = [:]) {
    write(.warning, message, fields)
  }

  package static func error(_ message: @autoclosure () -> String, _ fields: KeyValuePairs<String, String> = [:]) {
    write(.error, message, fields)
  }

  /// Whether lines of the level are written.
  package static func shows(_ level: Level) -> Bool { settings.withLock { level >= $0.level } }

  package static func write(
    _ level: Level, _ message: () -> String, _ fields: KeyValuePairs<String, String> = [:]
  ) {
    write(level, message, fields: fields.map { ($0.key, $0.value) })
  }

  /// The same with fields that depend on the case.
  package static func write(_ level: Level, _ message: () -> String, fields: [(String, String)]) {
    let current = settings.withLock { ($0.level, $0.json, $0.source, $0.descriptor) }
    guard level >= current.0 else { return }
    var now = timespec()
    clock_gettime(CLOCK_REALTIME, &now)
    let time = Timestamp(millis: Int64(now.tv_sec) * 1000 + Int64(now.tv_nsec) / 1_000_000).iso8601
    var line =
      current.1
      ? jsonLine(time, level, current.2, message(), fields) : textLine(time, level, current.2, message(), fields)
    line.append(0x0a)
    // One write per line, so that lines of several processes on one pipe do not mix (up to PIPE_BUF).
    line.withUnsafeBytes { bytes in
      var rest = bytes[...]
      while !rest.isEmpty {
        let written = Glibc.write(current.3, UnsafeRawBufferPointer(rebasing: rest).baseAddress, rest.count)
        if written < 0, errno == EINTR { continue }
        guard written > 0 else { return }
        rest = rest.dropFirst(written)
      }
    }
  }

  private static func jsonLine(
    _ time: String, _ level: Level, _ source: String, _ message: String, _ fields: [(String, String)]
  ) -> [UInt8] {
    var writer = JSONWriter()
    writer.beginObject()
    writer.member("time", time)
    writer.member("level", level.name)
    writer.member("source", source)
    for (name, value) in fields { writer.member(name, value) }
    writer.member("message", message)
    writer.endObject()
    return writer.bytes
  }

  private static func textLine(
    _ time: String, _ level: Level, _ source: String, _ message: String, _ fields: [(String, String)]
  ) -> [UInt8] {
    let name = level.name.uppercased()
    let padding = String(repeating: " ", count: 8 - name.utf8.count)
    let tail = fields.map { " \($0.0)=\($0.1)" }.joined()
    // A message of somebody else must not forge a second line or move the cursor.
    let safe = (message + tail).unicodeScalars.map { $0.value < 0x20 || $0.value == 0x7f ? " " : String($0) }.joined()
    return Array("\(time) \(name)\(padding)\(source): \(safe)".utf8)
  }
}
