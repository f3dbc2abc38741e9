// SPDX-License-Identifier: Apache-2.0
import CCurl
import FoundationEssentials
import Glibc
import RoostPlugin

/// One streamed request to the endpoint's `/chat/completions`, used by one thread.
final class ChatStream {
  /// Of an answer that is an error, so much is read for its message.
  private static let errorBodyLimit = 64 << 10

  private let settings: ArticleSettings
  private let body: [UInt8]
  private let handle: UnsafeMutableRawPointer
  private var headers: UnsafeMutablePointer<curl_slist>?

  private var parser = EventParser()
  private var errorBody: [UInt8] = []
  private var retryAfter: Duration?
  private var isDone = false
  /// What made a curl callback end the transfer; it is thrown once curl has returned.
  private var stopped: (any Error)?
  private var lastByte = ContinuousClock.now
  private var context: TaskContext?
  private var event: ([UInt8]) throws -> Void = { _ in }

  /// Prepares libcurl, once in a process, on the control thread.
  static func setUp() throws(TaskRejection) {
    let code = curl_global_init(Int(CURL_GLOBAL_DEFAULT))
    guard code == CURLE_OK else {
      throw TaskRejection("libcurl does not start: \(String(cString: curl_easy_strerror(code)))")
    }
  }

  init(_ settings: ArticleSettings, body: [UInt8]) throws {
    guard let handle = curl_easy_init() else { throw TaskFailure("libcurl gives no handle") }
    self.handle = handle
    self.settings = settings
    self.body = body
  }

  deinit {
    curl_easy_cleanup(handle)
    curl_slist_free_all(headers)
  }

  /// Runs the request to its end and hands on the data of each event; throws unless the whole stream came.
  func run(context: TaskContext, event: @escaping ([UInt8]) throws -> Void) throws {
    (self.context, self.event) = (context, event)
    defer { self.event = { _ in } }
    configure()
    lastByte = .now
    let code = body.withUnsafeBytes { body in
      roost_curl_set_pointer(handle, CURLOPT_POSTFIELDS, UnsafeMutableRawPointer(mutating: body.baseAddress))
      return curl_easy_perform(handle)
    }
    try check(code)
    if !isDone { try guarded { try parser.close(event: take) } }
  }

  private func configure() {
    let me = Unmanaged.passUnretained(self).toOpaque()
    roost_curl_set_text(handle, CURLOPT_URL, settings.endpoint + "/chat/completions")
    roost_curl_set_text(handle, CURLOPT_PROTOCOLS_STR, "http,https")
    // Without it libcurl uses signals for its timeouts, in a process that is not ours.
    roost_curl_set_long(handle, CURLOPT_NOSIGNAL, 1)
    roost_curl_set_long(handle, CURLOPT_CONNECTTIMEOUT_MS, Int(settings.connectTimeout / .milliseconds(1)))
    roost_curl_set_long(handle, CURLOPT_NOPROGRESS, 0)
    roost_curl_set_long(handle, CURLOPT_POST, 1)
    roost_curl_set_offset(handle, CURLOPT_POSTFIELDSIZE_LARGE, curl_off_t(body.count))
    var lines = [
      "Content-Type: application/json", "Accept: text/event-stream", "Expect:", "User-Agent: roost-article/1.0",
    ]
    if !settings.apiKey.isEmpty { lines.append("Authorization: Bearer \(settings.apiKey)") }
    for line in lines { headers = curl_slist_append(headers, line) }
    roost_curl_set_list(handle, CURLOPT_HTTPHEADER, headers)

    roost_curl_set_pointer(handle, CURLOPT_WRITEDATA, me)
    roost_curl_set_write(handle, CURLOPT_WRITEFUNCTION) { bytes, size, count, me in
      ChatStream.at(me).received(UnsafeRawBufferPointer(start: bytes, count: size * count)) ? size * count : 0
    }
    roost_curl_set_pointer(handle, CURLOPT_HEADERDATA, me)
    roost_curl_set_write(handle, CURLOPT_HEADERFUNCTION) { bytes, size, count, me in
      ChatStream.at(me).receivedHeader(UnsafeRawBufferPointer(start: bytes, count: size * count))
      return size * count
    }
    roost_curl_set_pointer(handle, CURLOPT_XFERINFODATA, me)
    roost_curl_set_progress(handle) { me, _, _, _, _ in ChatStream.at(me).mayGoOn() ? 0 : 1 }
  }

