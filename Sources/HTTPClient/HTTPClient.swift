// SPDX-License-Identifier: Apache-2.0
internal import CCurl
internal import Glibc

/// Speaks HTTP to one server over a connection that is kept open; for one thread at a time, which it blocks.
package final class HTTPClient {
  /// The server as it was named, without a slash at the end.
  package let base: String
  private let token: String?
  private let handle: UnsafeMutableRawPointer

  /// Takes the URL that every path is appended to, as in `http://127.0.0.1:7411`; nothing is connected yet.
  package init(_ base: String, token: String? = nil) throws(HTTPClientError) {
    guard base.hasPrefix("http://") || base.hasPrefix("https://"),
      base.utf8.allSatisfy({ $0 > 0x20 && $0 != 0x7f })
    else { throw .badURL(base) }
    guard startLibrary == CURLE_OK, let handle = curl_easy_init() else {
      throw .failed(reason: "libcurl does not start")
    }
    var trimmed = base[...]
    while trimmed.hasSuffix("/") { trimmed.removeLast() }
    self.base = String(trimmed)
    self.token = token
    self.handle = handle
  }

  deinit {
    curl_easy_cleanup(handle)
  }

  /// Sends one request and waits for the whole reply, whatever its status.
  ///
  /// `path` begins with a slash and may have a query. `timeout` bounds the whole exchange, connecting gets 5 s of it.
  package func send(
    _ method: String, _ path: String, body: [UInt8]? = nil, headers: [(String, String)] = [],
    timeout: Duration = .seconds(30)
  ) throws(HTTPClientError) -> HTTPReply {
    // Forgets the last request's options, keeps its connection.
    curl_easy_reset(handle)
    let body = body ?? (method == "POST" || method == "PUT" ? [] : nil)
    var fields = headers
    if let token { fields.append(("Authorization", "Bearer \(token)")) }
    if body != nil, !headers.contains(where: { $0.0.lowercased() == "content-type" }) {
      fields.append(("Content-Type", "application/json"))
    }
    // No header is left out when memory is short: an empty list ends the request before it begins.
    let lines = fields.reduce(curl_slist_append(nil, "Expect:")) { lines, field in
      lines.flatMap { curl_slist_append($0, "\(field.0): \(field.1)") }
    }
    guard let lines else { throw .failed(reason: "out of memory") }
    defer { curl_slist_free_all(lines) }

    setOptions(method, path, lines, timeout)
    let buffer = ReplyBuffer()
    let code = withExtendedLifetime(buffer) {
      receive(into: buffer)
      guard let body else { return curl_easy_perform(handle) }
      roost_curl_set_offset(handle, CURLOPT_POSTFIELDSIZE_LARGE, curl_off_t(body.count))
      // An empty array has no address, and without one libcurl would read a body from standard input.
      return (body.isEmpty ? [0] : body).withUnsafeBytes { bytes in
        roost_curl_set_pointer(handle, CURLOPT_POSTFIELDS, UnsafeMutableRawPointer(mutating: bytes.baseAddress))
        return curl_easy_perform(handle)
      }
    }
    guard code == CURLE_OK else { throw failure(code, timeout) }
    return HTTPReply(status: number(CURLINFO_RESPONSE_CODE), headers: buffer.headers, body: buffer.body)
  }

  private func setOptions(
    _ method: String, _ path: String, _ lines: UnsafeMutablePointer<curl_slist>, _ timeout: Duration
  ) {
    roost_curl_set_text(handle, CURLOPT_URL, base + path)
    roost_curl_set_text(handle, CURLOPT_CUSTOMREQUEST, method)
    if method == "HEAD" { roost_curl_set_long(handle, CURLOPT_NOBODY, 1) }
    roost_curl_set_list(handle, CURLOPT_HTTPHEADER, lines)
    roost_curl_set_text(handle, CURLOPT_PROTOCOLS_STR, "http,https")
    roost_curl_set_text(handle, CURLOPT_USERAGENT, "roost")
    roost_curl_set_long(handle, CURLOPT_PATH_AS_IS, 1)
    // Signals belong to the program, and this may be one of many threads.
    roost_curl_set_long(handle, CURLOPT_NOSIGNAL, 1)
    roost_curl_set_long(handle, CURLOPT_CONNECTTIMEOUT_MS, 5000)
    let (seconds, attoseconds) = timeout.components
    roost_curl_set_long(
      handle, CURLOPT_TIMEOUT_MS, max(1, Int(seconds) * 1000 + Int(attoseconds / 1_000_000_000_000_000)))
    // A proxy of the environment cannot reach this machine's loopback.
    if isLoopback(base) { roost_curl_set_text(handle, CURLOPT_PROXY, "") }
  }

  private func receive(into buffer: ReplyBuffer) {
    let pointer = Unmanaged.passUnretained(buffer).toOpaque()
    roost_curl_set_pointer(handle, CURLOPT_WRITEDATA, pointer)
    roost_curl_set_write(handle, CURLOPT_WRITEFUNCTION) { data, _, count, target in
      guard let (buffer, bytes) = part(data, count, target) else { return 0 }
      buffer.append(bytes)
      return count
    }
    roost_curl_set_pointer(handle, CURLOPT_HEADERDATA, pointer)
    roost_curl_set_write(handle, CURLOPT_HEADERFUNCTION) { data, _, count, target in
      guard let (buffer, bytes) = part(data, count, target) else { return 0 }
      buffer.append(headerLine: bytes)
      return count
    }
  }

  private func failure(_ code: CURLcode, _ timeout: Duration) -> HTTPClientError {
    let reason = String(cString: curl_easy_strerror(code))
    switch code {
    case CURLE_URL_MALFORMAT, CURLE_UNSUPPORTED_PROTOCOL: return .badURL(base)
    case CURLE_COULDNT_RESOLVE_HOST, CURLE_COULDNT_RESOLVE_PROXY, CURLE_SSL_CONNECT_ERROR,
      CURLE_PEER_FAILED_VERIFICATION:
      return .unreachable(url: base, reason: reason)
    case CURLE_COULDNT_CONNECT:
      let error = number(CURLINFO_OS_ERRNO)
      return .unreachable(url: base, reason: error == 0 ? reason : String(cString: strerror(Int32(error))))
    case CURLE_OPERATION_TIMEDOUT:
      // Without a connection nothing was sent.
      return number(CURLINFO_NUM_CONNECTS) == 0 && number(CURLINFO_REQUEST_SIZE) == 0
        ? .unreachable(url: base, reason: "it does not answer") : .timedOut(url: base, after: timeout)
    case CURLE_OUT_OF_MEMORY, CURLE_FAILED_INIT: return .failed(reason: reason)
    default: return .broken(url: base, reason: reason)
    }
  }

  private func number(_ info: CURLINFO) -> Int {
    var value = 0
    roost_curl_get_long(handle, info, &value)
    return value
  }
}

/// libcurl's one-time start, which is not safe on two threads at once.
private let startLibrary = curl_global_init(Int(CURL_GLOBAL_DEFAULT))

private func part(
  _ data: UnsafeMutablePointer<CChar>?, _ count: Int, _ target: UnsafeMutableRawPointer?
) -> (ReplyBuffer, UnsafeBufferPointer<UInt8>)? {
  guard let data, let target else { return nil }
  let bytes = UnsafeRawPointer(data).assumingMemoryBound(to: UInt8.self)
  return (
    Unmanaged<ReplyBuffer>.fromOpaque(target).takeUnretainedValue(), UnsafeBufferPointer(start: bytes, count: count)
  )
}

private func isLoopback(_ url: String) -> Bool {
  ["http://127.", "http://localhost", "http://[::1]", "https://127.", "https://localhost", "https://[::1]"]
    .contains { url.hasPrefix($0) }
}
