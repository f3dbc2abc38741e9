// SPDX-License-Identifier: Apache-2.0
internal import TaskModel

/// A task's progress as one line of a terminal.
struct ProgressBar {
  let status: String
  /// From 0 to 1; nil: not known.
  let fraction: Double?
  let note: String
  /// When it is due, in place of the bar, and what its last attempt failed with.
  private let due: String?

  init(record: Record) {
    status = record.status.rawValue
    fraction = record.status == .completed ? 1 : record.fraction
    note = record.status.isFinal ? "" : record.note
    due = record.due.map { time in
      ["due \(time)", Terminal.printable(record.failure)].filter { !$0.isEmpty }.joined(separator: " ")
    }
  }

  /// `IN_PROGRESS  ━━━━━━━━────────  40% drafting`, never wider than `width` columns.
  func line(width: Int) -> String {
    // The last column stays free: some terminals wrap when it is written.
    let columns = max(0, width - 1)
    let name = status + String(repeating: " ", count: max(0, 11 - status.count))
    if let due { return Terminal.cut("\(name) \(due)", to: columns) }
    let percent = fraction.map(Self.percent) ?? ""
    let barWidth = min(40, columns - name.count - 7)
    guard barWidth >= 4 else { return Terminal.cut("\(status) \(percent)", to: columns) }
    let filled = Int((fraction ?? 0) * Double(barWidth))
    let bar = String(repeating: "━", count: filled) + String(repeating: "─", count: barWidth - filled)
    let head = "\(Terminal.coloured(name, as: status)) \(Terminal.coloured(bar, as: status))"
    let used = name.count + 1 + barWidth
    var tail = " \(String(repeating: " ", count: max(0, 4 - percent.count)))\(percent)"
    if !note.isEmpty { tail += " \(Terminal.printable(note))" }
    return head + Terminal.cut(tail, to: columns - used)
  }

  /// `40%`, rounded down so that 100% means done.
  static func percent(_ fraction: Double) -> String { "\(Int(fraction * 100))%" }
}