  private static func at(_ pointer: UnsafeMutableRawPointer?) -> ChatStream {
    guard let pointer else { preconditionFailure("libcurl lost the pointer that it was given") }
    return Unmanaged<ChatStream>.fromOpaque(pointer).takeUnretainedValue()
  }

  // MARK: Called by libcurl, about once a second while nothing comes

  private func mayGoOn() -> Bool {
    guard stopped == nil else { return false }
    if context?.isCancelled == true {
      stopped = CancellationError()
    } else if ContinuousClock.now - lastByte > settings.stallTimeout {
      stopped = TaskFailure("\(settings.endpoint) sent nothing for \(settings.stallTimeout)")
    }
    return stopped == nil
  }

  private func receivedHeader(_ line: UnsafeRawBufferPointer) {
    lastByte = .now
    let parts = String(decoding: line, as: UTF8.self).split(separator: ":", maxSplits: 1)
    guard parts.count == 2, parts[0].lowercased() == "retry-after" else { return }
    // The other form, a date, is seldom sent; the type's backoff serves then.
    let value = parts[1].filter { !$0.isWhitespace }
    if let seconds = Int(value), seconds >= 0 { retryAfter = .seconds(min(seconds, 86_400)) }
  }

  private func received(_ bytes: UnsafeRawBufferPointer) -> Bool {
    lastByte = .now
    guard status == 200 else {
      errorBody.append(contentsOf: bytes.prefix(Self.errorBodyLimit - errorBody.count))
      return true
    }
    guard !isDone else { return true }
    do {
      try guarded { try parser.append(bytes, event: take) }
      return mayGoOn()
    } catch {
      stopped = error
      return false
    }
  }

  // MARK: What it came to

  private var status: Int {
    var status = 0
    roost_curl_get_long(handle, CURLINFO_RESPONSE_CODE, &status)
    return status
  }

  private func take(_ data: [UInt8]) throws {
    if data.elementsEqual("[DONE]".utf8) {
      isDone = true
    } else if !isDone {
      try event(data)
    }
  }

  /// The key is taken out of whatever a server may have repeated.
  private func guarded(_ work: () throws -> Void) throws {
    do {
      try work()
    } catch is EventParser.TooLong {
      throw TaskFailure("the model's stream has an event of more than \(EventParser.eventLimit) bytes")
    } catch var failure as TaskFailure {
      failure.message = withoutKey(failure.message)
      throw failure
    }
  }

  private func check(_ code: CURLcode) throws {
    if let stopped { throw stopped }
    let status = status
    if code != CURLE_OK {
      // After [DONE] nothing is missing.
      if isDone { return }
      let what = status == 200 ? "the stream from \(settings.endpoint) broke" : "cannot ask \(settings.endpoint)"
      throw TaskFailure(withoutKey("\(what): \(String(cString: curl_easy_strerror(code)))"))
    }
    guard status != 200 else { return }
    throw TaskFailure(
      withoutKey("\(settings.endpoint) answered \(status)\(errorMessage)"),
      retryable: status == 408 || status == 429 || status >= 500, retryAfter: retryAfter)
  }

  private var errorMessage: String {
    struct Body: Decodable { let error: ChatError }
    if let body: Body = try? RawJSON(errorBody).decode() { return ": \(excerpt(Array(body.error.message.utf8)))" }
    return errorBody.isEmpty ? "" : ": \(excerpt(errorBody))"
  }

  private func withoutKey(_ message: String) -> String {
    settings.apiKey.isEmpty
      ? message : message.split(separator: settings.apiKey, omittingEmptySubsequences: false).joined(separator: "…")
  }
}
