// SPDX-License-Identifier: Apache-2.0
internal import CHiredis
internal import Glibc
internal import Synchronization
package import TaskModel

/// One blocking connection; it belongs to the thread that uses it.
package final class RedisConnection {
  package let address: RedisAddress
  private let context: UnsafeMutablePointer<redisContext>
  private let builder = ReplyBuilder()
  /// Milliseconds that an answer may take; -1: for ever.
  private var patience: Int32

  /// Connects, signs in, chooses the database and checks the version (Redis 7.0 or Valkey).
  ///
  /// `timeout` is for each answer; nil waits for ever (but not while connecting).
  package init(
    to address: RedisAddress, connectTimeout: Duration = .seconds(2), timeout: Duration?
  ) throws(RedisError) {
    self.address = address
    let limit = Self.timeval(connectTimeout)
    patience = Int32(clamping: connectTimeout.millis)
    let made: UnsafeMutablePointer<redisContext>?
    switch address.endpoint {
    case .tcp(let host, let port): made = redisConnectWithTimeout(host, Int32(port), limit)
    case .unix(let path): made = redisConnectUnixWithTimeout(path, limit)
    }
    guard let made else { throw .unreachable(address, reason: "out of memory") }
    context = made
    builder.build(for: made.pointee.reader)
    guard made.pointee.err == 0 else { throw .unreachable(address, reason: failure) }
    redisSetTimeout(context, limit)
    try introduce()
    redisSetTimeout(context, timeout.map(Self.timeval) ?? Glibc.timeval())
    patience = timeout.map { Int32(clamping: $0.millis) } ?? -1
    // Who waits for ever must still hear that the other machine is gone.
    if timeout == nil, case .tcp = address.endpoint { redisEnableKeepAlive(context) }
  }

  deinit {
    redisFree(context)
  }

  /// Adds a command to those that `send` or the next `reply` sends.
  package func append(_ command: RedisCommand) {
    for part in [command.head, command.bytes] {
      part.withUnsafeBytes { bytes in
        _ = redisAppendFormattedCommand(context, bytes.baseAddress?.assumingMemoryBound(to: CChar.self), bytes.count)
      }
    }
  }

  /// Sends what was appended, for who has something to do until the answers come.
  package func send() throws(RedisError) {
    var isSent: Int32 = 0
    while isSent == 0 {
      guard redisBufferWrite(context, &isSent) == REDIS_OK else { throw .disconnected(reason: failure) }
    }
  }

  /// Reads the next answer, after sending what was appended.
  package func reply() throws(RedisError) -> RedisReply {
    try waitForInput()
    var object: UnsafeMutableRawPointer?
    guard redisGetReply(context, &object) == REDIS_OK, let reply = builder.finish() else {
      throw .disconnected(reason: failure)
    }
    return reply
  }

  /// Sends what was appended and waits, unless something that came is not read yet.
  ///
  /// In poll(2), because a reader that sleeps in the read of a Unix socket is woken, for nothing, whenever the other end takes
  /// what it was sent, and waking it costs Redis as much as a small command.
  private func waitForInput() throws(RedisError) {
    guard let reader = context.pointee.reader, reader.pointee.pos >= reader.pointee.len else { return }
    try send()
    var input = pollfd(fd: context.pointee.fd, events: Int16(POLLIN), revents: 0)
    while true {
      let count = poll(&input, 1, patience)
      if count == 0 { throw .disconnected(reason: Self.late) }
      // Of any other failure the read will tell.
      if count > 0 || errno != EINTR { return }
    }
  }

  private static let late = "no answer in time"

  /// Sends one command and waits for its answer; an error answer is thrown.
  package func call(_ command: RedisCommand) throws(RedisError) -> RedisReply {
    append(command)
    let answer = try reply()
    if case .error(let reason) = answer { throw .refused(reason) }
    return answer
  }

  /// Another thread's means to end a wait on this connection.
  package var interrupter: RedisInterrupter { RedisInterrupter(duplicating: context.pointee.fd) }

  private func introduce() throws(RedisError) {
    if let password = address.password {
      var auth = RedisCommand("AUTH")
      if let user = address.user { auth.add(user) }
      auth.add(password)
      do { _ = try call(auth) } catch .refused(let reason) {
        guard Self.isFinal(reason) || reason.contains("without any password") else {
          throw .unreachable(address, reason: reason)
        }
        throw .unusable(address, reason: "the user or password in redis.url is wrong (\(reason))")
      }
    }
    let info: RedisReply
    do { info = try call(RedisCommand(words: "INFO", "server")) } catch .refused(let reason) {
      guard Self.isFinal(reason) else { throw .unreachable(address, reason: reason) }
      throw .unusable(address, reason: "\(reason); give user and password in redis.url")
    }
    try checkVersion(info.textValue ?? "")
    guard address.database != 0 else { return }
    do { _ = try call(RedisCommand(words: "SELECT", String(address.database))) } catch .refused(let reason) {
      throw .unusable(address, reason: "database \(address.database) cannot be chosen (\(reason))")
    }
  }

  /// Whether signing in is refused for good; a Redis that is loading or has too many clients is only away.
  private static func isFinal(_ reason: String) -> Bool {
    ["WRONGPASS", "NOAUTH", "NOPERM"].contains { reason.hasPrefix($0) }
  }

  private func checkVersion(_ info: String) throws(RedisError) {
    func field(_ name: String) -> Substring? {
      info.split(whereSeparator: \.isNewline).first { $0.hasPrefix(name + ":") }?.dropFirst(name.utf8.count + 1)
    }
    if field("valkey_version") != nil { return }
    let version = field("redis_version") ?? "unknown"
    guard let major = version.split(separator: ".").first.flatMap({ Int($0) }), major >= 7 else {
      throw .unusable(address, reason: "its version is \(version); Roost needs Redis 7.0 or later, or Valkey")
    }
  }

  private var failure: String {
    let code = context.pointee.err
    if code == REDIS_ERR_IO, errno == EAGAIN { return Self.late }
    let text = withUnsafeBytes(of: context.pointee.errstr) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
    return text.isEmpty ? "error \(code)" : text
  }

  private static func timeval(_ duration: Duration) -> timeval {
    let millis = duration.millis
    return Glibc.timeval(tv_sec: Int(millis / 1000), tv_usec: Int(millis % 1000) * 1000)
  }
}

/// Ends a blocking wait on a connection from another thread.
package final class RedisInterrupter: Sendable {
  /// A duplicate, so that shutting down can never hit a descriptor that was closed and given to somebody else.
  private let descriptor: Int32

  init(duplicating descriptor: Int32) {
    self.descriptor = fcntl(descriptor, F_DUPFD_CLOEXEC, 0)
  }

  deinit {
    close(descriptor)
  }

  /// Any wait under way, and every later use of the connection, fails with `.disconnected`.
  package func interrupt() { shutdown(descriptor, Int32(SHUT_RDWR)) }
}
