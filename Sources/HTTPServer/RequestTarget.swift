// SPDX-License-Identifier: Apache-2.0

/// The target of a request line, taken apart and decoded.
struct RequestTarget {
  var path = ""
  var segments: [String] = []
  var query: [(name: String, value: String)] = []

  init() {}

  /// Reads the origin form `/path?query`, the absolute form `http://host/path?query` and `*`.
  ///
  /// Refused are spaces and control bytes, percent signs without two digits, and what decodes to a NUL or to no UTF-8.
  init(_ target: UnsafeBufferPointer<UInt8>) throws(HTTPRefusal) {
    guard target.allSatisfy({ $0 > 0x20 && $0 != 0x7f }) else {
      throw .malformedTarget("the request target has a space or a control character")
    }
    let rest = try Self.originForm(target[...])
    let end = rest.firstIndex { $0 == UInt8(ascii: "?") || $0 == UInt8(ascii: "#") } ?? rest.endIndex
    path = try Self.text(rest[..<end])
    if end - rest.startIndex > 1 {
      for part in rest[..<end].dropFirst().split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false) {
        segments.append(try Self.decode(part, plusIsSpace: false))
      }
    }
    if end < rest.endIndex, rest[end] == UInt8(ascii: "?") {
      try readQuery(rest[rest.index(after: end)...].prefix { $0 != UInt8(ascii: "#") })
    }
  }

  private typealias Bytes = Slice<UnsafeBufferPointer<UInt8>>

  private static func originForm(_ target: Bytes) throws(HTTPRefusal) -> Bytes {
    if target.first == UInt8(ascii: "/") || target.elementsEqual("*".utf8) { return target }
    for scheme in ["http://", "https://"] where HTTPHeaderName.equal(target.prefix(scheme.utf8.count), scheme.utf8) {
      let authority = target.dropFirst(scheme.utf8.count)
      if let slash = authority.firstIndex(of: UInt8(ascii: "/")) { return authority[slash...] }
    }
    throw .malformedTarget("the request target does not begin with a slash")
  }

  private mutating func readQuery(_ bytes: Bytes) throws(HTTPRefusal) {
    for pair in bytes.split(separator: UInt8(ascii: "&")) {
      let equals = pair.firstIndex(of: UInt8(ascii: "=")) ?? pair.endIndex
      let name = try Self.decode(pair[..<equals], plusIsSpace: true)
      let value = try Self.decode(pair[equals...].dropFirst(), plusIsSpace: true)
      query.append((name, value))
    }
  }

  private static func decode(_ bytes: Bytes, plusIsSpace: Bool) throws(HTTPRefusal) -> String {
    let plus = UInt8(ascii: "+")
    guard bytes.contains(where: { $0 == UInt8(ascii: "%") || plusIsSpace && $0 == plus }) else {
      return try text(bytes)
    }
    var decoded: [UInt8] = []
    decoded.reserveCapacity(bytes.count)
    var rest = bytes
    while let byte = rest.popFirst() {
      guard byte == UInt8(ascii: "%") else {
        decoded.append(plusIsSpace && byte == plus ? 0x20 : byte)
        continue
      }
      guard let high = rest.popFirst().flatMap(digit), let low = rest.popFirst().flatMap(digit) else {
        throw .malformedTarget("the request target has a percent sign without two hexadecimal digits")
      }
      guard high | low != 0 else { throw .malformedTarget("the request target has an encoded NUL") }
      decoded.append(high << 4 | low)
    }
    return try text(decoded)
  }

  private static func text(_ bytes: some Collection<UInt8>) throws(HTTPRefusal) -> String {
    guard let text = String(validating: bytes, as: UTF8.self) else {
      throw .malformedTarget("the request target is not UTF-8")
    }
    return text
  }

  private static func digit(_ byte: UInt8) -> UInt8? {
    switch byte {
    case 0x30...0x39: byte - 0x30
    case 0x41...0x46: byte - 0x41 + 10
    case 0x61...0x66: byte - 0x61 + 10
    default: nil
    }
  }
}
