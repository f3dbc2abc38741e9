// SPDX-License-Identifier: Apache-2.0
internal import TaskModel

/// JSON of the host that is looked into and handed on as bytes.
struct Document {
  private let text: [UInt8]
  private let node: JSONNode

  /// Nil when the text is not JSON.
  init?(_ text: [UInt8]) {
    guard let node = try? JSONNode.parse(text) else { return nil }
    self.init(text: text, node: node)
  }

  private init(text: [UInt8], node: JSONNode) {
    self.text = text
    self.node = node
  }

  subscript(_ name: String) -> Document? {
    members.last { $0.name == name }?.value
  }

  var members: [(name: String, value: Document)] {
    guard case .object(let members) = node.content else { return [] }
    return members.map { ($0.name, Document(text: text, node: $0.value)) }
  }

  var elements: [Document] {
    guard case .array(let elements) = node.content else { return [] }
    return elements.map { Document(text: text, node: $0) }
  }

  var string: String? {
    guard case .string(let string) = node.content else { return nil }
    return string
  }

  var number: Double? {
    guard case .number(let number) = node.content else { return nil }
    return Double(number)
  }

  /// The bytes as the host sent them.
  var bytes: [UInt8] { Array(text[node.range]) }
}
