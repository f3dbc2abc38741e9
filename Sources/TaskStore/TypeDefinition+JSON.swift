// SPDX-License-Identifier: Apache-2.0
internal import TaskModel

extension TypeDefinition {
  /// How a type stands in Redis; a handler that there is none of is left out, which scripts rely on.
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
    writer.endObject()
    return writer.bytes
  }

  init?(name: String, json: [UInt8]) {
    guard let node = try? JSONNode.parse(json), let executor = node["executor"]?.text else { return nil }
    self.init(
      name: name, executor: executor, callback: node["callback"]?.text,
      exceptionHandler: node["exceptionHandler"]?.text,
      worker: node["worker"]?.text ?? "", threads: node["threads"]?.integer ?? 0,
      retentionAge: .milliseconds(node["retentionAge"]?.integer ?? 0),
      retentionCount: node["retentionCount"]?.integer ?? 0, maxParams: node["maxParams"]?.integer ?? 1 << 20,
      maxResult: node["maxResult"]?.integer ?? 4 << 20)
  }
}
