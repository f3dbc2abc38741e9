// SPDX-License-Identifier: Apache-2.0
import Glibc
import Redis
import TaskModel
import TaskStore
import Threading

/// Stands between clients and Redis, answers one request after the other, and lets a test spoil any of them.
package final class RedisProxy: Sendable {
  package struct Request: Sendable {
    /// The script it calls, if it calls one.
    package let script: Script?
    package let name: String
    /// The scripts that are called with it: its own, or of EXEC those of the transaction; none before EXEC.
    package let done: [Script]
    package let bytes: [UInt8]
    /// Where command and script stand in `bytes`.
    fileprivate let call: Range<Int>?
  }

  package enum Verdict: Sendable {
    case pass
    /// Another script takes its place: its digest.
    case replace(String)
    /// The connection breaks before Redis gets it.
    case loseRequest
    /// The connection breaks before the client gets the answer.
    case loseAnswer
    /// The connection breaks in the middle of the answer.
    case cutAnswer
    /// The connection breaks; Redis gets it, and what was sent behind it, when `deliverLate` is called.
    case delay
  }

  private struct State {
    var intercept: (@Sendable (Request) -> Verdict)?
    var requests: [Request] = []
    var errors: [String] = []
    var late: [(redis: RawRedis, requests: [[UInt8]])] = []
  }

  package let address: RedisAddress
  private let upstream: String
  private let listener: Int32
  private let state = Monitor(State())
  private let scripts: [String: Script]

  package init(_ redis: RedisServer) throws {
    upstream = redis.directory.path + "/redis.sock"
    let path = redis.directory.path + "/p\(UInt16.random(in: .min ... .max)).sock"
    address = RedisAddress(endpoint: .unix(path: path))
    let connection = try RedisConnection(to: redis.address, timeout: .seconds(10))
    var scripts: [String: Script] = [:]
    for script in Script.allCases {
      let digest = try connection.call(RedisCommand(words: "SCRIPT", "LOAD", script.text)).textValue ?? ""
      scripts[digest] = script
      scripts[script.text] = script
    }
    self.scripts = scripts
    listener = try listenOnSocket(path)
    let descriptor = listener
    NativeThread(name: "proxy") { [weak self] in
      while true {
        let client = accept(descriptor, nil, nil)
        guard client >= 0, let self else { return }
        NativeThread(name: "proxied") { self.serve(client) }.detach()
      }
    }.detach()
  }

  deinit {
    shutdown(listener, Int32(SHUT_RDWR))
    close(listener)
  }

  /// What is done with each request from now on; nil: all pass.
  package func intercept(_ body: (@Sendable (Request) -> Verdict)?) { state.withLock { $0.intercept = body } }

  /// Requests seen since the last call of this, and the errors that Redis answered.
  package func takeLog() -> (requests: [Request], errors: [String]) {
    state.withLock { state in
      defer { (state.requests, state.errors) = ([], []) }
      return (state.requests, state.errors)
    }
  }

  /// Does something to the next call of a script, or to the transaction it is part of, and lets all others pass.
  package func spoilNext(_ script: Script, _ verdict: Verdict) {
    let isDone = Monitor(false)
    intercept { request in
      if case .replace = verdict {
        guard request.script == script else { return .pass }
      } else {
        guard request.done.contains(script) else { return .pass }
      }
      return isDone.withLock { done in
        defer { done = true }
        return done ? .pass : verdict
      }
    }
  }

  /// Lets Redis have what was delayed; returns its answers.
  package func deliverLate() throws -> [String] {
    let late = state.withLock { state in
      defer { state.late = [] }
      return state.late
    }
    return try late.flatMap { redis, requests in try requests.map { try redis.exchange($0) } }
  }

  private func serve(_ client: Int32) {
    defer { close(client) }
    guard let redis = try? RawRedis(path: upstream) else { return }
    var buffer: [UInt8] = []
    var queued: [Script]?
    while true {
      while let end = RawRedis.end(ofReply: buffer, at: 0) {
        let request = parse(Array(buffer[..<end]), &queued)
        buffer.removeFirst(end)
        guard forward(request, to: redis, from: client, behind: buffer) else { return }
        if request.name == "SUBSCRIBE" { return pump(redis.descriptor, client) }
      }
      guard RawRedis.fill(&buffer, from: client) else { return }
    }
  }

  private func forward(_ request: Request, to redis: RawRedis, from client: Int32, behind: [UInt8]) -> Bool {
    let verdict =
      state.withLock { state in
        state.requests.append(request)
        return state.intercept
      }?(request) ?? .pass
    var bytes = request.bytes
    switch verdict {
    case .pass, .loseAnswer, .cutAnswer: break
    case .replace(let digest):
      if let range = request.call {
        bytes.replaceSubrange(range, with: "$7\r\nEVALSHA\r\n$\(digest.utf8.count)\r\n\(digest)".utf8)
      }
    case .loseRequest: return false
    case .delay:
      var requests = [bytes]
      var at = 0
      while let end = RawRedis.end(ofReply: behind, at: at) {
        requests.append(Array(behind[at..<end]))
        at = end
      }
      state.withLock { [requests] in $0.late.append((redis, requests)) }
      return false
    }
    guard let answer = try? redis.exchangeBytes(bytes) else { return false }
    let errors = RawRedis.errors(answer)
    if !errors.isEmpty { state.withLock { $0.errors += errors } }
    switch verdict {
    case .loseAnswer: return false
    case .cutAnswer:
      _ = RawRedis.send(Array(answer.prefix(answer.count / 2)), to: client)
      return false
    case .pass, .replace, .loseRequest, .delay: break
    }
    return RawRedis.send(answer, to: client)
  }

  private func parse(_ bytes: [UInt8], _ queued: inout [Script]?) -> Request {
    let words = RawRedis.words(bytes)
    let name = words.first.map { String(decoding: bytes[$0], as: UTF8.self) } ?? ""
    var (script, call): (Script?, Range<Int>?)
    if name == "EVALSHA" || name == "EVAL", words.count > 1 {
      // With the length in front of the command, of one digit.
      call = words[0].lowerBound - 4..<words[1].upperBound
      script = scripts[String(decoding: bytes[words[1]], as: UTF8.self)]
    }
    var done: [Script] = []
    switch name {
    case "MULTI": queued = []
    case "EXEC": (done, queued) = (queued ?? [], nil)
    default: if queued != nil { queued? += [script].compactMap(\.self) } else { done = [script].compactMap(\.self) }
    }
    return Request(script: script, name: name, done: done, bytes: bytes, call: call)
  }

  private func pump(_ from: Int32, _ to: Int32) {
    while true {
      var descriptors = [
        pollfd(fd: from, events: Int16(POLLIN), revents: 0), pollfd(fd: to, events: Int16(POLLIN), revents: 0),
      ]
      guard poll(&descriptors, 2, -1) > 0, descriptors[1].revents == 0 else { return }
      var buffer: [UInt8] = []
      guard RawRedis.fill(&buffer, from: from), RawRedis.send(buffer, to: to) else { return }
    }
  }
}

