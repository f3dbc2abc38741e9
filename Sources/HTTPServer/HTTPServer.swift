// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import Synchronization
internal import Threading

/// An HTTP/1.1 server on one thread of its own; requests that wait for their answer hold no thread.
///
/// It needs a descriptor per connection: raise the soft limit of open files to have all 12,000 connections.
package final class HTTPServer: Sendable {
  /// Where it listens, with the real port.
  package let address: HTTPAddress
  private let loop: EventLoop
  private let thread: Lock<pthread_t?>

  /// Binds, listens and serves from now on.
  ///
  /// - Parameters:
  ///   - listen: where; port 0 takes a free one.
  ///   - maxBody: bytes of a body that are accepted; a larger one is refused with 413 and not kept in memory.
  ///   - timeouts: when a slow or idle client is cut off.
  ///   - problem: makes the answer of a request that the server refuses itself; called on the loop thread.
  ///   - handler: gets each request once it is whole, on the loop thread; it must not block.
  /// - Throws: `HTTPServerError` when the address cannot be had.
  package init(
    listen: HTTPAddress, maxBody: Int, timeouts: HTTPTimeouts = HTTPTimeouts(),
    problem: @escaping @Sendable (HTTPRefusal) -> HTTPResponse,
    handler: @escaping @Sendable (HTTPRequest, HTTPResponder) -> Void
  ) throws(HTTPServerError) {
    let listener = try ListeningSocket(listen)
    loop = try EventLoop(
      listener, EventLoop.Settings(maxBody: maxBody, timeouts: timeouts, problem: problem, handler: handler))
    address = listener.address
    thread = Lock(try Self.start(loop, listener.address))
  }

  deinit {
    stop(within: .zero)
    thread.withLock { running in
      if let running { pthread_detach(running) }
    }
  }

  /// Stops accepting, lets the requests under way be answered, closes all connections and waits for the loop to end.
  ///
  /// Requests that come on open connections meanwhile are still handled, their answers close the connection. May be
  /// called again and from any thread; on the loop thread itself it does not wait.
  package func stop(within limit: Duration) {
    loop.requestStop(within: limit)
    guard !loop.isCurrentThread else { return }
    // Held while waiting, so that every caller returns after the end.
    thread.withLock { running in
      guard let thread = running else { return }
      pthread_join(thread, nil)
      running = nil
    }
  }

  private static func start(_ loop: EventLoop, _ address: HTTPAddress) throws(HTTPServerError) -> pthread_t {
    // The thread inherits this mask: signals are for other threads, and a client that went away raises no SIGPIPE.
    var all = sigset_t()
    var before = sigset_t()
    sigfillset(&all)
    pthread_sigmask(SIG_SETMASK, &all, &before)
    defer { pthread_sigmask(SIG_SETMASK, &before, nil) }
    let held = Unmanaged.passRetained(loop)
    var thread = pthread_t()
    let code = pthread_create(
      &thread, nil,
      { context in
        guard let context else { return nil }
        Unmanaged<EventLoop>.fromOpaque(context).takeRetainedValue().run()
        return nil
      }, held.toOpaque())
    guard code == 0 else {
      held.release()
      loop.closeUnstarted()
      throw .systemCall(address, call: "pthread_create", code: code)
    }
    return thread
  }
}
