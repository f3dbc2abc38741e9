// SPDX-License-Identifier: Apache-2.0
internal import CMicrohttpd
internal import Glibc
internal import TaskModel
internal import Threading

/// What the library calls, all inside MHD_run or MHD_stop_daemon and so on the loop thread.
extension EventLoop {
  /// Bytes of a refused body that are read and dropped before the connection is cut.
  private static let discardLimit = 256 << 20
  /// Memory taken at once for a body of announced length; more only as it arrives.
  private static let firstReserve = 64 << 10

  // MARK: Connections

  func opened(_ descriptor: Int32) -> ClientConnection {
    let client = ClientConnection(
      descriptor: descriptor, index: clients.count, deadline: deadline(settings.timeouts.request))
    clients.append(client)
    // Edge-triggered and registered once: parked requests then cost no system call of their own.
    watch(
      descriptor, EPOLLRDHUP.rawValue | EPOLLET.rawValue,
      UInt64(UInt(bitPattern: Unmanaged.passUnretained(client).toOpaque())))
    return client
  }

  func closed(_ client: ClientConnection) {
    unwatch(client.descriptor)
    if client.lingering >= 0 { startLingering(client.lingering) }
    let last = clients.removeLast()
    guard last !== client else { return }
    clients[client.index] = last
    last.index = client.index
  }

  // MARK: One request

  func started(_ client: ClientConnection, _ connection: OpaquePointer, _ target: UnsafeBufferPointer<UInt8>)
    -> Exchange
  {
    let exchange = Exchange(mailbox: mailbox, client: client, connection: connection)
    exchange.targetLength = target.count
    do throws(HTTPRefusal) {
      exchange.target = try RequestTarget(target)
    } catch {
      exchange.refusal = error
    }
    client.exchange = exchange
    client.deadline = deadline(settings.timeouts.request)
    underWay += 1
    return exchange
  }

  /// The headers are here, the body is not.
  func receivedHeaders(
    _ exchange: Exchange, targetEndsIn version: UnsafePointer<CChar>?, at target: UnsafePointer<CChar>?
  ) -> MHD_Result {
    exchange.stage = .receiving
    exchange.readHeaders()
    if let target, let version, version.pointee != 0, target + exchange.targetLength + 1 != version {
      exchange.refusal = exchange.refusal ?? .malformedTarget("the request target has a NUL")
    }
    let announced = exchange.announcedLength ?? 0
    if announced > settings.maxBody { exchange.refusal = .bodyTooLarge(limit: settings.maxBody) }
    // A proxy in front and this server could each see the body's end elsewhere.
    let isAmbiguous = exchange.announcedLength != nil && exchange.hasTransferEncoding
    if isAmbiguous { exchange.refusal = .ambiguousLength }
    guard exchange.refusal != nil else {
      if announced > 0 { exchange.body.reserveCapacity(min(announced, Self.firstReserve)) }
      return .YES
    }
    exchange.stage = .discarding
    // An answer before the body makes the library close the connection, so a body within the limit is read to its end.
    guard announced > settings.maxBody || isAmbiguous else { return .YES }
    keepForLingering(exchange.client)
    return refuse(exchange)
  }

  func receivedBody(_ exchange: Exchange, _ bytes: UnsafeRawBufferPointer) -> MHD_Result {
    if exchange.stage == .receiving {
      if exchange.body.count + bytes.count <= settings.maxBody {
        exchange.body.append(contentsOf: bytes)
        return .YES
      }
      exchange.stage = .discarding
      exchange.refusal = .bodyTooLarge(limit: settings.maxBody)
      exchange.discarded = exchange.body.count
      exchange.body = []
    }
    exchange.discarded += bytes.count
    return exchange.discarded <= Self.discardLimit ? .YES : .NO
  }

