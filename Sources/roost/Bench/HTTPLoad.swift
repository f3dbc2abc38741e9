// SPDX-License-Identifier: Apache-2.0
internal import CSystemShims
internal import Glibc
internal import Threading

/// Requests over many kept-alive connections by one thread, as cheaply as can be: it shares the cores with what it measures.
///
/// Requests are bytes made before; of a reply only status line, Content-Length and body are looked at.
final class HTTPLoad {
  struct Reply {
    let status: Int
    /// Borrowed for the call that gets it.
    let body: UnsafeRawBufferPointer
    let sentAt: Int64
    let receivedAt: Int64

    /// The id that an answer to a submission begins with.
    var taskID: String { String(decoding: body.dropFirst(7).prefix(32), as: UTF8.self) }
  }

  private struct Connection {
    let descriptor: Int32
    var sentAt: Int64 = 0
    /// What came of a reply that is not whole yet.
    var begun: [UInt8] = []
  }

  private let port: UInt16
  private let poll = epoll_create1(Int32(EPOLL_CLOEXEC))
  private var connections: [Connection] = []
  private let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 16)

  init(port: UInt16, connections count: Int) throws(CommandError) {
    self.port = port
    var files = rlimit()
    getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &files)
    guard UInt64(count) + 100 <= UInt64(files.rlim_cur) else {
      throw .failed("\(count) connections need as many open files, and \(files.rlim_cur) are allowed (ulimit -n)")
    }
    connections.reserveCapacity(count)
    for index in 0..<count {
      let descriptor = try Self.connect(port)
      connections.append(Connection(descriptor: descriptor))
      var event = epoll_event(events: EPOLLIN.rawValue, data: epoll_data_t(u64: UInt64(index)))
      epoll_ctl(poll, EPOLL_CTL_ADD, descriptor, &event)
    }
  }

  deinit {
    for connection in connections { close(connection.descriptor) }
    close(poll)
    buffer.deallocate()
  }

  var count: Int { connections.count }

  /// The bytes of a request; with a body it says that it is JSON.
  func request(_ method: String, _ path: String, _ body: [UInt8]? = nil) -> [UInt8] {
    var head = "\(method) \(path) HTTP/1.1\r\nHost: 127.0.0.1:\(port)\r\n"
    if let body { head += "Content-Type: application/json\r\nContent-Length: \(body.count)\r\n" }
    return Array((head + "\r\n").utf8) + (body ?? [])
  }

  func send(_ request: [UInt8], on index: Int) throws(CommandError) {
    connections[index].sentAt = MonotonicClock.now
    let descriptor = connections[index].descriptor
    var sent = 0
    while sent < request.count {
      let count = request.withUnsafeBytes {
        Glibc.send(descriptor, $0.baseAddress?.advanced(by: sent), $0.count - sent, Int32(MSG_NOSIGNAL))
      }
      if count >= 0 {
        sent += count
      } else if errno == EAGAIN {
        // A large body; the server reads on whatever this thread does.
        var room = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
        Glibc.poll(&room, 1, 1000)
      } else if errno != EINTR {
        throw .failed("sending to the host: \(String(cString: strerror(errno)))")
      }
    }
  }

  /// Hands over each reply that is whole once one comes; `handle` may send the next request.
  func receive(_ handle: (_ connection: Int, Reply) throws(CommandError) -> Void) throws(CommandError) {
    guard try receive(within: BenchHost.patience, handle) else {
      throw .failed("the host has not answered for \(BenchHost.patience / 1000) s")
    }
  }

  /// Waits at most so many milliseconds; false when nothing came.
  @discardableResult
  func receive(
    within millis: Int32, _ handle: (_ connection: Int, Reply) throws(CommandError) -> Void
  ) throws(CommandError) -> Bool {
    let (count, ready) = withUnsafeTemporaryAllocation(of: epoll_event.self, capacity: 256) { events in
      let count = epoll_wait(poll, events.baseAddress, Int32(events.count), millis)
      return (count, events.prefix(Int(max(0, count))).map { Int($0.data.u64) })
    }
    for index in ready { try read(index, handle) }
    // An interruption, as by SIGSTOP and SIGCONT, says nothing.
    return count != 0
  }

  private func read(
    _ index: Int, _ handle: (_ connection: Int, Reply) throws(CommandError) -> Void
  ) throws(CommandError) {
    let begun = connections[index].begun
    buffer.copyBytes(from: begun)
    let room = UnsafeMutableRawBufferPointer(rebasing: buffer[begun.count...])
    let count = recv(connections[index].descriptor, room.baseAddress, room.count, Int32(MSG_DONTWAIT))
    if count < 0, errno == EAGAIN || errno == EINTR { return }
    guard count > 0 else {
      throw .failed("the host closed a connection\(count < 0 ? ": " + String(cString: strerror(errno)) : "")")
    }
    let bytes = UnsafeRawBufferPointer(rebasing: buffer[..<(begun.count + count)])
    guard let (status, body) = Self.whole(bytes) else {
      guard bytes.count < buffer.count else { throw .failed("a reply of the host is too large") }
      connections[index].begun = Array(bytes)
      return
    }
    if !begun.isEmpty { connections[index].begun = [] }
    try handle(
      index, Reply(status: status, body: body, sentAt: connections[index].sentAt, receivedAt: MonotonicClock.now))
  }

  /// Status and body of a reply; nil while it is not all here.
  private static func whole(_ bytes: UnsafeRawBufferPointer) -> (status: Int, body: UnsafeRawBufferPointer)? {
    guard let base = bytes.baseAddress else { return nil }
    var (line, length) = (0, 0)
    while let found = memchr(base + line, 0x0a, bytes.count - line) {
      let end = UnsafeRawPointer(found) - base
      if end - line == 1 {
        guard bytes.count > end + length, end > 12 else { return nil }
        let status = bytes[9..<12].reduce(0) { $0 * 10 + Int($1) - 0x30 }
        return (status, UnsafeRawBufferPointer(rebasing: bytes[(end + 1)..<(end + 1 + length)]))
      }
      if end - line > lengthName.utf8CodeUnitCount,
        memcmp(base + line, lengthName.utf8Start, lengthName.utf8CodeUnitCount) == 0
      {
        let digits = bytes[(line + lengthName.utf8CodeUnitCount)..<end].prefix { (0x30...0x39).contains($0) }
        length = digits.reduce(0) { $0 * 10 + Int($1) - 0x30 }
      }
      line = end + 1
    }
    return nil
  }

  private static let lengthName: StaticString = "Content-Length: "

  private static func connect(_ port: UInt16) throws(CommandError) -> Int32 {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
    let connected = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        Glibc.connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
    guard connected == 0 else {
      let reason = String(cString: strerror(errno))
      close(descriptor)
      throw .failed("cannot connect to the host: \(reason)")
    }
    var on: Int32 = 1
    setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &on, socklen_t(MemoryLayout<Int32>.size))
    _ = fcntl(descriptor, F_SETFL, O_NONBLOCK)
    return descriptor
  }
}
