// SPDX-License-Identifier: Apache-2.0
import RoostPlugin

/// Where the model is and how long to wait for it.
struct ArticleSettings: Decodable, Sendable {
  /// The API's base, as in `https://api.example.com/v1`.
  let endpoint: String
  let model: String
  /// Sent as a bearer token, said nowhere else; empty: none is sent.
  let apiKey: String
  /// A connection that takes longer has failed; `10s` if absent.
  let connectTimeout: Duration
  /// An answer that sends nothing for so long has failed; `60s` if absent.
  let stallTimeout: Duration

  private enum CodingKeys: String, CodingKey {
    case endpoint, model, apiKey, connectTimeout, stallTimeout
  }

  init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: CodingKeys.self)
    var endpoint = try values.decode(String.self, forKey: .endpoint)
    while endpoint.utf8.last == UInt8(ascii: "/") { endpoint.removeLast() }
    guard endpoint.hasPrefix("http://") || endpoint.hasPrefix("https://") else {
      throw TaskRejection("settings.endpoint: must begin with http:// or https://, as in https://api.example.com/v1")
    }
    self.endpoint = endpoint
    model = try values.decode(String.self, forKey: .model)
    guard !model.isEmpty else { throw TaskRejection("settings.model: empty; name the model that writes") }
    apiKey = try values.decodeIfPresent(String.self, forKey: .apiKey) ?? ""
    guard apiKey.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else {
      throw TaskRejection("settings.apiKey: contains a space, a line break or a letter that no header may hold")
    }
    connectTimeout = try Self.duration(.connectTimeout, in: values) ?? .seconds(10)
    stallTimeout = try Self.duration(.stallTimeout, in: values) ?? .seconds(60)
  }

  /// A duration as config writes them: `500ms`, `10s`, `5m`.
  private static func duration(
    _ key: CodingKeys, in values: KeyedDecodingContainer<CodingKeys>
  ) throws -> Duration? {
    guard let text = try values.decodeIfPresent(String.self, forKey: key) else { return nil }
    let digits = text.prefix { $0.isASCII && $0.isNumber }
    let units = ["ms": 1, "s": 1000, "m": 60_000]
    guard let number = Int(digits), number > 0, number < 1_000_000,
      let unit = units[String(text.dropFirst(digits.count))]
    else { throw TaskRejection("settings.\(key.stringValue): \"\(text)\" is no duration; write it as \"60s\"") }
    return .milliseconds(number * unit)
  }
}
