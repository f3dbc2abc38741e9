// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport

/// A server on a Unix socket that says of itself that it is Redis 6.2.14, whatever it is asked.
final class OldRedis: Sendable {
  private let listener: Int32

  init(_ path: String) throws {
    let listener = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8.prefix(107)) }
    let status = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(listener, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
      }
    }
    guard status == 0, listen(listener, 16) == 0 else { throw SpawnFailed(description: "cannot listen at \(path)") }
    self.listener = listener
    Thread {
      while true {
        let connection = accept(listener, nil, nil)
        guard connection >= 0 else { return }
        Thread { Self.serve(connection) }.start()
      }
    }.start()
  }

  deinit {
    shutdown(listener, Int32(SHUT_RDWR))
    close(listener)
  }

  private static func serve(_ connection: Int32) {
    defer { close(connection) }
    let info = "# Server\r\nredis_version:6.2.14\r\n"
    let reply = Array("$\(info.utf8.count)\r\n\(info)\r\n".utf8)
    var buffer = [UInt8](repeating: 0, count: 4096)
    while recv(connection, &buffer, buffer.count, 0) > 0 {
      guard send(connection, reply, reply.count, Int32(MSG_NOSIGNAL)) == reply.count else { return }
    }
  }
}
