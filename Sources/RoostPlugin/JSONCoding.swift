// SPDX-License-Identifier: Apache-2.0
internal import FoundationEssentials

/// Decodes a whole JSON value from bytes that need to live only during the call.
func decodeJSON<Value: Decodable>(_ type: Value.Type, from bytes: UnsafeRawBufferPointer) throws -> Value {
  if type == RawJSON.self, let raw = RawJSON(Array(bytes)) as? Value { return raw }
  guard let start = bytes.baseAddress else { return try JSONDecoder().decode(type, from: Data()) }
  // Not copied: the decoder is done with the bytes when it returns.
  let data = Data(bytesNoCopy: UnsafeMutableRawPointer(mutating: start), count: bytes.count, deallocator: .none)
  return try JSONDecoder().decode(type, from: data)
}

/// The JSON of a value, as compact as JSONEncoder writes it.
func encodeJSON(_ value: some Encodable) throws -> [UInt8] {
  if let raw = value as? RawJSON { return raw.bytes }
  let encoder = JSONEncoder()
  encoder.outputFormatting = .withoutEscapingSlashes
  return [UInt8](try encoder.encode(value))
}

/// What went wrong, for people: `params.items[2].name: missing` for a decoding error of the value called `root`.
func explain(_ error: any Error, root: String) -> String {
  switch error {
  case DecodingError.keyNotFound(let key, let context):
    "\(path(context.codingPath + [key], root: root)): missing"
  case DecodingError.valueNotFound(let type, let context):
    "\(path(context.codingPath, root: root)): expected \(kind(of: type)), found null"
  case DecodingError.typeMismatch(let type, let context):
    "\(path(context.codingPath, root: root)): \(inPlainWords(context.debugDescription, expected: type))"
  case DecodingError.dataCorrupted(let context):
    "\(path(context.codingPath, root: root)): \(inPlainWords(context.debugDescription))"
  case EncodingError.invalidValue(_, let context):
    "\(path(context.codingPath, root: root)): \(context.debugDescription)"
  default:
    String(describing: error)
  }
}

/// Foundation's and Swift's own words for whoever made the JSON; those of other code stay as they are.
private func inPlainWords(_ text: String, expected type: (any Any.Type)? = nil) -> String {
  if let type, text.isEmpty || text.hasPrefix("Expected to decode") { return "expected \(kind(of: type))" }
  // The host passes nothing that is not JSON: it is the decoder that cannot hold a value, and it does not say where.
  if text.hasPrefix("The given data was not valid JSON") {
    return "a number is not whole or too large for its place, or a string has an escape that is no character"
  }
  if text.hasPrefix("Cannot initialize "), let words = text.firstRange(of: " from invalid "),
    let value = text[words.upperBound...].firstRange(of: " value ")
  {
    return "\"\(text[value.upperBound...])\" is none of its values"
  }
  return text
}

/// What a Swift type is in JSON.
private func kind(of type: any Any.Type) -> String {
  switch type {
  case is any FixedWidthInteger.Type: "a whole number"
  case is any BinaryFloatingPoint.Type, is Decimal.Type: "a number"
  case is String.Type: "a string"
  case is Bool.Type: "true or false"
  case is [Any].Type: "an array"
  case is [String: Any].Type: "an object"
  default: "\(type)"
  }
}

private func path(_ keys: [any CodingKey], root: String) -> String {
  keys.reduce(into: root) { text, key in
    if let index = key.intValue {
      text += "[\(index)]"
    } else {
      text += ".\(key.stringValue)"
    }
  }
}
