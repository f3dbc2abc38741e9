// SPDX-License-Identifier: Apache-2.0
internal import CMicrohttpd
internal import Glibc

/// The C functions that libmicrohttpd gets: they find the objects behind its pointers and do nothing else.
extension EventLoop {
  /// Unretained: the loop outlives its daemon, because its thread holds it until the daemon is stopped.
  static func callbacks(for loop: EventLoop) -> roost_mhd_callbacks {
    roost_mhd_callbacks(
      context: Unmanaged.passUnretained(loop).toOpaque(), access: access, completed: requestCompleted,
      connection: connectionChanged, request_line: requestLine, unescape: leaveEscaped)
  }

  private static func loop(_ context: UnsafeMutableRawPointer?) -> EventLoop? {
    context.map { Unmanaged<EventLoop>.fromOpaque($0).takeUnretainedValue() }
  }

  /// Called for the headers, for each part of the body, for its end, and again after a resume.
  private static let access: MHD_AccessHandlerCallback = {
    context, _, url, method, version, bytes, count, exchangeContext in
    guard let loop = loop(context), !loop.isEnding, let count, let held = exchangeContext?.pointee else { return .NO }
    let exchange = Unmanaged<Exchange>.fromOpaque(held).takeUnretainedValue()
    switch exchange.stage {
    case .requestLine:
      return loop.receivedHeaders(exchange, targetEndsIn: version, at: url)
    case .receiving, .discarding:
      guard count.pointee > 0 else { return loop.receivedAll(exchange, method: method) }
      let part = UnsafeRawBufferPointer(start: bytes, count: count.pointee)
      count.pointee = 0
      return loop.receivedBody(exchange, part)
    case .handed:
      return loop.proceed(exchange)
    case .answered:
      return .NO
    }
  }

  /// Called with the raw target before anything else of a request is read; what it returns is the request's context.
  private static let requestLine:
    @convention(c) (UnsafeMutableRawPointer?, UnsafePointer<CChar>?, OpaquePointer?) -> UnsafeMutableRawPointer? = {
      context, target, connection in
      guard let loop = loop(context), let target, let connection, let held = roost_mhd_socket_context(connection)
      else { return nil }
      let client = Unmanaged<ClientConnection>.fromOpaque(held).takeUnretainedValue()
      let bytes = UnsafeRawBufferPointer(start: target, count: strlen(target))
      return bytes.withMemoryRebound(to: UInt8.self) {
        Unmanaged.passRetained(loop.started(client, connection, $0)).toOpaque()
      }
    }

  private static let requestCompleted: MHD_RequestCompletedCallback = { context, _, exchangeContext, _ in
    guard let loop = loop(context), let held = exchangeContext?.pointee else { return }
    exchangeContext?.pointee = nil
    let exchange = Unmanaged<Exchange>.fromOpaque(held).takeRetainedValue()
    loop.completed(exchange)
  }

  private static let connectionChanged: MHD_NotifyConnectionCallback = { context, connection, clientContext, event in
    guard let loop = loop(context), let connection, let clientContext else { return }
    if event == .CONNECTION_NOTIFY_STARTED {
      // Unretained: the loop's list holds it until it is closed.
      let client = loop.opened(roost_mhd_socket(connection))
      clientContext.pointee = Unmanaged.passUnretained(client).toOpaque()
    } else if let held = clientContext.pointee {
      loop.closed(Unmanaged<ClientConnection>.fromOpaque(held).takeUnretainedValue())
    }
  }

  /// The target is decoded from what `requestLine` got, part by part.
  private static let leaveEscaped:
    @convention(c) (UnsafeMutableRawPointer?, OpaquePointer?, UnsafeMutablePointer<CChar>?) -> Int = { _, _, text in
      text.map { strlen($0) } ?? 0
    }
}
