// SPDX-License-Identifier: Apache-2.0
internal import FoundationEssentials
internal import Glibc
internal import Synchronization
internal import Threading

/// One end of the socket between host and worker: a line of JSON per message.
package final class ControlChannel: Sendable {
  /// The other side has gone, or sends what is no message.
  package struct Closed: Error {}

  /// Bytes of a message at most; settings of plugins are the largest thing that is sent.
  static let messageLimit = 64 << 20

  /// The descriptor that a worker finds its end at.
  package static let workerDescriptor: Int32 = 3

  package let descriptor: Int32
  private let unread = Lock<[UInt8]>([])
  private let sending = Lock<Void>(())

  /// Takes the descriptor over; it is closed with the channel.
  package init(descriptor: Int32) {
    self.descriptor = descriptor
  }

  deinit {
    close(descriptor)
  }

  /// Two ends that are connected.
  package static func pair() throws(Closed) -> (host: ControlChannel, worker: ControlChannel) {
    var ends: [Int32] = [0, 0]
    guard socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0, &ends) == 0 else {
      throw Closed()
    }
    return (ControlChannel(descriptor: ends[0]), ControlChannel(descriptor: ends[1]))
  }

  /// Sends one message; may be called from any thread, and waits while the other side does not read.
  package func send(_ message: some Encodable) throws(Closed) {
    guard var line = try? Array(JSONEncoder().encode(message)) else { throw Closed() }
    line.append(0x0a)
    try sending.withLock { (_) throws(Closed) in
      var sent = 0
      while sent < line.count {
        let count = line.withUnsafeBytes { bytes in
          Glibc.send(descriptor, bytes.baseAddress?.advanced(by: sent), bytes.count - sent, Int32(MSG_NOSIGNAL))
        }
        if count < 0, errno == EINTR { continue }
        guard count > 0 else { throw Closed() }
        sent += count
      }
    }
  }

  /// Waits for the next message until `timeout` milliseconds have passed (-1: for ever) or `other` can be read; nil then.
  ///
  /// For one thread.
  package func receive<Message: Decodable>(
    _ type: Message.Type, timeout: Int32, orFor other: Int32 = -1
  ) throws(Closed) -> Message? {
    if let message = try next(type) { return message }
    var awaited = [descriptor, other].map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
    guard poll(&awaited, 2, timeout) > 0, awaited[0].revents != 0 else { return nil }
    try fill()
    return try next(type)
  }

  /// Reads what has come without waiting, and returns the whole messages in it.
  ///
  /// For one thread.
  package func available<Message: Decodable>(_ type: Message.Type) throws(Closed) -> [Message] {
    try fill()
    var messages: [Message] = []
    while let message = try next(type) { messages.append(message) }
    return messages
  }

  private func fill() throws(Closed) {
    var buffer = [UInt8](repeating: 0, count: 65_536)
    let count = recv(descriptor, &buffer, buffer.count, Int32(MSG_DONTWAIT))
    if count < 0, errno == EAGAIN || errno == EINTR { return }
    guard count > 0 else { throw Closed() }
    let size = unread.withLock { unread in
      unread.append(contentsOf: buffer[..<count])
      return unread.count
    }
    if size > Self.messageLimit { throw Closed() }
  }

  private func next<Message: Decodable>(_ type: Message.Type) throws(Closed) -> Message? {
    let line = unread.withLock { unread -> [UInt8]? in
      guard let end = unread.firstIndex(of: 0x0a) else { return nil }
      defer { unread.removeFirst(end + 1) }
      return Array(unread[..<end])
    }
    guard let line else { return nil }
    guard let message = try? JSONDecoder().decode(type, from: Data(line)) else { throw Closed() }
    return message
  }
}
