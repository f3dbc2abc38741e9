// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import TaskModel

/// `http`: the API and the page.
package struct HTTPConfig: Sendable, Equatable {
  package var listen: ListenAddress
  /// Origins, as in `https://example.org`, whose pages may call the API.
  package var cors: [String]
  /// Names beside the listen address that a `Host` header may say.
  package var hosts: [String]
  /// Bytes of the largest body that is read.
  package var maxBody: Int
}

/// An address to listen on.
package struct ListenAddress: Sendable, Equatable, CustomStringConvertible {
  /// An address without brackets, or a host name.
  package let host: String
  /// 0: any free one.
  package let port: Int

  package init(host: String, port: Int) {
    self.host = host
    self.port = port
  }

  /// Reads `127.0.0.1:7411`, `[::1]:7411` or `localhost:7411`; nil for anything else.
  package init?(_ text: String) {
    guard let colon = text.lastIndex(of: ":") else { return nil }
    let digits = text[text.index(after: colon)...]
    guard !digits.isEmpty, digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let port = Int(digits),
      port <= 65535
    else { return nil }
    var host = String(text[..<colon])
    if host.hasPrefix("["), host.hasSuffix("]") {
      host = String(host.dropFirst().dropLast())
      guard isIPv6(host) else { return nil }
    } else {
      guard isHostName(host) else { return nil }
    }
    self.init(host: host, port: port)
  }

  /// Can only this machine connect? A name other than `localhost` counts as reachable from elsewhere.
  package var isLoopback: Bool {
    if host.lowercased() == "localhost" { return true }
    var six = in6_addr()
    if inet_pton(AF_INET6, host, &six) == 1 {
      return withUnsafeBytes(of: six) { $0.dropLast().allSatisfy { $0 == 0 } && $0.last == 1 }
    }
    var four = in_addr()
    return inet_pton(AF_INET, host, &four) == 1 && UInt32(bigEndian: four.s_addr) >> 24 == 127
  }

  package var description: String {
    host.utf8.contains(UInt8(ascii: ":")) ? "[\(host)]:\(port)" : "\(host):\(port)"
  }
}

extension HTTPConfig {
  static let defaultListen = ListenAddress(host: "127.0.0.1", port: 7411)

  init(_ from: ConfigDecoder) {
    listen = Self.defaultListen
    if let text = from.string("listen") {
      if let address = ListenAddress(text) {
        listen = address
        // With tokens written the reader is told that those are not supported, which is the one thing to change.
        if !address.isLoopback, !from.has("tokens") {
          from.refuse(
            "listen",
            "\(address) can be reached from other machines; listening beyond loopback without tokens is "
              + "refused; listen on 127.0.0.1 or [::1]")
        }
      } else {
        from.refuse("listen", "\(from.shown("listen")) is not ADDRESS:PORT, as in 127.0.0.1:7411 or [::1]:7411")
      }
    }
    cors = from.strings("cors") { isOrigin($0) ? nil : "\"\($0)\" is not an origin, as in https://example.org" } ?? []
    hosts =
      from.strings("hosts") {
        isHostName($0) || isIPv6($0) ? nil : "\"\($0)\" is not a host name; write it without scheme and port"
      } ?? []
    maxBody = from.byteCount("maxBody", default: 32 << 20, in: 1 << 10...1 << 30)
  }
}

private func isIPv6(_ text: String) -> Bool {
  var address = in6_addr()
  return inet_pton(AF_INET6, text, &address) == 1
}

private func isHostName(_ text: some StringProtocol) -> Bool {
  !text.isEmpty && text.utf8.count <= 253
    && text.split(separator: ".", omittingEmptySubsequences: false).allSatisfy(isValidName)
}

/// `scheme://host[:port]` and nothing after it, as browsers send it.
private func isOrigin(_ text: String) -> Bool {
  for scheme in ["http://", "https://"] where text.hasPrefix(scheme) {
    let place = text.dropFirst(scheme.count)
    return isHostName(place) || ListenAddress(String(place)) != nil || isIPv6InBrackets(place)
  }
  return false
}

private func isIPv6InBrackets(_ text: Substring) -> Bool {
  text.hasPrefix("[") && text.hasSuffix("]") && isIPv6(String(text.dropFirst().dropLast()))
}
