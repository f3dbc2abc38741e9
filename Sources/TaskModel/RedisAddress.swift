// SPDX-License-Identifier: Apache-2.0

/// Where a Redis listens.
package enum RedisEndpoint: Sendable, Equatable, CustomStringConvertible {
  case tcp(host: String, port: Int)
  case unix(path: String)

  package var description: String {
    switch self {
    case .tcp(let host, let port): host.utf8.contains(UInt8(ascii: ":")) ? "[\(host)]:\(port)" : "\(host):\(port)"
    case .unix(let path): path
    }
  }
}

/// A Redis, and as whom to speak to it; no way of printing it shows the password.
package struct RedisAddress: Sendable, Equatable, CustomStringConvertible, CustomDebugStringConvertible,
  CustomReflectable
{
  package var endpoint: RedisEndpoint
  /// Nil: Redis' default user.
  package var user: String?
  package var password: String?
  package var database: Int

  package static let defaultPort = 6379

  package init(endpoint: RedisEndpoint, user: String? = nil, password: String? = nil, database: Int = 0) {
    self.endpoint = endpoint
    self.user = user
    self.password = password
    self.database = database
  }

  /// Reads `redis://user:pass@host:6379/0` or `unix:///path?db=0`; user, password and path are percent-decoded.
  package init(_ text: String) throws(RedisAddressError) {
    let (scheme, tail) = split(text[...], before: ":")
    guard tail.hasPrefix("://") else { throw .unknownScheme(nil) }
    let rest = tail.dropFirst(3)
    switch scheme.lowercased() {
    case "redis": try self.init(network: rest)
    case "unix": try self.init(socket: rest)
    case "rediss": throw .transportSecurity
    default: throw .unknownScheme(String(scheme))
    }
  }

  /// The address as a URL, without the password.
  package var description: String {
    let user = user.map { "\($0)@" } ?? ""
    return switch endpoint {
    case .tcp: "redis://\(user)\(endpoint)/\(database)"
    case .unix: "unix://\(user)\(endpoint)?db=\(database)"
    }
  }

  package var debugDescription: String { description }
  package var customMirror: Mirror { Mirror(self, children: ["address": description]) }

  private init(network text: Substring) throws(RedisAddressError) {
    let (authority, path) = split(text, before: "/")
    let (userInfo, place) = splitUserInfo(authority)
    let (user, password) = try Self.credentials(userInfo)
    if place.contains("?") || path.contains("?") { throw .unknownQuery }
    let (host, port) = try Self.hostAndPort(place)
    let number = path.dropFirst()
    self.init(
      endpoint: .tcp(host: host, port: port), user: user, password: password,
      database: number.isEmpty ? 0 : try Self.database(number))
  }

  private init(socket text: Substring) throws(RedisAddressError) {
    let (authority, pathAndQuery) = split(text, before: "/")
    let (userInfo, host) = splitUserInfo(authority)
    guard host.isEmpty, !pathAndQuery.isEmpty else { throw .noPath }
    let (user, password) = try Self.credentials(userInfo)
    let (encoded, query) = split(pathAndQuery, before: "?")
    guard let path = percentDecoded(encoded), path.utf8.count > 1, !path.utf8.contains(0) else { throw .noPath }
    var database = 0
    if !query.isEmpty {
      guard query.hasPrefix("?db=") else { throw .unknownQuery }
      database = try Self.database(query.dropFirst(4))
    }
    self.init(endpoint: .unix(path: path), user: user, password: password, database: database)
  }

  private static func credentials(_ text: Substring?) throws(RedisAddressError) -> (user: String?, password: String?) {
    guard let text else { return (nil, nil) }
    let (first, second) = split(text, before: ":")
    guard let user = percentDecoded(first), let password = percentDecoded(second.dropFirst()) else {
      throw .badEscape
    }
    guard !password.isEmpty else { throw .noPassword }
    return (user.isEmpty ? nil : user, password)
  }

  private static func hostAndPort(_ text: Substring) throws(RedisAddressError) -> (host: String, port: Int) {
    var host = text
    var port: Substring?
    if text.first == "[" {
      guard let close = text.firstIndex(of: "]") else { throw .noHost }
      host = text[text.index(after: text.startIndex)..<close]
      let rest = text[text.index(after: close)...]
      guard rest.isEmpty || rest.first == ":" else { throw .noHost }
      port = rest.isEmpty ? nil : rest.dropFirst()
    } else if let colon = text.lastIndex(of: ":") {
      host = text[..<colon]
      port = text[text.index(after: colon)...]
    }
    guard !host.isEmpty, text.first == "[" || !host.contains(":") else { throw .noHost }
    guard let port else { return (String(host), defaultPort) }
    guard let number = decimal(port), (1...65535).contains(number) else { throw .badPort }
    return (String(host), number)
  }

  private static func database(_ text: Substring) throws(RedisAddressError) -> Int {
    guard let number = decimal(text), number <= Int(Int32.max) else { throw .badDatabase }
    return number
  }
}

