// SPDX-License-Identifier: Apache-2.0

/// One JSON value with its place in the text, for what is read rarely: configuration and request bodies.
package struct JSONNode: Sendable {
  package enum Content: Sendable {
    case null
    case bool(Bool)
    /// The number as it was written.
    case number(String)
    case string(String)
    case array([JSONNode])
    /// Members in their order, repeated names included.
    case object([Member])
  }

  package struct Member: Sendable {
    package let name: String
    /// Where the opening quote of the name stands.
    package let offset: Int
    package let value: JSONNode
  }

  package let content: Content
  /// The bytes of the value in the text, without white space around it.
  package let range: Range<Int>

  /// Reads one whole value.
  package static func parse(_ bytes: [UInt8]) throws(JSONSyntaxError) -> JSONNode {
    try bytes.withUnsafeBufferPointer { (buffer) throws(JSONSyntaxError) in
      // The whole check comes first, so that the recursion below is bounded by the scanner's depth limit.
      try JSONScanner.validate(buffer)
      var scanner = JSONScanner(buffer)
      return try node(&scanner, buffer)
    }
  }

  /// The kind of value as a person would name it.
  package var kind: String {
    switch content {
    case .null: "null"
    case .bool: "a boolean"
    case .number: "a number"
    case .string: "a string"
    case .array: "an array"
    case .object: "an object"
    }
  }

  private static func node(
    _ scanner: inout JSONScanner, _ text: UnsafeBufferPointer<UInt8>
  ) throws(JSONSyntaxError) -> JSONNode {
    let first = scanner.peek()
    let start = scanner.offset
    switch first {
    case UInt8(ascii: "{"):
      var members: [Member] = []
      _ = scanner.take(UInt8(ascii: "{"))
      while !scanner.take(UInt8(ascii: "}")) {
        _ = scanner.take(UInt8(ascii: ","))
        _ = scanner.peek()
        let offset = scanner.offset
        let name = unescaped(text[try scanner.string()])
        _ = scanner.take(UInt8(ascii: ":"))
        members.append(Member(name: name, offset: offset, value: try node(&scanner, text)))
      }
      return JSONNode(content: .object(members), range: start..<scanner.offset)
    case UInt8(ascii: "["):
      var elements: [JSONNode] = []
      _ = scanner.take(UInt8(ascii: "["))
      while !scanner.take(UInt8(ascii: "]")) {
        _ = scanner.take(UInt8(ascii: ","))
        elements.append(try node(&scanner, text))
      }
      return JSONNode(content: .array(elements), range: start..<scanner.offset)
    case UInt8(ascii: "\""):
      let content = try scanner.string()
      return JSONNode(content: .string(unescaped(text[content])), range: start..<scanner.offset)
    default:
      let range = try scanner.value()
      switch first {
      case UInt8(ascii: "t"): return JSONNode(content: .bool(true), range: range)
      case UInt8(ascii: "f"): return JSONNode(content: .bool(false), range: range)
      case UInt8(ascii: "n"): return JSONNode(content: .null, range: range)
      default: return JSONNode(content: .number(String(decoding: text[range], as: UTF8.self)), range: range)
      }
    }
  }

  /// The text of a string that was checked already, escapes replaced; a lone surrogate becomes U+FFFD.
  package static func unescaped(_ raw: Slice<UnsafeBufferPointer<UInt8>>) -> String {
    guard raw.contains(UInt8(ascii: "\\")) else { return String(decoding: raw, as: UTF8.self) }
    var units: [UInt16] = []
    var result = ""
    var rest = raw[...]
    func flush() {
      if !units.isEmpty { result += String(decoding: units, as: UTF16.self) }
      units.removeAll()
    }
    while let byte = rest.first {
      guard byte == UInt8(ascii: "\\") else {
        flush()
        let end = rest.firstIndex(of: UInt8(ascii: "\\")) ?? rest.endIndex
        result += String(decoding: rest[rest.startIndex..<end], as: UTF8.self)
        rest = rest[end...]
        continue
      }
      rest = rest.dropFirst()
      let escape = rest.removeFirst()
      switch escape {
      case UInt8(ascii: "u"):
        units.append(UInt16(String(decoding: rest.prefix(4), as: UTF8.self), radix: 16) ?? 0xfffd)
        rest = rest.dropFirst(4)
      case UInt8(ascii: "n"): units.append(0x0a)
      case UInt8(ascii: "r"): units.append(0x0d)
      case UInt8(ascii: "t"): units.append(0x09)
      case UInt8(ascii: "b"): units.append(0x08)
      case UInt8(ascii: "f"): units.append(0x0c)
      default: units.append(UInt16(escape))
      }
    }
    flush()
    return result
  }
}

extension JSONNode {
  /// The value of an object's member of this name, the last one if it is repeated.
  package subscript(name: String) -> JSONNode? {
    guard case .object(let members) = content else { return nil }
    return members.last { $0.name == name }?.value
  }

  package var text: String? {
    if case .string(let text) = content { text } else { nil }
  }

  package var integer: Int? {
    if case .number(let text) = content { Int(text) } else { nil }
  }

  package var boolean: Bool? {
    if case .bool(let value) = content { value } else { nil }
  }

  package var elements: [JSONNode]? {
    if case .array(let elements) = content { elements } else { nil }
  }
}
