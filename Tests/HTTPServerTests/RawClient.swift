// SPDX-License-Identifier: Apache-2.0
import Glibc
import HTTPServer

struct ClientError: Error, CustomStringConvertible {
  let description: String
}

/// One answer, taken from the bytes of a socket.
struct RawAnswer: Equatable {
  var status: Int
  var headers: [String: String]
  var body: [UInt8]

  var text: String { String(decoding: body, as: UTF8.self) }
}

/// A TCP connection that sends exactly the bytes it is told; every wait ends after 30 s.
final class RawClient: @unchecked Sendable {
  // Sendable, because a test uses each client on one thread at a time.
  let descriptor: Int32
  private var buffer: [UInt8] = []

  init(_ address: HTTPAddress) throws {
    var hints = addrinfo()
    hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
    var found: UnsafeMutablePointer<addrinfo>?
    guard getaddrinfo(address.host, String(address.port), &hints, &found) == 0, let first = found else {
      throw ClientError(description: "no such host: \(address)")
    }
    defer { freeaddrinfo(first) }
    descriptor = socket(first.pointee.ai_family, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
    guard descriptor >= 0, connect(descriptor, first.pointee.ai_addr, first.pointee.ai_addrlen) == 0 else {
      // The object is whole by now, so that its deinit closes the descriptor.
      throw ClientError(description: "connect to \(address): errno \(errno)")
    }
    var limit = timeval(tv_sec: 30, tv_usec: 0)
    setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
  }

  deinit {
    close(descriptor)
  }

  func send(_ text: String) throws { try send(Array(text.utf8)) }

  func send(_ bytes: [UInt8]) throws {
    var rest = bytes[...]
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes { Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
      guard count > 0 else { throw ClientError(description: "send: errno \(errno)") }
      rest = rest.dropFirst(count)
    }
  }

  /// Sends a request with a Host line and, when there is a body, its length; returns the answer.
  @discardableResult
  func request(_ method: String, _ target: String, body: [UInt8] = [], headers: [String] = []) throws -> RawAnswer {
    // In one piece: a body sent after its head would wait for the acknowledgement of the head.
    let head = Self.head(method, target, length: body.isEmpty ? nil : body.count, headers: headers)
    try send(Array(head.utf8) + body)
    return try answer(to: method)
  }

  static func head(_ method: String, _ target: String, length: Int? = nil, headers: [String] = []) -> String {
    let all = ["Host: localhost"] + headers + (length.map { ["Content-Length: \($0)"] } ?? [])
    return "\(method) \(target) HTTP/1.1\r\n" + all.map { $0 + "\r\n" }.joined() + "\r\n"
  }

  /// The next answer on the connection; the body is what Content-Length says, none for a HEAD.
  func answer(to method: String = "GET") throws -> RawAnswer {
    var end: Int?
    while true {
      end = headEnd()
      if end != nil { break }
      guard try receive() else { throw ClientError(description: "closed before an answer; got \(buffer.count) bytes") }
    }
    let head = String(decoding: buffer[..<(end ?? 0)], as: UTF8.self).split(separator: "\r\n")
    buffer.removeFirst((end ?? 0) + 4)
    guard let status = head.first?.split(separator: " ").dropFirst().first.flatMap({ Int($0) }) else {
      throw ClientError(description: "not an answer: \(head)")
    }
    var headers: [String: String] = [:]
    for line in head.dropFirst() {
      let parts = line.split(separator: ":", maxSplits: 1)
      headers[parts[0].lowercased()] = parts.count > 1 ? String(parts[1].drop { $0 == " " }) : ""
    }
    let length = method == "HEAD" || status < 200 ? 0 : Int(headers["content-length"] ?? "0") ?? 0
    while buffer.count < length {
      guard try receive() else { throw ClientError(description: "closed in the body, at \(buffer.count) of \(length)") }
    }
    defer { buffer.removeFirst(length) }
    return RawAnswer(status: status, headers: headers, body: Array(buffer[..<length]))
  }

  /// Waits for the server to close or reset; throws when it sends something or keeps the connection.
  func expectClosed() throws {
    var byte: UInt8 = 0
    let count = recv(descriptor, &byte, 1, 0)
    guard count == 0 || count < 0 && errno == ECONNRESET else {
      throw ClientError(description: count > 0 ? "bytes instead of a close" : "still open: errno \(errno)")
    }
  }

  /// Whether the server has closed, without waiting.
  func isClosed() -> Bool {
    var byte: UInt8 = 0
    let count = recv(descriptor, &byte, 1, Int32(MSG_DONTWAIT | MSG_PEEK))
    return count == 0 || count < 0 && errno != EAGAIN
  }

  /// Whether the server has ended the connection, even if bytes of it are still unread.
  func peerHasClosed() -> Bool {
    var state = tcp_info()
    var length = socklen_t(MemoryLayout<tcp_info>.size)
    getsockopt(descriptor, Int32(IPPROTO_TCP), TCP_INFO, &state, &length)
    return Int(state.tcpi_state) != TCP_ESTABLISHED
  }

  func closeSendingHalf() { shutdown(descriptor, Int32(SHUT_WR)) }

  private func headEnd() -> Int? {
    guard buffer.count >= 4 else { return nil }
    return (0...(buffer.count - 4)).first { buffer[$0..<($0 + 4)].elementsEqual([13, 10, 13, 10]) }
  }

  private func receive() throws -> Bool {
    var part = [UInt8](repeating: 0, count: 64 << 10)
    let count = recv(descriptor, &part, part.count, 0)
    guard count >= 0 else { throw ClientError(description: "recv: errno \(errno)") }
    buffer.append(contentsOf: part[..<count])
    return count > 0
  }
}
