// SPDX-License-Identifier: Apache-2.0

/// One answer of Redis.
package enum RedisReply: Sendable, Equatable {
  case null
  case integer(Int64)
  case status(String)
  case bulk([UInt8])
  case array([RedisReply])
  case error(String)

  /// The number, also where Redis sends it as text.
  package var integerValue: Int64? {
    switch self {
    case .integer(let value): value
    case .bulk(let bytes): Int64(String(decoding: bytes, as: UTF8.self))
    default: nil
    }
  }

  package var bulkValue: [UInt8]? {
    if case .bulk(let bytes) = self { bytes } else { nil }
  }

  package var textValue: String? {
    switch self {
    case .bulk(let bytes): String(decoding: bytes, as: UTF8.self)
    case .status(let text): text
    default: nil
    }
  }

  package var arrayValue: [RedisReply]? {
    if case .array(let elements) = self { elements } else { nil }
  }
}
