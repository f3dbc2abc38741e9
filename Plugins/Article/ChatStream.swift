// SPDX-License-Identifier: Apache-2.0
import FoundationEssentials
import PluginHTTP
import RoostPlugin

/// One streamed request to the endpoint's `/chat/completions`, used by one thread.
final class ChatStream {
  /// Of an answer that is an error, so much is read for its message.
  private static let errorBodyLimit = 64 << 10

  private let settings: ArticleSettings
  private var parser = EventParser()
  private var errorBody: [UInt8] = []
  private var isDone = false

  init(_ settings: ArticleSettings) {
    self.settings = settings
  }

  /// Runs the request to its end and hands on the data of each event; throws unless the whole stream came.
  func run(body: [UInt8], context: TaskContext, event: ([UInt8]) throws -> Void) throws {
    var headers = ["Content-Type: application/json", "Accept: text/event-stream", "User-Agent: roost-article/1.0"]
    if !settings.apiKey.isEmpty { headers.append("Authorization: Bearer \(settings.apiKey)") }
    let post = try HTTPPost(
      settings.endpoint + "/chat/completions", headers: headers, body: body,
      limits: .init(connect: settings.connectTimeout, silence: settings.stallTimeout, whole: settings.timeout),
      usesProxy: true)
    try withoutActuallyEscaping(event) { event in
      let reply = try post.run(context: context) { status, bytes in
        try status == 200 ? self.received(bytes, event) : self.receivedError(bytes)
      }
      try check(reply)
      if !isDone { try guarded { try parser.close { try take($0, event) } } }
    }
  }

  private func received(_ bytes: UnsafeRawBufferPointer, _ event: ([UInt8]) throws -> Void) throws -> Bool {
    try guarded { try parser.append(bytes) { try take($0, event) } }
    return !isDone
  }

  private func receivedError(_ bytes: UnsafeRawBufferPointer) -> Bool {
    errorBody.append(contentsOf: bytes.prefix(Self.errorBodyLimit - errorBody.count))
    return errorBody.count < Self.errorBodyLimit
  }

  private func take(_ data: [UInt8], _ event: ([UInt8]) throws -> Void) throws {
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

  private func check(_ reply: HTTPPost.Reply) throws {
    switch (reply.status, reply.ending) {
    case (_, .stopped): throw CancellationError()
    case (200, .whole): return
    case (200, .broken(let reason)): throw TaskFailure("the stream from \(settings.endpoint) broke: \(reason)")
    case (0, .broken(let reason)): throw TaskFailure("cannot ask \(settings.endpoint): \(reason)")
    case (let status, _):
      throw TaskFailure(
        withoutKey("\(settings.endpoint) answered \(status)\(errorMessage)"),
        retryable: status == 408 || status == 429 || status >= 500, retryAfter: reply.retryAfter)
    }
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
