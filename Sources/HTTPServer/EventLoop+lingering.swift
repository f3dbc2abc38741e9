// SPDX-License-Identifier: Apache-2.0
internal import CMicrohttpd
internal import Glibc
internal import Threading

/// Closing without loss: a socket that is closed with unread input resets the connection, and the client may never see
/// the answer that refused its body. So the socket stays open for a while and what comes is thrown away.
extension EventLoop {
  private static let lingeringLimit = 256
  /// Milliseconds; a client that is still sending then has ignored its answer.
  private static let lingeringMillis: Int64 = 10_000

  /// Keeps a second descriptor of the client's socket, before the library closes the first.
  func keepForLingering(_ client: ClientConnection) {
    guard client.lingering < 0, lingering.count < Self.lingeringLimit else { return }
    client.lingering = fcntl(client.descriptor, F_DUPFD_CLOEXEC, 0)
  }

  /// Ends the sending half and goes on reading.
  func startLingering(_ descriptor: Int32) {
    shutdown(descriptor, Int32(SHUT_WR))
    lingering[descriptor] = MonotonicClock.millis + Self.lingeringMillis
    watch(descriptor, EPOLLIN.rawValue, UInt64(descriptor) << 1 | PollTag.lingering)
  }

  /// Throws away what has come, a bounded part at a time.
  func discardInput(_ descriptor: Int32) {
    // With MSG_TRUNC the kernel drops the bytes of a TCP stream without copying them.
    let count = recv(descriptor, nil, 1 << 20, Int32(MSG_TRUNC | MSG_DONTWAIT))
    if count > 0 || count < 0 && [EAGAIN, EINTR].contains(errno) { return }
    endLingering(descriptor)
  }

  func endLingering(_ descriptor: Int32) {
    guard lingering.removeValue(forKey: descriptor) != nil else { return }
    close(descriptor)
  }
}
