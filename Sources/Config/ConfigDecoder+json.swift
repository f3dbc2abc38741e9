// SPDX-License-Identifier: Apache-2.0
internal import TaskModel

extension ConfigDecoder {
  /// An object that is passed on as it was written, with the variables in its strings replaced; `{}` when absent.
  func settings(_ key: String) -> [UInt8] {
    if let node = value(key) {
      if case .object = node.content { return copy(of: node, at: path(of: key)) }
      wrongType(node, path(of: key), expected: "an object")
    }
    return Array("{}".utf8)
  }

  /// Any value in the same way; `null` when absent.
  func json(_ key: String) -> [UInt8] {
    value(key).map { copy(of: $0, at: path(of: key)) } ?? Array("null".utf8)
  }

  private func copy(of node: JSONNode, at path: String) -> [UInt8] {
    var copy = ValueCopy(report: report, end: node.range.lowerBound)
    copy.visit(node, path)
    return copy.finish(at: node.range.upperBound)
  }
}

/// Copies the text of a value and puts new strings where variables were.
private struct ValueCopy {
  let report: ConfigReport
  private var bytes: [UInt8] = []
  /// Everything before this offset has been copied.
  private var end: Int

  init(report: ConfigReport, end: Int) {
    self.report = report
    self.end = end
  }

  mutating func visit(_ node: JSONNode, _ path: String) {
    switch node.content {
    case .object(let members):
      reportDuplicates(of: members, at: path, to: report)
      for member in members { visit(member.value, "\(path).\(member.name)") }
    case .array(let elements):
      for (index, element) in elements.enumerated() { visit(element, "\(path)[\(index)]") }
    case .string(let text): replace(text, node, path)
    case .null, .bool, .number: break
    }
  }

  mutating func finish(at offset: Int) -> [UInt8] {
    bytes += report.text[end..<offset]
    return bytes
  }

  private mutating func replace(_ text: String, _ node: JSONNode, _ path: String) {
    do throws(ExpansionError) {
      let expanded = try expandVariables(in: text, from: report.environment)
      guard expanded != text else { return }
      var writer = JSONWriter()
      writer.string(expanded)
      bytes += report.text[end..<node.range.lowerBound]
      bytes += writer.bytes
      end = node.range.upperBound
    } catch {
      report.add(path, error.description, at: node.range.lowerBound)
    }
  }
}
