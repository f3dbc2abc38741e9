// SPDX-License-Identifier: Apache-2.0
import Glibc

/// An IPv4 or IPv6 address, as it stands in a socket address.
package struct IPAddress: Sendable, Hashable, CustomStringConvertible {
  /// 4 or 16 bytes in network order.
  private let bytes: [UInt8]

  /// The address of a `sockaddr_in` or `sockaddr_in6`; nil for any other family.
  init?(socketAddress: UnsafeRawBufferPointer) {
    guard socketAddress.count >= MemoryLayout<sa_family_t>.size else { return nil }
    let place: Range<Int>
    switch Int32(socketAddress.loadUnaligned(as: sa_family_t.self)) {
    case AF_INET: place = 4..<8
    case AF_INET6: place = 8..<24
    default: return nil
    }
    guard socketAddress.count >= place.upperBound else { return nil }
    bytes = Array(socketAddress[place])
  }

  /// Reads `192.0.2.1` or `2001:db8::1`.
  package init?(_ text: String) {
    let isLong = text.contains(":")
    var bytes = [UInt8](repeating: 0, count: isLong ? 16 : 4)
    guard inet_pton(isLong ? AF_INET6 : AF_INET, text, &bytes) == 1 else { return nil }
    self.bytes = bytes
  }

  package var description: String {
    var text = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
    inet_ntop(bytes.count == 4 ? AF_INET : AF_INET6, bytes, &text, socklen_t(text.count))
    return String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  /// Whether it is in the public internet: not loopback, private, link-local, multicast or of any other special purpose.
  ///
  /// An IPv6 address that stands for an IPv4 one (mapped, NAT64, 6to4) is as public as that is.
  package var isPublic: Bool {
    if bytes.count == 4 { return !Self.specialIPv4.contains { $0.contains(bytes) } }
    if let inner = Self.carriers.first(where: { $0.contains(bytes) }) {
      return IPAddress(bytes: Array(bytes[inner.carried...].prefix(4))).isPublic
    }
    return Self.globalUnicast.contains(bytes) && !Self.specialIPv6.contains { $0.contains(bytes) }
  }

  private init(bytes: [UInt8]) { self.bytes = bytes }

  /// All addresses that begin with the first `length` bits of `prefix`.
  private struct Network {
    let prefix: [UInt8]
    let length: Int
    /// Where the IPv4 address stands in one that carries it.
    var carried = 0

    func contains(_ bytes: [UInt8]) -> Bool {
      let mask: UInt8 = length % 8 == 0 ? 0 : 0xFF << UInt8(8 - length % 8)
      return bytes.starts(with: prefix[..<(length / 8)])
        && (mask == 0 || bytes[length / 8] & mask == prefix[length / 8])
    }
  }

  // From IANA's registries of special-purpose addresses.
  private static let specialIPv4 = [
    Network(prefix: [0], length: 8),
    Network(prefix: [10], length: 8),
    Network(prefix: [100, 64], length: 10),
    Network(prefix: [127], length: 8),
    Network(prefix: [169, 254], length: 16),
    Network(prefix: [172, 16], length: 12),
    Network(prefix: [192, 0, 0], length: 24),
    Network(prefix: [192, 0, 2], length: 24),
    Network(prefix: [192, 88, 99], length: 24),
    Network(prefix: [192, 168], length: 16),
    Network(prefix: [198, 18], length: 15),
    Network(prefix: [198, 51, 100], length: 24),
    Network(prefix: [203, 0, 113], length: 24),
    Network(prefix: [224], length: 3),
  ]
  private static let carriers = [
    Network(prefix: [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF], length: 96, carried: 12),
    Network(prefix: [0, 0x64, 0xFF, 0x9B, 0, 0, 0, 0, 0, 0, 0, 0], length: 96, carried: 12),
    Network(prefix: [0x20, 0x02], length: 16, carried: 2),
  ]
  private static let globalUnicast = Network(prefix: [0x20], length: 3)
  private static let specialIPv6 = [
    Network(prefix: [0x20, 0x01, 0x00], length: 23),
    Network(prefix: [0x20, 0x01, 0x0D, 0xB8], length: 32),
    Network(prefix: [0x3F, 0xFF, 0x00], length: 20),
  ]
}
