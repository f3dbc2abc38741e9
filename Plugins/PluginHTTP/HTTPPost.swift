// SPDX-License-Identifier: Apache-2.0
import CCurl
import Glibc
import RoostPlugin

/// One POST that follows no redirect, used by one thread, which it holds until the exchange has ended.
package final class HTTPPost {
  /// What the exchange may take.
  package struct Limits: Sendable {
    /// For the connection, TLS included.
    package let connect: Duration
    /// Between two bytes of the answer; nil: as long as the whole.
    package let silence: Duration?
    package let whole: Duration

    package init(connect: Duration, silence: Duration? = nil, whole: Duration) {
      (self.connect, self.silence, self.whole) = (connect, silence, whole)
    }
  }

  /// What came back.
  package struct Reply: Sendable {
    /// Of an answer whose headers are complete; 0: none came.
    package let status: Int
    /// What the answer's `Retry-After` asks for, at most a day.
    package let retryAfter: Duration?
    package let ending: Ending
  }

  package enum Ending: Sendable, Equatable {
    /// Everything came, or as much as the receiver wanted; the status is not 0.
    case whole
    /// The host asked the task to stop.
    case stopped
    /// The connection failed, or a limit was reached; why, without the URL.
    case broken(String)
  }

  /// Takes the next bytes of an answer's body; false: that is enough.
  package typealias Receiver = (_ status: Int, _ bytes: UnsafeRawBufferPointer) throws -> Bool

  /// How soon a request to stop is seen while nothing comes.
  private static let pollMillis: Int32 = 100
  private static let headerLimit = 256 << 10

  private let body: [UInt8]
  private let limits: Limits
  private let mayConnect: (IPAddress) -> Bool
  private let easy: UnsafeMutableRawPointer
  private let multi: UnsafeMutableRawPointer
  private let headers: UnsafeMutablePointer<curl_slist>

  private var receive: Receiver = { _, _ in true }
  private var status = 0
  private var retryAfter: Duration?
  private var headerBytes = 0
  private var lastByte = ContinuousClock.now
  private var hasEnough = false
  /// What the receiver threw; thrown on once libcurl has returned.
  private var thrown: (any Error)?

  /// Prepares libcurl, once for each plugin, on the control thread.
  package static func setUp() throws(TaskRejection) {
    let code = curl_global_init(Int(CURL_GLOBAL_DEFAULT))
    guard code == CURLE_OK else {
      throw TaskRejection("libcurl does not start: \(String(cString: curl_easy_strerror(code)))")
    }
  }

  /// Prepares a request; nothing is connected yet.
  ///
  /// `mayConnect` is asked for every address before a socket for it is opened, so that no later answer of a name server counts.
  /// With `usesProxy` it sees the proxy's address, if the environment names one.
  package init(
    _ url: String, headers lines: [String], body: [UInt8], limits: Limits, usesProxy: Bool,
    mayConnect: @escaping (IPAddress) -> Bool = { _ in true }
  ) throws(TaskFailure) {
    // No header is left out when memory is short: an empty list ends the request before it begins.
    let headers = lines.reduce(curl_slist_append(nil, "Expect:")) { list, line in
      list.flatMap { curl_slist_append($0, line) }
    }
    guard let headers, let easy = curl_easy_init(), let multi = curl_multi_init() else {
      throw TaskFailure("out of memory for a request")
    }
    (self.body, self.limits, self.mayConnect) = (body, limits, mayConnect)
    (self.easy, self.multi, self.headers) = (easy, multi, headers)
    setOptions(url, usesProxy: usesProxy)
    setCallbacks()
  }

  deinit {
    curl_easy_cleanup(easy)
    curl_multi_cleanup(multi)
    curl_slist_free_all(headers)
  }

  /// Sends the request, once, and hands on the answer's body until it or a limit ends, or the task has to stop.
  package func run(context: TaskContext, receive: @escaping Receiver) throws -> Reply {
    self.receive = receive
    defer { self.receive = { _, _ in true } }
    let ending = body.withUnsafeBytes { body in
      roost_curl_set_pointer(easy, CURLOPT_POSTFIELDS, UnsafeMutableRawPointer(mutating: body.baseAddress))
      return drive(context)
    }
    if let thrown { throw thrown }
    return Reply(status: status, retryAfter: retryAfter, ending: ending)
  }

  private func drive(_ context: TaskContext) -> Ending {
    curl_multi_add_handle(multi, easy)
    defer { curl_multi_remove_handle(multi, easy) }
    lastByte = .now
    while true {
      var running: Int32 = 0
      let code = curl_multi_perform(multi, &running)
      guard code == CURLM_OK else { return .broken(String(cString: curl_multi_strerror(code))) }
      if running == 0 { return finished }
      if context.isCancelled { return .stopped }
      if let silence = limits.silence, ContinuousClock.now - lastByte > silence {
        return .broken("it sent nothing for \(silence)")
      }
      curl_multi_poll(multi, nil, 0, Self.pollMillis, nil)
    }
  }

  private var finished: Ending {
    var left: Int32 = 0
    guard let message = curl_multi_info_read(multi, &left) else { return .broken("libcurl lost the request") }
    let code = message.pointee.data.result
    guard code == CURLE_OK || hasEnough else { return .broken(reason(code)) }
    // libcurl takes an answer that ends there for a whole one.
    return status == 0 ? .broken("its answer ended inside the headers") : .whole
  }

  private func reason(_ code: CURLcode) -> String {
    switch code {
    case CURLE_OPERATION_TIMEDOUT where number(CURLINFO_REQUEST_SIZE) == 0:
      return "no connection within \(min(limits.connect, limits.whole))"
    case CURLE_OPERATION_TIMEDOUT:
      return "no whole answer within \(limits.whole)"
    case CURLE_UNSUPPORTED_PROTOCOL:
      return "what it answers is not HTTP"
    case CURLE_PEER_FAILED_VERIFICATION:
      return "its certificate is not trusted, or not made for this name"
    case CURLE_COULDNT_CONNECT where number(CURLINFO_OS_ERRNO) != 0:
      return String(cString: strerror(Int32(number(CURLINFO_OS_ERRNO))))
    default:
      return String(cString: curl_easy_strerror(code))
    }
  }

  private func number(_ info: CURLINFO) -> Int {
    var value = 0
    roost_curl_get_long(easy, info, &value)
    return value
  }

  // MARK: Options

  private func setOptions(_ url: String, usesProxy: Bool) {
    roost_curl_set_text(easy, CURLOPT_URL, url)
    roost_curl_set_text(easy, CURLOPT_PROTOCOLS_STR, "http,https")
    if !usesProxy { roost_curl_set_text(easy, CURLOPT_PROXY, "") }
    roost_curl_set_long(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1)
    // Without it libcurl uses signals for its timeouts, in a process that is not ours.
    roost_curl_set_long(easy, CURLOPT_NOSIGNAL, 1)
    // Without it the end of the request waits for a silent name server.
    roost_curl_set_long(easy, CURLOPT_QUICK_EXIT, 1)
    roost_curl_set_long(easy, CURLOPT_CONNECTTIMEOUT_MS, Int(limits.connect / .milliseconds(1)))
    roost_curl_set_long(easy, CURLOPT_TIMEOUT_MS, Int(limits.whole / .milliseconds(1)))
    roost_curl_set_long(easy, CURLOPT_POST, 1)
    roost_curl_set_offset(easy, CURLOPT_POSTFIELDSIZE_LARGE, curl_off_t(body.count))
    roost_curl_set_list(easy, CURLOPT_HTTPHEADER, headers)
  }

  private func setCallbacks() {
    let me = Unmanaged.passUnretained(self).toOpaque()
    roost_curl_set_pointer(easy, CURLOPT_WRITEDATA, me)
    roost_curl_set_write(easy, CURLOPT_WRITEFUNCTION) { bytes, size, count, me in
      HTTPPost.at(me).received(UnsafeRawBufferPointer(start: bytes, count: size * count)) ? size * count : 0
    }
    roost_curl_set_pointer(easy, CURLOPT_HEADERDATA, me)
    roost_curl_set_write(easy, CURLOPT_HEADERFUNCTION) { bytes, size, count, me in
      HTTPPost.at(me).receivedHeader(UnsafeRawBufferPointer(start: bytes, count: size * count)) ? size * count : 0
    }
    roost_curl_set_pointer(easy, CURLOPT_OPENSOCKETDATA, me)
    roost_curl_set_open_socket(easy) { me, _, address in
      address.map { HTTPPost.at(me).socket(to: $0) } ?? CURL_SOCKET_BAD
    }
  }

  private static func at(_ pointer: UnsafeMutableRawPointer?) -> HTTPPost {
    guard let pointer else { preconditionFailure("libcurl lost the pointer that it was given") }
    return Unmanaged<HTTPPost>.fromOpaque(pointer).takeUnretainedValue()
  }

  // MARK: Called by libcurl

  /// Opened here also because libcurl's own sockets would be inherited by what other plugins of the process start.
  private func socket(to target: UnsafeMutablePointer<curl_sockaddr>) -> curl_socket_t {
    guard let offset = MemoryLayout<curl_sockaddr>.offset(of: \.addr) else { return CURL_SOCKET_BAD }
    // Longer than its declared type if the family's addresses are.
    let bytes = UnsafeRawBufferPointer(
      start: UnsafeRawPointer(target) + offset, count: Int(target.pointee.addrlen))
    guard let address = IPAddress(socketAddress: bytes), mayConnect(address) else { return CURL_SOCKET_BAD }
    return Glibc.socket(
      target.pointee.family, target.pointee.socktype | Int32(SOCK_CLOEXEC.rawValue), target.pointee.protocol)
  }

  private func receivedHeader(_ line: UnsafeRawBufferPointer) -> Bool {
    lastByte = .now
    headerBytes += line.count
    let text = String(decoding: line, as: UTF8.self)
    let parts = text.split(separator: ":", maxSplits: 1)
    if parts.count == 2, parts[0].lowercased() == "retry-after" {
      retryAfter = delay(retryAfter: parts[1])
    } else if text.allSatisfy(\.isNewline) {
      let code = number(CURLINFO_RESPONSE_CODE)
      if code >= 200 { status = code }
    }
    return headerBytes <= Self.headerLimit
  }

  private func received(_ bytes: UnsafeRawBufferPointer) -> Bool {
    lastByte = .now
    do {
      hasEnough = try !receive(status, bytes)
      return !hasEnough
    } catch {
      thrown = error
      return false
    }
  }
}
