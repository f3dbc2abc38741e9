// SPDX-License-Identifier: Apache-2.0
import PluginHTTP
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
  /// An answer that is not complete after so long has failed, however lively it is; `1h` if absent.
  let timeout: Duration

  private enum CodingKeys: String, CodingKey {
    case endpoint, model, apiKey, connectTimeout, stallTimeout, timeout
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
    connectTimeout = try values.durationIfPresent(forKey: .connectTimeout) ?? .seconds(10)
    stallTimeout = try values.durationIfPresent(forKey: .stallTimeout) ?? .seconds(60)
    timeout = try values.durationIfPresent(forKey: .timeout) ?? .seconds(3600)
  }
}
