// SPDX-License-Identifier: Apache-2.0

/// Rows under headings, in columns as wide as their content.
struct Table {
  let headings: [String]
  private(set) var rows: [[String]] = []

  init(_ headings: [String]) {
    self.headings = headings
  }

  mutating func add(_ row: [String]) {
    rows.append(row.map(Terminal.printable))
  }

  /// The lines of the table; with a limit the last column is cut so that no line is wider.
  ///
  /// `decorate` gets each padded cell with its row and column, as for colours.
  func lines(
    limit: Int?, decorate: (_ cell: String, _ row: [String], _ column: Int) -> String = { cell, _, _ in cell }
  ) -> [String] {
    let all = [headings] + rows
    let widths = headings.indices.map { column in all.map { Terminal.width(of: $0[column]) }.max() ?? 0 }
    return all.enumerated().map { index, row in
      var left = limit ?? .max
      var line = ""
      for (column, cell) in row.enumerated() where left > 0 {
        let isLast = column == row.count - 1
        let shown = Terminal.cut(cell, to: left)
        let padding = isLast ? 0 : min(widths[column] + 2, left) - Terminal.width(of: shown)
        line += index == 0 ? shown : decorate(shown, row, column)
        line += String(repeating: " ", count: max(0, padding))
        left -= Terminal.width(of: shown) + max(0, padding)
      }
      while line.last == " " { line.removeLast() }
      return line
    }
  }
}
