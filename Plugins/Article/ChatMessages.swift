// SPDX-License-Identifier: Apache-2.0

/// The body of `POST /chat/completions`, as far as it is needed here.
struct ChatRequest: Encodable {
  struct Message: Encodable {
    let role: String
    let content: String
  }
  let model: String
  let messages: [Message]
  let stream: Bool
}

/// One event of the answer, as far as it is needed here.
struct ChatChunk: Decodable {
  struct Choice: Decodable {
    let index: Int?
    let delta: Delta?
    let finishReason: String?

    private enum CodingKeys: String, CodingKey {
      case index, delta
      case finishReason = "finish_reason"
    }
  }
  struct Delta: Decodable {
    let content: String?
  }
  let model: String?
  let choices: [Choice]?
  let usage: JSONValue?
  let error: ChatError?
}

/// What a refused request or a failing stream says: `{"error": {"message"}}`, or `{"error": "text"}` with some servers.
struct ChatError: Decodable {
  let message: String

  private enum CodingKeys: String, CodingKey { case message }

  init(from decoder: any Decoder) throws {
    if let text = try? decoder.singleValueContainer().decode(String.self) {
      message = text
    } else {
      message = try decoder.container(keyedBy: CodingKeys.self).decode(String.self, forKey: .message)
    }
  }
}

/// Any JSON value, to hand on what is not looked at.
enum JSONValue: Codable, Sendable, Equatable {
  case bool(Bool)
  case integer(Int64)
  case number(Double)
  case text(String)
  case array([JSONValue])
  case object([String: JSONValue])
  case null

  init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    if container.decodeNil() {
      self = .null
    } else if let value = try? container.decode(Bool.self) {
      self = .bool(value)
    } else if let value = try? container.decode(Int64.self) {
      self = .integer(value)
    } else if let value = try? container.decode(Double.self) {
      self = .number(value)
    } else if let value = try? container.decode(String.self) {
      self = .text(value)
    } else if let value = try? container.decode([JSONValue].self) {
      self = .array(value)
    } else {
      self = .object(try container.decode([String: JSONValue].self))
    }
  }

  func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    switch self {
    case .bool(let value): try container.encode(value)
    case .integer(let value): try container.encode(value)
    case .number(let value): try container.encode(value)
    case .text(let value): try container.encode(value)
    case .array(let value): try container.encode(value)
    case .object(let value): try container.encode(value)
    case .null: try container.encodeNil()
    }
  }
}
