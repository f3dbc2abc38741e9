// SPDX-License-Identifier: Apache-2.0
internal import TaskModel

/// What one reading of a config file gathers beside the values; used by one thread.
final class ConfigReport {
  let text: [UInt8]
  let environment: [String: String]
  /// Absolute; where relative paths start.
  let directory: String
  /// Every key that the reading asked for, with `*` for names that the user chooses, as in `types.*.threads`.
  private(set) var keys: Set<String> = []
  private var found: [(offset: Int, issue: ConfigIssue)] = []

  init(text: [UInt8], environment: [String: String], directory: String) {
    self.text = text
    self.environment = environment
    self.directory = directory
  }

  /// The issues in the order of the text.
  var issues: [ConfigIssue] {
    found.enumerated().sorted { ($0.element.offset, $0.offset) < ($1.element.offset, $1.offset) }.map(\.element.issue)
  }

  func add(_ path: String, _ message: String, at offset: Int) {
    let (line, column) = position(of: offset)
    found.append((offset, ConfigIssue(path: path, message: message, line: line, column: column)))
  }

  func noteKey(_ pattern: String) {
    keys.insert(pattern)
  }

  /// A path of the config as an absolute one.
  func absolute(_ path: String) -> String {
    if path.hasPrefix("/") { return path }
    var rest = path[...]
    while rest.hasPrefix("./") { rest = rest.dropFirst(2).drop { $0 == "/" } }
    if rest.isEmpty || rest == "." { return directory }
    return directory == "/" ? "/\(rest)" : "\(directory)/\(rest)"
  }

  /// Line and column of a byte, both counted from 1, the column in characters.
  func position(of offset: Int) -> (line: Int, column: Int) {
    let before = text[..<min(offset, text.count)]
    let start = before.lastIndex(of: 0x0a).map { $0 + 1 } ?? 0
    let line = before.count { $0 == 0x0a } + 1
    return (line, before[start...].count { $0 & 0xc0 != 0x80 } + 1)
  }
}
