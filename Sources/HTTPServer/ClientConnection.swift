// SPDX-License-Identifier: Apache-2.0

/// One client's socket, from its acceptance until it is closed; touched on the loop thread only.
final class ClientConnection {
  let descriptor: Int32
  /// Where it stands in the loop's list.
  var index: Int
  /// When its socket is shut down, in milliseconds of the monotonic clock; `.max` while a handler has the request.
  var deadline: Int64
  /// The request under way; unretained, because libmicrohttpd holds it from the request line until it is completed.
  unowned(unsafe) var exchange: Exchange?
  /// Whether the client has closed its sending half, or all.
  var hasGone = false
  /// A second descriptor of the socket, kept to read what the client still sends after an early answer; -1: none.
  var lingering: Int32 = -1

  init(descriptor: Int32, index: Int, deadline: Int64) {
    self.descriptor = descriptor
    self.index = index
    self.deadline = deadline
  }
}
