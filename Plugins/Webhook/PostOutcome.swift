// SPDX-License-Identifier: Apache-2.0
import FoundationEssentials
import Glibc
import PluginHTTP
import RoostPlugin

/// Posts how a task ended to the receiver in the settings, as Standard Webhooks asks for.
struct PostOutcome: TaskCallback, TaskExceptionHandler {
  private static let connectTimeout = Duration.seconds(5)
  /// Of an answer no more is read; only its status counts.
  private static let answerLimit = 64 << 10

  private let settings: WebhookSettings

  init(_ settings: WebhookSettings) throws {
    self.settings = settings
    try HTTPPost.setUp()
  }

  func completed(_ outcome: TaskOutcome, context: TaskContext) throws {
    try post("completed", outcome, context)
  }

  func failed(_ outcome: TaskOutcome, context: TaskContext) throws {
    try post("failed", outcome, context)
  }

  private func post(_ word: String, _ outcome: TaskOutcome, _ context: TaskContext) throws {
    guard let record = context.record() else { throw TaskFailure("the host cannot give the task's record") }
    // The same at every repeat, so that a receiver can tell one.
    let id = "\(context.id).\(word)"
    let body = envelope("task.\(word)", record, outcome)
    let rule = AddressRule(allowPrivate: settings.allowPrivate)
    let post = try HTTPPost(
      settings.url, headers: headers(id: id, body: body), body: body,
      limits: .init(connect: Self.connectTimeout, whole: settings.timeout),
      // The address rule would see nothing but the proxy's address.
      usesProxy: false, mayConnect: rule.allows)
    var received = 0
    let reply = try post.run(context: context) { _, bytes in
      received += bytes.count
      return received < Self.answerLimit
    }
    try check(reply, rule, id: id)
  }

  /// The record's bytes are kept as the host wrote them.
  private func envelope(_ type: String, _ record: RawJSON, _ outcome: TaskOutcome) -> [UInt8] {
    struct Finished: Decodable { let finishedAt: String }
    // The outcome's time is the same by this machine's clock; params that nest deeper than the decoder goes leave only that.
    let time =
      (try? record.decode(as: Finished.self))?.finishedAt
      ?? outcome.finishedAt.ISO8601Format(.init(includingFractionalSeconds: true))
    return Array(#"{"type":"\#(type)","timestamp":"\#(time)","data":"#.utf8) + record.bytes + [UInt8(ascii: "}")]
  }

  private func headers(id: String, body: [UInt8]) throws -> [String] {
    let timestamp = time(nil)
    var lines = [
      "Content-Type: application/json", "User-Agent: roost-webhook/1.0", "webhook-id: \(id)",
      "webhook-timestamp: \(timestamp)",
    ]
    if let key = settings.key {
      lines.append("webhook-signature: \(try key.signature(id: id, timestamp: timestamp, body: body))")
    }
    return lines
  }

  /// Says what an answer means; the URL's path and what the receiver wrote may hold secrets and stay out of it.
  private func check(_ reply: HTTPPost.Reply, _ rule: AddressRule, id: String) throws {
    let receiver = settings.receiver
    switch (reply.status, reply.ending) {
    case (200..<300, _):
      return
    case (0, .stopped):
      throw CancellationError()
    case (0, .broken(let reason)):
      if let refused = rule.refusedAll {
        throw TaskRejection("\(receiver) is at \(refused), which is not public, and settings.allowPrivate is false")
      }
      throw TaskFailure("cannot post to \(receiver): \(reason)")
    case (300..<400, _):
      throw TaskRejection(
        "\(receiver) answered \(reply.status), and redirects are not followed; put the final address into settings.url")
    case (408, _), (429, _), (500..., _):
      throw TaskFailure("\(receiver) answered \(reply.status)", code: Int32(reply.status), retryAfter: reply.retryAfter)
    default:
      throw TaskRejection(
        "\(receiver) answered \(reply.status); it refuses webhook-id \(id), see its log for the reason")
    }
  }
}

/// Decides about each address that a post may go to, and remembers what it refused.
private final class AddressRule {
  private let allowPrivate: Bool
  private var hasAllowed = false
  private var refused: IPAddress?

  init(allowPrivate: Bool) { self.allowPrivate = allowPrivate }

  func allows(_ address: IPAddress) -> Bool {
    let isAllowed = allowPrivate || address.isPublic
    if isAllowed { hasAllowed = true } else { refused = address }
    return isAllowed
  }

  /// An address that was refused, if none was allowed.
  var refusedAll: IPAddress? { hasAllowed ? nil : refused }
}
