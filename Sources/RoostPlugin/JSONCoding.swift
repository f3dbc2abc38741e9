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
    "\(path(context.codingPath, root: root)): expected \(type), found null"
  case DecodingError.typeMismatch(_, let context), DecodingError.dataCorrupted(let context):
    "\(path(context.codingPath, root: root)): \(context.debugDescription)"
  case EncodingError.invalidValue(_, let context):
    "\(path(context.codingPath, root: root)): \(context.debugDescription)"
  default:
    String(describing: error)
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