  /// The request is whole: hands it to the handler and sends what that answered at once.
  func receivedAll(_ exchange: Exchange, method: UnsafePointer<CChar>?) -> MHD_Result {
    if exchange.stage == .discarding { return refuse(exchange) }
    exchange.stage = .handed
    exchange.client.deadline = .max
    let name = method.map { String(cString: $0) } ?? ""
    let request = HTTPRequest(
      method: name == "HEAD" ? "GET" : name, path: exchange.target.path, segments: exchange.target.segments,
      query: exchange.target.query, headers: exchange.headers, body: exchange.body)
    exchange.body = []
    if exchange.client.hasGone { _ = exchange.clientHasGone(isDead: false) }
    settings.handler(request, HTTPResponder(exchange: exchange))
    if exchange.isAnswered { return proceed(exchange) }
    // The library calls again in its next round, and then is past reading: a connection that is suspended here would be
    // read from first when it is resumed, and closed without its answer if the client had ended its sending half. Also
    // many answers are here by then, which saves the suspending.
    unsettled += 1
    return .YES
  }

  /// Sends, parks or closes a request that its handler has; called in the round after that and after a resume.
  func proceed(_ exchange: Exchange) -> MHD_Result {
    guard !isEnding else { return .NO }
    switch exchange.settle() {
    case .send(let answer): return send(answer, exchange)
    case .close: return .NO
    case .park:
      exchange.isSuspended = true
      MHD_suspend_connection(exchange.connection)
      return .YES
    }
  }

  /// The answer has gone out, or the connection has ended.
  func completed(_ exchange: Exchange) {
    exchange.client.exchange = nil
    exchange.client.deadline = deadline(settings.timeouts.idle)
    exchange.isSuspended = false
    underWay -= 1
    exchange.end()
  }

  // MARK: Answers

  private func refuse(_ exchange: Exchange) -> MHD_Result {
    guard let refusal = exchange.refusal, let answer = PreparedResponse(settings.problem(refusal)) else { return .NO }
    return send(answer, exchange)
  }

  private func send(_ answer: PreparedResponse, _ exchange: Exchange) -> MHD_Result {
    if isStopping { answer.closeConnectionAfterwards() }
    exchange.stage = .answered
    exchange.client.deadline = deadline(settings.timeouts.answer(of: answer.bodyCount))
    defer { answer.release() }
    return MHD_queue_response(exchange.connection, answer.status, answer.pointer)
  }

  private func deadline(_ time: Duration) -> Int64 { MonotonicClock.millis + time.millis }
}

extension Exchange {
  /// Copies the headers that a request keeps; values of a repeated one are joined by commas where that is allowed.
  func readHeaders() {
    let context = Unmanaged.passUnretained(self).toOpaque()
    MHD_get_connection_values_n(
      connection, .HEADER_KIND,
      { context, _, name, nameLength, value, valueLength in
        guard let context, let name else { return .YES }
        let exchange = Unmanaged<Exchange>.fromOpaque(context).takeUnretainedValue()
        exchange.keepHeader(
          UnsafeRawBufferPointer(start: name, count: nameLength),
          UnsafeRawBufferPointer(start: value, count: value == nil ? 0 : valueLength))
        return .YES
      }, context)
  }

  private func keepHeader(_ name: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) {
    guard let kept = HTTPHeaderName.kept.first(where: { HTTPHeaderName.equal($0.utf8, name) }) else { return }
    let text = String(decoding: value, as: UTF8.self)
    if let index = headers.firstIndex(where: { $0.name == kept }) {
      if HTTPHeaderName.single.contains(kept) { refusal = .repeatedHeader(kept) }
      headers[index].value += ", " + text
    } else {
      headers.append((kept, text))
    }
  }

  var hasTransferEncoding: Bool {
    MHD_lookup_connection_value(connection, .HEADER_KIND, "Transfer-Encoding") != nil
  }

  /// Content-Length; nil when there is none, as with a chunked body.
  var announcedLength: Int? {
    headers.first { $0.name == "content-length" }.flatMap { Int($0.value) }
  }
}
