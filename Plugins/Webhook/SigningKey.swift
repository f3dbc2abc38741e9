// SPDX-License-Identifier: Apache-2.0
import CGnuTLS
import FoundationEssentials
import RoostPlugin

/// What receivers check signatures with, as Standard Webhooks has it.
struct SigningKey: Sendable {
  private let bytes: [UInt8]

  /// Takes `whsec_` and base64, or any other text, whose UTF-8 bytes are the key.
  init(_ secret: String) throws(TaskRejection) {
    let prefix = "whsec_"
    if secret.hasPrefix(prefix) {
      guard let key = Data(base64Encoded: String(secret.dropFirst(prefix.count))), !key.isEmpty else {
        throw TaskRejection("settings.secret: what follows whsec_ is not base64")
      }
      bytes = [UInt8](key)
    } else {
      guard !secret.isEmpty else {
        throw TaskRejection("settings.secret: empty; leave it out to post without a signature")
      }
      bytes = Array(secret.utf8)
    }
  }

  /// The value of `webhook-signature`: version 1, HMAC-SHA-256 of `id.timestamp.body`.
  func signature(id: String, timestamp: Int, body: [UInt8]) throws(TaskFailure) -> String {
    let text = Array("\(id).\(timestamp).".utf8) + body
    var digest = [UInt8](repeating: 0, count: 32)
    let code = gnutls_hmac_fast(GNUTLS_MAC_SHA256, bytes, bytes.count, text, text.count, &digest)
    guard code >= 0 else { throw TaskFailure("GnuTLS cannot sign: \(String(cString: gnutls_strerror(code)))") }
    return "v1," + Data(digest).base64EncodedString()
  }
}
