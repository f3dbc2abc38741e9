// SPDX-License-Identifier: Apache-2.0
import CCurl
import PluginHTTP
import RoostPlugin

/// Where outcomes are posted to, and how they are signed.
struct WebhookSettings: Decodable, Sendable {
  /// Whole, so it may hold a password or a token: never part of a message.
  let url: String
  /// The host, with the port if the URL names one: what messages call the receiver.
  let receiver: String
  /// Absent: posts are not signed.
  let key: SigningKey?
  /// Whether an address that is not public may be posted to; true if absent.
  let allowPrivate: Bool
  /// A post that is not answered after so long has failed; `30s` if absent.
  let timeout: Duration

  private enum CodingKeys: String, CodingKey, CaseIterable {
    case url, secret, allowPrivate, timeout
  }

  private struct AnyKey: CodingKey {
    let stringValue: String
    var intValue: Int? { nil }
    init(stringValue: String) { self.stringValue = stringValue }
    init?(intValue: Int) { nil }
  }

  init(from decoder: any Decoder) throws {
    // A misspelled "secret" or "allowPrivate" must not pass for an absent one.
    for key in try decoder.container(keyedBy: AnyKey.self).allKeys where CodingKeys(stringValue: key.stringValue) == nil
    {
      let known = CodingKeys.allCases.map(\.stringValue).joined(separator: ", ")
      throw TaskRejection("settings.\(key.stringValue): unknown; there are \(known)")
    }
    let values = try decoder.container(keyedBy: CodingKeys.self)
    url = try values.decode(String.self, forKey: .url)
    receiver = try hostAndPort(of: url)
    key = try values.decodeIfPresent(String.self, forKey: .secret).map { try SigningKey($0) }
    allowPrivate = try values.decodeIfPresent(Bool.self, forKey: .allowPrivate) ?? true
    timeout = try values.durationIfPresent(forKey: .timeout) ?? .seconds(30)
  }
}

/// The host and port of a URL that can be posted to, as libcurl itself reads it.
private func hostAndPort(of url: String) throws(TaskRejection) -> String {
  guard let parsed = curl_url() else { throw TaskRejection("out of memory") }
  defer { curl_url_cleanup(parsed) }
  func part(_ part: CURLUPart) -> String? {
    var text: UnsafeMutablePointer<CChar>?
    guard curl_url_get(parsed, part, &text, 0) == CURLUE_OK, let text else { return nil }
    defer { curl_free(text) }
    return String(cString: text)
  }
  guard curl_url_set(parsed, CURLUPART_URL, url, UInt32(CURLU_NON_SUPPORT_SCHEME)) == CURLUE_OK,
    let scheme = part(CURLUPART_SCHEME), scheme == "http" || scheme == "https",
    let host = part(CURLUPART_HOST), !host.isEmpty
  else {
    throw TaskRejection("settings.url: no http:// or https:// URL; write it as https://example.com/hooks")
  }
  return part(CURLUPART_PORT).map { "\(host):\($0)" } ?? host
}
