// SPDX-License-Identifier: Apache-2.0
import Foundation
import Synchronization
import Threading

/// A server on a raw loopback socket that answers each connection as the test says, byte for byte.
public final class LoopbackServer: Sendable {
  public struct Request: Sendable {
    public let head: String
    public let body: String

    /// The value of a header, by its name in lower case.
    public func header(_ name: String) -> String? {
      head.split(separator: "\r\n").first { $0.lowercased().hasPrefix(name + ": ") }
        .map { String($0.dropFirst(name.count + 2)) }
    }
  }

  /// One connection, for the script that answers it.
  public struct Connection {
    let descriptor: Int32

    /// False once the client has gone.
    @discardableResult
    public func send(_ bytes: [UInt8]) -> Bool {
      var sent = 0
      while sent < bytes.count {
        let count = bytes.withUnsafeBytes {
          Glibc.send(descriptor, $0.baseAddress.map { $0 + sent }, $0.count - sent, Int32(MSG_NOSIGNAL))
        }
        guard count > 0 else { return false }
        sent += count
      }
      return true
    }

    @discardableResult
    public func send(_ text: String) -> Bool { send(Array(text.utf8)) }

    /// Makes the end of the connection a reset.
    public func reset() {
      var linger = linger(l_onoff: 1, l_linger: 0)
      setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &linger, socklen_t(MemoryLayout<Glibc.linger>.size))
    }

    /// Blocks until the client has gone.
    public func waitForHangUp() {
      var byte: UInt8 = 0
      while read(descriptor, &byte, 1) > 0 {}
    }
  }

  public let port: UInt16
  private let listener: Int32
  private let seen = Lock<[Request]>([])

  public init(_ script: @escaping @Sendable (Connection) -> Void) throws {
    let (listener, port) = try listenOnLoopback(backlog: 16)
    (self.listener, self.port) = (listener, port)
    Thread { [self] in
      while true {
        let descriptor = accept(listener, nil, nil)
        guard descriptor >= 0 else {
          close(listener)
          return
        }
        if let request = Self.request(on: descriptor) {
          seen.withLock { $0.append(request) }
          script(Connection(descriptor: descriptor))
        }
        close(descriptor)
      }
    }.start()
  }

  /// Ends the thread, which keeps the server until then and closes the listener, so that it never accepts on another's.
  public func stop() { shutdown(listener, Int32(SHUT_RDWR)) }

  public var requests: [Request] { seen.withLock { $0 } }

  private static func request(on descriptor: Int32) -> Request? {
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 65_536)
    while true {
      let count = read(descriptor, &chunk, chunk.count)
      guard count > 0 else { return nil }
      bytes += chunk[..<count]
      let text = String(decoding: bytes, as: UTF8.self)
      guard let end = text.range(of: "\r\n\r\n") else { continue }
      let head = String(text[..<end.lowerBound])
      let body = String(text[end.upperBound...])
      let length = head.split(separator: "\r\n").first { $0.lowercased().hasPrefix("content-length:") }
        .flatMap { Int($0.split(separator: " ").last ?? "") }
      if body.utf8.count >= length ?? 0 { return Request(head: head, body: body) }
    }
  }
}

/// A loopback port whose queue of connections is full, so that connecting to it hangs.
public final class DeafPort {
  public let number: UInt16
  private var sockets: [Int32]

  public init() throws {
    let (listener, port) = try listenOnLoopback(backlog: 0)
    (sockets, number) = ([listener], port)
    for _ in 0..<4 {
      let client = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue), 0)
      sockets.append(client)
      var address = loopback(port)
      withUnsafePointer(to: &address) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
          _ = connect(client, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
        }
      }
    }
  }

  deinit { for socket in sockets { close(socket) } }
}

private func loopback(_ port: UInt16) -> sockaddr_in {
  var address = sockaddr_in()
  address.sin_family = sa_family_t(AF_INET)
  address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
  address.sin_port = port.bigEndian
  return address
}

private func listenOnLoopback(backlog: Int32) throws -> (descriptor: Int32, port: UInt16) {
  let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
  var address = loopback(0)
  var length = socklen_t(MemoryLayout<sockaddr_in>.size)
  let bound = withUnsafeMutablePointer(to: &address) {
    $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
      bind(listener, $0, length) == 0 && listen(listener, backlog) == 0 && getsockname(listener, $0, &length) == 0
    }
  }
  guard bound else { throw POSIXError(.EADDRINUSE) }
  return (listener, UInt16(bigEndian: address.sin_port))
}
