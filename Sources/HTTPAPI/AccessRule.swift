// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import HTTPServer

/// Keeps web pages of others away from the API: they can make a browser send requests here, under a name of their choice.
struct AccessRule: Sendable {
  /// Hosts beside loopback that requests may name, in canonical form.
  private let hosts: Set<String>
  /// Origins beside the API's own whose pages may call it, in lower case.
  private let origins: Set<String>
  /// Names that most requests have in `Host`, before their port; such a value need not be taken apart.
  private let usual: [String]

  /// - Parameters:
  ///   - listen: the configured address.
  ///   - hosts: further names or addresses, without port.
  ///   - cors: origins such as `https://example.org`.
  init(listen: HTTPAddress, hosts: [String], cors: [String]) {
    self.hosts = Set(([listen.host] + hosts).map(Authority.canonical))
    origins = Set(cors.map { $0.lowercased() })
    usual = [String(HTTPAddress(host: listen.host, port: 0).description.dropLast()), "localhost:"]
  }

  /// Returns the origin that must be told that it may read the answer; nil when there is none to tell.
  func check(host: String?, origin: String?) throws(Problem) -> String? {
    guard let host else { throw Problem(.forbidden, "the request has no Host header; send one") }
    if !isUsual(host) {
      guard let name = Authority(host)?.host, Authority.isLoopback(name) || hosts.contains(name) else {
        throw Problem(
          .forbidden, "Host \(quoted(host)) is not a name of this server; add it to http.hosts if it shall be")
      }
    }
    guard let origin else { return nil }
    if isOwn(origin, host) { return nil }
    guard origins.contains(origin.lowercased()) else {
      throw Problem(
        .forbidden, "pages of origin \(quoted(origin)) may not call this API; add it to http.cors if they shall")
    }
    return origin
  }

  /// Whatever the port: it is the one that the client reached, here or in front of a proxy.
  private func isUsual(_ host: String) -> Bool {
    usual.contains { name in
      guard host.hasPrefix(name) else { return false }
      let port = host.utf8.dropFirst(name.utf8.count)
      return (1...5).contains(port.count) && port.allSatisfy { (0x30...0x39).contains($0) }
        && UInt16(Substring(port)) != nil
    }
  }

  private func isOwn(_ origin: String, _ host: String) -> Bool {
    for (scheme, port) in [("http://", 80), ("https://", 443)] where origin.hasPrefix(scheme) {
      guard let theirs = Authority(origin.dropFirst(scheme.count)), let ours = Authority(host) else { return false }
      return theirs.host == ours.host && theirs.port ?? port == ours.port ?? port
    }
    return false
  }

  // MARK: Headers of answers

  /// What every answer says where answers differ by origin, so that caches keep them apart.
  var standingHeaders: [(name: String, value: String)] { origins.isEmpty ? [] : [("Vary", "Origin")] }

  func headers(for origin: String) -> [(name: String, value: String)] {
    standingHeaders + [
      ("Access-Control-Allow-Origin", origin), ("Access-Control-Expose-Headers", "Location, Retry-After, Allow"),
    ]
  }

  static func preflight(methods: String) -> [(name: String, value: String)] {
    [
      ("Access-Control-Allow-Methods", methods),
      ("Access-Control-Allow-Headers", "Authorization, Content-Type, Last-Event-ID, traceparent"),
      ("Access-Control-Max-Age", "600"),
    ]
  }
}

/// `host[:port]` as in a `Host` header or behind the scheme of an origin.
struct Authority: Equatable {
  /// In canonical form, without brackets.
  let host: String
  let port: Int?

  init?(_ text: some StringProtocol) {
    var rest = text[...]
    var name: String
    if rest.hasPrefix("[") {
      guard let end = rest.firstIndex(of: "]") else { return nil }
      name = String(rest[..<end].dropFirst())
      rest = rest[rest.index(after: end)...]
      guard name.contains(":") else { return nil }
    } else {
      let colon = rest.firstIndex(of: ":") ?? rest.endIndex
      name = String(rest[..<colon])
      rest = rest[colon...]
    }
    guard !name.isEmpty, rest.isEmpty || rest.hasPrefix(":") else { return nil }
    let digits = rest.dropFirst()
    guard digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }), digits.isEmpty || UInt16(digits) != nil else {
      return nil
    }
    host = Self.canonical(name)
    port = Int(digits)
  }

  /// One spelling for each name and each address.
  static func canonical(_ host: String) -> String {
    var address = in6_addr()
    guard host.contains(":"), inet_pton(AF_INET6, host, &address) == 1 else { return host.lowercased() }
    var text = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
    inet_ntop(AF_INET6, &address, &text, socklen_t(text.count))
    return String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  /// Whether a canonical host can be this machine alone: `localhost`, 127.0.0.0/8, `::1`.
  static func isLoopback(_ host: String) -> Bool {
    if host == "localhost" || host == "::1" { return true }
    var address = in_addr()
    return inet_pton(AF_INET, host, &address) == 1 && UInt32(bigEndian: address.s_addr) >> 24 == 127
  }
}
