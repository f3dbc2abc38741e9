// SPDX-License-Identifier: Apache-2.0
internal import CHiredis

/// One answer of Redis.
package enum RedisReply: Sendable, Equatable {
  case null
  case integer(Int64)
  case status(String)
  case bulk([UInt8])
  case array([RedisReply])
  case error(String)

  /// Copies what hiredis parsed.
  init(_ reply: redisReply) {
    switch reply.type {
    case REDIS_REPLY_INTEGER: self = .integer(reply.integer)
    case REDIS_REPLY_STATUS: self = .status(Self.text(reply))
    case REDIS_REPLY_STRING: self = .bulk(Array(UnsafeRawBufferPointer(start: reply.str, count: Int(reply.len))))
    case REDIS_REPLY_ERROR: self = .error(Self.text(reply))
    case REDIS_REPLY_ARRAY:
      self = .array(
        (0..<Int(reply.elements)).map { index in
          guard let element = reply.element[index] else { return .null }
          return RedisReply(element.pointee)
        })
    default: self = .null
    }
  }

  private static func text(_ reply: redisReply) -> String {
    String(decoding: UnsafeRawBufferPointer(start: reply.str, count: Int(reply.len)), as: UTF8.self)
  }

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