/// Why a text is no Redis address; no case holds a part of the text that could be secret.
package enum RedisAddressError: Error, Sendable, Equatable, CustomStringConvertible {
  case unknownScheme(String?)
  case transportSecurity
  case noHost
  case noPath
  case badPort
  case badDatabase
  case badEscape
  case noPassword
  case unknownQuery

  package var description: String {
    switch self {
    case .unknownScheme(nil): "not a URL; write redis://user:pass@host:6379/0 or unix:///path?db=0"
    case .unknownScheme(let scheme?):
      "the scheme \"\(scheme)\" is unknown; write redis://user:pass@host:6379/0 or unix:///path?db=0"
    case .transportSecurity: "rediss:// (TLS) is not supported yet; use redis:// on a network you trust, or unix://"
    case .noHost: "the host is missing or malformed; write redis://host:6379/0, an IPv6 address in brackets"
    case .noPath: "the socket's path is missing; write unix:///path?db=0 with three slashes"
    case .badPort: "the port is not a number from 1 to 65535"
    case .badDatabase: "the database is not a number, as 0 is in redis://host:6379/0 and unix:///path?db=0"
    case .badEscape: "user or password has a % without two hex digits, or is not UTF-8; write % as %25"
    case .noPassword: "the user has no password; write redis://user:pass@host or redis://:pass@host"
    case .unknownQuery: "only unix:// addresses have a query, and db is all it may say, as in unix:///path?db=0"
    }
  }
}

private func split(_ text: Substring, before separator: Character) -> (Substring, Substring) {
  let index = text.firstIndex(of: separator) ?? text.endIndex
  return (text[..<index], text[index...])
}

/// The last `@` counts, so that a password with an unescaped one still works.
private func splitUserInfo(_ authority: Substring) -> (userInfo: Substring?, place: Substring) {
  guard let at = authority.lastIndex(of: "@") else { return (nil, authority) }
  return (authority[..<at], authority[authority.index(after: at)...])
}

private func decimal(_ text: Substring) -> Int? {
  text.utf8.allSatisfy { (0x30...0x39).contains($0) } ? Int(text) : nil
}

private func percentDecoded(_ text: Substring) -> String? {
  var bytes: [UInt8] = []
  var rest = text.utf8[...]
  while let byte = rest.popFirst() {
    guard byte == UInt8(ascii: "%") else {
      bytes.append(byte)
      continue
    }
    let digits = rest.prefix(2)
    guard digits.count == 2, digits.allSatisfy({ $0 != UInt8(ascii: "+") && $0 != UInt8(ascii: "-") }),
      let value = UInt8(String(Substring(digits)), radix: 16)
    else { return nil }
    bytes.append(value)
    rest = rest.dropFirst(2)
  }
  return String(validating: bytes, as: UTF8.self)
}
