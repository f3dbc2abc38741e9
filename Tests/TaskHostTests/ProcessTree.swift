// SPDX-License-Identifier: Apache-2.0
import Foundation

/// A process as /proc shows it.
struct ProcessEntry: Sendable, Equatable {
  var pid: pid_t
  var parent: pid_t
  /// `Z`: ended, and nobody has waited for it.
  var state: String
  var command: String
}

/// All that descends from a process just now, zombies too.
func descendants(of root: pid_t) throws -> [ProcessEntry] {
  let all = try FileManager.default.contentsOfDirectory(atPath: "/proc").compactMap { pid_t($0) }.compactMap(entry)
  let children = Dictionary(grouping: all, by: \.parent)
  var found: [ProcessEntry] = []
  var waiting = children[root] ?? []
  while let next = waiting.popLast() {
    found.append(next)
    waiting += children[next.pid] ?? []
  }
  return found
}

/// Nil when it has gone meanwhile.
private func entry(_ pid: pid_t) -> ProcessEntry? {
  // The name in parentheses may hold anything, so the fields are counted from its end.
  guard let text = try? String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8),
    let start = text.firstIndex(of: "("), let end = text.lastIndex(of: ")")
  else { return nil }
  let fields = text[text.index(after: end)...].split(separator: " ")
  guard fields.count > 1, let parent = pid_t(fields[1]) else { return nil }
  return ProcessEntry(
    pid: pid, parent: parent, state: String(fields[0]), command: String(text[text.index(after: start)..<end]))
}
