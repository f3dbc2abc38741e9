// SPDX-License-Identifier: Apache-2.0
import Foundation
import Glibc
import Synchronization
import Threading

/// A loopback HTTP server with answers made by the test.
final class CannedHost: Sendable {
  struct Request: Sendable {
    let method: String
    /// With its query.
    let path: String
    let headers: [String: String]
    let body: String
  }

  typealias Answer = @Sendable (Request) -> (status: Int, body: String)

  let url: String
  private let listener: Int32
  private let seen = Lock<[Request]>([])

  /// What was asked so far.
  var requests: [Request] { seen.withLock { $0 } }

  init(_ answer: @escaping Answer) throws {
    let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let status = withUnsafeMutableBytes(of: &address) { bytes -> Int32 in
      guard let address = bytes.baseAddress?.assumingMemoryBound(to: sockaddr.self) else { return -1 }
      guard bind(listener, address, length) == 0, listen(listener, 16) == 0 else { return -1 }
      return getsockname(listener, address, &length)
    }
    guard status == 0 else { throw POSIXError(POSIXErrorCode(rawValue: errno) ?? .EIO) }
    self.listener = listener
    url = "http://127.0.0.1:\(UInt16(bigEndian: address.sin_port))"
    Thread { [weak self] in
      while true {
        let connection = accept(listener, nil, nil)
        guard connection >= 0 else { return }
        guard let self else { break }
        Thread { self.serve(connection, answer) }.start()
      }
    }.start()
  }

  deinit {
    // Wakes the thread that accepts, which closing alone would not.
    shutdown(listener, Int32(SHUT_RDWR))
    close(listener)
  }

  private func serve(_ connection: Int32, _ answer: Answer) {
    defer { close(connection) }
    var text = Data()
    while let request = next(connection, &text) {
      seen.withLock { $0.append(request) }
      let (status, body) = answer(request)
      let reply = Array(
        "HTTP/1.1 \(status) Canned\r\nContent-Length: \(body.utf8.count)\r\nX-Canned:  yes \r\n\r\n\(body)".utf8)
      guard send(connection, reply, reply.count, Int32(MSG_NOSIGNAL)) == reply.count else { return }
    }
  }

  private func next(_ connection: Int32, _ text: inout Data) -> Request? {
    while true {
      if let end = text.range(of: Data("\r\n\r\n".utf8)) {
        let lines = String(decoding: text[..<end.lowerBound], as: UTF8.self).components(separatedBy: "\r\n")
        let words = lines[0].components(separatedBy: " ")
        let headers = lines.dropFirst().map { $0.components(separatedBy: ": ") }
          .reduce(into: [:]) { $0[$1[0].lowercased()] = $1.dropFirst().joined(separator: ": ") }
        let length = Int(headers["content-length"] ?? "0") ?? 0
        if text.count - end.upperBound >= length {
          let body = text[end.upperBound..<end.upperBound + length]
          text = Data(text[(end.upperBound + length)...])
          return Request(
            method: words[0], path: words[1], headers: headers, body: String(decoding: body, as: UTF8.self))
        }
      }
      var buffer = [UInt8](repeating: 0, count: 1 << 16)
      let count = recv(connection, &buffer, buffer.count, 0)
      guard count > 0 else { return nil }
      text += buffer[..<count]
    }
  }
}

/// A port of this machine that refuses connections: it is bound and nobody listens.
final class ClosedPort: Sendable {
  let url: String
  private let holder: Int32

  init() {
    holder = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let holder = holder
    withUnsafeMutableBytes(of: &address) { bytes in
      guard let address = bytes.baseAddress?.assumingMemoryBound(to: sockaddr.self) else { return }
      _ = bind(holder, address, length)
      getsockname(holder, address, &length)
    }
    url = "http://127.0.0.1:\(UInt16(bigEndian: address.sin_port))"
  }

  deinit { close(holder) }
}
