// SPDX-License-Identifier: Apache-2.0
internal import TaskModel

extension TypeDefinition {
  /// How a type stands in Redis, durations in milliseconds; a handler that there is none of is left out, which scripts
  /// rely on.
  var json: [UInt8] {
    var writer = JSONWriter()
    writer.beginObject()
    writer.member("executor", executor)
    if let callback { writer.member("callback", callback) }
    if let exceptionHandler { writer.member("exceptionHandler", exceptionHandler) }
    writer.member("worker", worker)
    writer.member("threads", Int64(threads))
    writer.member("retentionAge", retentionAge.millis)
    writer.member("retentionCount", Int64(retentionCount))
    writer.member("maxParams", Int64(maxParams))
    writer.member("maxResult", Int64(maxResult))
    for (key, policy) in [("retry", retry), ("handlerRetry", handlerRetry)] {
      writer.key(key)
      writer.beginObject()
      writer.member("attempts", Int64(policy.attempts))
      writer.member("backoff", policy.backoff.millis)
      writer.member("maxBackoff", policy.maxBackoff.millis)
      writer.endObject()
    }
    writer.member("queueCapacity", Int64(queueCapacity))
    if let keyTTL { writer.member("keyTTL", keyTTL.millis) }
    if let timeout { writer.member("timeout", timeout.millis) }
    writer.member("maxCrashes", Int64(maxCrashes))
    writer.endObject()
    return writer.bytes
  }

  /// Reads what any version wrote; what an older one did not know has its default.
  init?(name: String, json: [UInt8]) {
    guard let node = try? JSONNode.parse(json), let executor = node["executor"]?.text else { return nil }
    self.init(
      name: name, executor: executor, callback: node["callback"]?.text,
      exceptionHandler: node["exceptionHandler"]?.text,
      worker: node["worker"]?.text ?? "", threads: node["threads"]?.integer ?? 0,
      retentionAge: .milliseconds(node["retentionAge"]?.integer ?? 0),
      retentionCount: node["retentionCount"]?.integer ?? 0, maxParams: node["maxParams"]?.integer ?? 1 << 20,
      maxResult: node["maxResult"]?.integer ?? 4 << 20, retry: RetryPolicy(node["retry"], default: .task),
      queueCapacity: node["queueCapacity"]?.integer ?? 100_000, keyTTL: node["keyTTL"]?.milliseconds,
      timeout: node["timeout"]?.milliseconds, maxCrashes: node["maxCrashes"]?.integer ?? 2,
      handlerRetry: RetryPolicy(node["handlerRetry"], default: .handler))
  }
}

extension RetryPolicy {
  fileprivate init(_ node: JSONNode?, default fallback: RetryPolicy) {
    self.init(
      attempts: node?["attempts"]?.integer ?? fallback.attempts,
      backoff: node?["backoff"]?.milliseconds ?? fallback.backoff,
      maxBackoff: node?["maxBackoff"]?.milliseconds ?? fallback.maxBackoff)
  }
}

extension JSONNode {
  fileprivate var milliseconds: Duration? { integer.map { .milliseconds($0) } }
}
