// SPDX-License-Identifier: Apache-2.0
import Foundation
import Glibc
import HTTPServer
import TaskModel

struct ClientError: Error, CustomStringConvertible {
  let description: String
}

/// One answer, taken from the bytes of a socket.
struct Answer: Sendable {
  var status: Int
  var headers: [String: String]
  var body: [UInt8]

  var text: String { String(decoding: body, as: UTF8.self) }
  var json: JSONNode? { try? JSONNode.parse(body) }
  /// The `code` of a problem; nil when it is none.
  var code: String? { headers["content-type"] == "application/problem+json" ? json?["code"]?.text : nil }
  var detail: String { json?["detail"]?.text ?? "" }
}

/// Runs what blocks away from the threads of Swift's tasks, which the API needs for its answers.
func offPool<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) async throws -> Value {
  try await withCheckedThrowingContinuation { continuation in
    Thread { continuation.resume(with: Result(catching: body)) }.start()
  }
}

/// A TCP connection that sends exactly the bytes it is told; every wait ends after 60 s.
final class Client: @unchecked Sendable {  // @unchecked: a test uses each client on one thread at a time
  private let descriptor: Int32
  private var buffer: [UInt8] = []

  init(_ address: HTTPAddress) throws {
    descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
    var place = sockaddr_in()
    place.sin_family = sa_family_t(AF_INET)
    place.sin_port = address.port.bigEndian
    inet_pton(AF_INET, address.host, &place.sin_addr)
    let code = withUnsafePointer(to: &place) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
    guard code == 0 else { throw ClientError(description: "connect to \(address): errno \(errno)") }
    var limit = timeval(tv_sec: 60, tv_usec: 0)
    setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
  }

  deinit {
    close(descriptor)
  }

  /// Sends a request with `Host: localhost` unless the headers have one of their own.
  func send(_ method: String, _ target: String, headers: [String] = [], body: [UInt8]? = nil) throws {
    var lines = headers.contains { $0.hasPrefix("Host:") } ? headers : ["Host: localhost"] + headers
    if let body { lines.append("Content-Length: \(body.count)") }
    try send(
      Array(("\(method) \(target) HTTP/1.1\r\n" + lines.map { $0 + "\r\n" }.joined() + "\r\n").utf8) + (body ?? []))
  }

  func send(_ bytes: [UInt8]) throws {
    var sent = 0
    while sent < bytes.count {
      let count = bytes.withUnsafeBytes {
        Glibc.send(descriptor, $0.baseAddress?.advanced(by: sent), $0.count - sent, Int32(MSG_NOSIGNAL))
      }
      guard count > 0 else { throw ClientError(description: "send: errno \(errno)") }
      sent += count
    }
  }

  /// The next answer on the connection.
  func answer(to method: String = "GET") throws -> Answer {
    var end = headEnd()
    while end == nil {
      guard try receive() else { throw ClientError(description: "closed before an answer") }
      end = headEnd()
    }
    let head = String(decoding: buffer[..<(end ?? 0)], as: UTF8.self).components(separatedBy: "\r\n")
    buffer.removeFirst((end ?? 0) + 4)
    guard let status = head[0].split(separator: " ").dropFirst().first.flatMap({ Int($0) }) else {
      throw ClientError(description: "not an answer: \(head)")
    }
    var headers: [String: String] = [:]
    for line in head.dropFirst() {
      let parts = line.split(separator: ":", maxSplits: 1)
      headers[parts[0].lowercased()] = parts.count > 1 ? String(parts[1].drop { $0 == " " }) : ""
    }
    let length = method == "HEAD" ? 0 : Int(headers["content-length"] ?? "0") ?? 0
    while buffer.count < length {
      guard try receive() else { throw ClientError(description: "closed at \(buffer.count) of \(length) bytes") }
    }
    defer { buffer.removeFirst(length) }
    return Answer(status: status, headers: headers, body: Array(buffer[..<length]))
  }

  func closeSendingHalf() { shutdown(descriptor, Int32(SHUT_WR)) }

  /// Waits for the end of the connection; false when bytes come instead.
  func ends() throws -> Bool { try !receive() }

  private func headEnd() -> Int? {
    buffer.count < 4 ? nil : (0...buffer.count - 4).first { buffer[$0..<$0 + 4].elementsEqual([13, 10, 13, 10]) }
  }

  private func receive() throws -> Bool {
    var part = [UInt8](repeating: 0, count: 64 << 10)
    let count = recv(descriptor, &part, part.count, 0)
    guard count >= 0 else { throw ClientError(description: "recv: errno \(errno)") }
    buffer.append(contentsOf: part[..<count])
    return count > 0
  }
}