package struct ProxyError: Error, CustomStringConvertible {
  package let description: String
  package init(_ description: String) { self.description = description }
}

/// A connection on which bytes go as they are.
package final class RawRedis: @unchecked Sendable {  // @unchecked: used by one thread at a time
  package let descriptor: Int32
  private var buffer: [UInt8] = []

  package init(path: String) throws {
    signal(SIGPIPE, SIG_IGN)
    descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
    let descriptor = descriptor
    try withSocketAddress(path) { pointer, size in
      guard connect(descriptor, pointer, size) == 0 else { throw ProxyError("cannot connect to \(path)") }
    }
  }

  deinit { close(descriptor) }

  package func exchange(_ request: [UInt8]) throws -> String {
    String(decoding: try exchangeBytes(request), as: UTF8.self)
  }

  package func exchangeBytes(_ request: [UInt8]) throws -> [UInt8] {
    guard Self.send(request, to: descriptor) else { throw ProxyError("Redis is gone") }
    while true {
      if let end = Self.end(ofReply: buffer, at: 0) {
        defer { buffer.removeFirst(end) }
        return Array(buffer[..<end])
      }
      guard Self.fill(&buffer, from: descriptor) else { throw ProxyError("Redis is gone") }
    }
  }

  package static func send(_ bytes: [UInt8], to descriptor: Int32) -> Bool {
    var at = 0
    while at < bytes.count {
      let count = bytes[at...].withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
      guard count > 0 else { return false }
      at += count
    }
    return true
  }

  package static func fill(_ buffer: inout [UInt8], from descriptor: Int32) -> Bool {
    var part = [UInt8](repeating: 0, count: 65_536)
    let count = read(descriptor, &part, part.count)
    guard count > 0 else { return false }
    buffer.append(contentsOf: part[..<count])
    return true
  }

  /// The errors in an answer, also those of commands in a transaction.
  static func errors(_ answer: [UInt8]) -> [String] {
    let isTransaction = answer.first == UInt8(ascii: "*")
    var at = isTransaction ? line(answer, 0)?.next ?? answer.count : 0
    var errors: [String] = []
    while at < answer.count, let end = end(ofReply: answer, at: at) {
      if answer[at] == UInt8(ascii: "-") { errors.append(String(decoding: answer[at..<end], as: UTF8.self)) }
      at = end
    }
    return errors
  }

  /// Where a request or an answer ends that begins at `start`; nil when it is not all there.
  package static func end(ofReply bytes: [UInt8], at start: Int) -> Int? {
    guard let (number, next) = line(bytes, start) else { return nil }
    switch bytes[start] {
    case UInt8(ascii: "$"):
      if number < 0 { return next }
      return next + number + 2 <= bytes.count ? next + number + 2 : nil
    case UInt8(ascii: "*"):
      var at = next
      for _ in 0..<max(0, number) {
        guard let end = end(ofReply: bytes, at: at) else { return nil }
        at = end
      }
      return at
    default: return next
    }
  }

  /// The ranges of the words of a request.
  package static func words(_ bytes: [UInt8]) -> [Range<Int>] {
    guard let (count, first) = line(bytes, 0) else { return [] }
    var at = first
    var words: [Range<Int>] = []
    for _ in 0..<count {
      guard let (length, next) = line(bytes, at) else { return words }
      words.append(next..<next + length)
      at = next + length + 2
    }
    return words
  }

  private static func line(_ bytes: [UInt8], _ start: Int) -> (number: Int, next: Int)? {
    guard start < bytes.count, let end = bytes[start...].firstIndex(of: UInt8(ascii: "\n")) else { return nil }
    return (Int(String(decoding: bytes[(start + 1)..<(end - 1)], as: UTF8.self)) ?? 0, end + 1)
  }
}

/// A socket that listens; its descriptor.
package func listenOnSocket(_ path: String) throws -> Int32 {
  signal(SIGPIPE, SIG_IGN)
  let listener = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
  try withSocketAddress(path) { pointer, size in
    guard bind(listener, pointer, size) == 0, listen(listener, 64) == 0 else { throw ProxyError("cannot listen") }
  }
  return listener
}

private func withSocketAddress(_ path: String, _ body: (UnsafePointer<sockaddr>, socklen_t) throws -> Void) throws {
  var address = sockaddr_un()
  address.sun_family = sa_family_t(AF_UNIX)
  withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
  try withUnsafePointer(to: &address) { pointer in
    try pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
      try body($0, socklen_t(MemoryLayout<sockaddr_un>.size))
    }
  }
}
