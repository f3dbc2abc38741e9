// SPDX-License-Identifier: Apache-2.0
internal import Glibc

/// A bound TCP socket that listens; whoever holds the value closes the descriptor.
struct ListeningSocket {
  let descriptor: Int32
  /// Where it listens, with the real port.
  let address: HTTPAddress

  /// Connections that the kernel keeps until they are accepted; `net.core.somaxconn` may lower it.
  private static let backlog: Int32 = 4096

  /// Binds the first address of `wanted` that can be bound.
  init(_ wanted: HTTPAddress) throws(HTTPServerError) {
    var hints = addrinfo()
    hints.ai_family = AF_UNSPEC
    hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
    hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV
    var found: UnsafeMutablePointer<addrinfo>?
    let code = getaddrinfo(wanted.host, String(wanted.port), &hints, &found)
    guard code == 0, let first = found else {
      throw .unknownHost(wanted, reason: String(cString: gai_strerror(code)))
    }
    defer { freeaddrinfo(first) }
    var failure: HTTPServerError?
    for candidate in sequence(first: first, next: { $0.pointee.ai_next }) {
      do throws(HTTPServerError) {
        descriptor = try Self.listen(candidate.pointee, wanted)
        address = HTTPAddress(host: wanted.host, port: Self.port(of: descriptor))
        return
      } catch {
        failure = failure ?? error
      }
    }
    throw failure ?? .unknownHost(wanted, reason: "no address")
  }

  private static func listen(_ candidate: addrinfo, _ wanted: HTTPAddress) throws(HTTPServerError) -> Int32 {
    let type = Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue)
    let descriptor = socket(candidate.ai_family, type, candidate.ai_protocol)
    guard descriptor >= 0 else { throw failure(of: "socket", wanted) }
    // A restart must not wait for the connections of the last run to leave TIME_WAIT.
    var on: Int32 = 1
    setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, socklen_t(MemoryLayout<Int32>.size))
    guard bind(descriptor, candidate.ai_addr, candidate.ai_addrlen) == 0 else {
      let error = failure(of: "bind", wanted)
      close(descriptor)
      throw error
    }
    guard Glibc.listen(descriptor, backlog) == 0 else {
      let error = failure(of: "listen", wanted)
      close(descriptor)
      throw error
    }
    return descriptor
  }

  private static func failure(of call: String, _ address: HTTPAddress) -> HTTPServerError {
    switch errno {
    case EADDRINUSE: .addressInUse(address)
    case EADDRNOTAVAIL: .addressNotHere(address)
    case EACCES: .portForbidden(address)
    case let code: .systemCall(address, call: call, code: code)
    }
  }

  private static func port(of descriptor: Int32) -> UInt16 {
    var storage = sockaddr_storage()
    var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
    return withUnsafeMutableBytes(of: &storage) { bytes in
      guard let start = bytes.baseAddress,
        getsockname(descriptor, start.assumingMemoryBound(to: sockaddr.self), &length) == 0
      else { return 0 }
      // Both families keep the port, in network order, right after the family.
      return UInt16(bytes[2]) << 8 | UInt16(bytes[3])
    }
  }
}
