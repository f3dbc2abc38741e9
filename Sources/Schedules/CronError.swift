// SPDX-License-Identifier: Apache-2.0
internal import TaskModel

/// What is wrong with a cron expression, and what to write instead.
package struct CronError: Error, Sendable, Equatable, CustomStringConvertible {
  package let description: String

  init(_ cause: Cause) { description = cause.text }

  enum Cause {
    case fieldCount(Int, String)
    case nickname(String, among: [String])
    case emptyPart(CronFieldKind, String)
    case noValue(CronFieldKind, String)
    case outOfRange(CronFieldKind, String)
    case backwards(CronFieldKind, String, first: Int, last: Int)
    case badStep(CronFieldKind, String)
    case stepWithoutRange(CronFieldKind, String, first: Int, step: Int)
    case neverDue(String)

    fileprivate var text: String {
      switch self {
      case .fieldCount(let count, let text):
        "\"\(text)\" has \(count) field\(count == 1 ? "" : "s"); write five: minute, hour, day of month, month, day of week"
      case .nickname(let word, let known):
        "\"\(word)\" is not one of \(known.joined(separator: ", "))\(didYouMean(word, among: known))"
      case .emptyPart(let kind, let text):
        "\(kind.label) \"\(text)\" has nothing before or after a comma; allowed are \(kind.allowed)"
      case .noValue(let kind, let text):
        "\"\(text)\" is not a \(kind.label); allowed are \(kind.allowed)\(didYouMean(text, among: kind.names))"
      case .outOfRange(let kind, let text):
        "\(kind.label) \(text) is out of range; allowed are \(kind.allowed)"
      case .backwards(let kind, let text, let first, let last):
        "\(kind.label) \"\(text)\" runs backwards; "
          + "write \(first)-\(kind.range.upperBound),\(kind.range.lowerBound)-\(last)"
      case .badStep(let kind, let text):
        "\(kind.label) step \"\(text)\" is out of range; allowed are 1 to \(kind.count)"
      case .stepWithoutRange(let kind, let text, let first, let step):
        "\(kind.label) \"\(text)\" has a step and no range; write \(first)-\(kind.range.upperBound)/\(step)"
      case .neverDue(let text): "\"\(text)\" is never due: none of its months has such a day"
      }
    }
  }
}
