// SPDX-License-Identifier: Apache-2.0
package import TaskModel

/// One thing wrong with a config, and where.
package struct ConfigIssue: Sendable, Equatable {
  /// The place in the document, as in `types.article.threads`; empty: the document as a whole.
  package let path: String
  package let message: String
  /// Counted from 1 in characters; nil when there is no text to point into.
  package let line: Int?
  package let column: Int?

  package init(path: String, message: String, line: Int? = nil, column: Int? = nil) {
    self.path = path
    self.message = message
    self.line = line
    self.column = column
  }
}

/// Everything wrong with a config file at once, in the order of the text.
package struct ConfigErrors: Error, Sendable, Equatable, CustomStringConvertible {
  /// The file as it was named.
  package let file: String
  package let issues: [ConfigIssue]
  /// What could be read all the same, with defaults in place of what is wrong, to look for more; nil: nothing.
  package let readable: Config?

  package init(file: String, issues: [ConfigIssue], readable: Config? = nil) {
    self.file = file
    self.issues = issues
    self.readable = readable
  }

  /// One line per issue, as in `config.json:12:5: types.a.threads: 0 is out of range; allowed are 1 to 1024`.
  package var lines: [String] {
    issues.map { issue in
      var place = file
      if let line = issue.line, let column = issue.column { place += ":\(line):\(column)" }
      return place + ": " + (issue.path.isEmpty ? "" : "\(issue.path): ") + issue.message
    }
  }

  package var description: String { lines.joined(separator: "\n") }
}

extension [ConfigIssue] {
  /// Writes them as an array of objects with `path`, `message` and, where the text is known, `line` and `column`.
  package func write(to writer: inout JSONWriter) {
    writer.beginArray()
    for issue in self {
      writer.beginObject()
      writer.member("path", issue.path)
      writer.member("message", issue.message)
      if let line = issue.line { writer.member("line", Int64(line)) }
      if let column = issue.column { writer.member("column", Int64(column)) }
      writer.endObject()
    }
    writer.endArray()
  }
}
