// SPDX-License-Identifier: Apache-2.0
internal import CRoost

/// One JSON value as bytes, for executors that take or give JSON without parsing it.
///
/// It stands for whole params, a whole result or whole settings, not for a member inside another type.
public struct RawJSON: Codable, Sendable, Hashable {
  /// The UTF-8 text of the value.
  public var bytes: [UInt8]

  /// JSON that somebody else wrote; the host checks it.
  public init(_ bytes: [UInt8]) {
    self.bytes = bytes
  }

  /// The JSON of a value.
  public init(encoding value: some Encodable) throws {
    bytes = try encodeJSON(value)
  }

  /// The value `null`.
  public static let null = RawJSON(Array("null".utf8))

  /// Decodes the value.
  public func decode<Value: Decodable>(as type: Value.Type = Value.self) throws -> Value {
    try bytes.withUnsafeBytes { try decodeJSON(type, from: $0) }
  }

  /// Always throws: inside another type the original bytes are not at hand.
  public init(from decoder: any Decoder) throws {
    throw DecodingError.dataCorrupted(
      .init(codingPath: decoder.codingPath, debugDescription: "RawJSON stands for a whole value, not for a member"))
  }

  /// Always throws: an encoder cannot be given finished bytes.
  public func encode(to encoder: any Encoder) throws {
    throw EncodingError.invalidValue(
      self,
      .init(codingPath: encoder.codingPath, debugDescription: "RawJSON stands for a whole value, not for a member"))
  }
}

extension RawJSON {
  /// A copy of bytes that belong to the host.
  init(copying bytes: roost_bytes) {
    self.init(Array(bytes.buffer))
  }
}
