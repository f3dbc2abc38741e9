// SPDX-License-Identifier: Apache-2.0

extension TaskRecord {
  /// The larger members of a record, which a list leaves out unless asked for.
  package struct Parts: OptionSet, Sendable {
    package let rawValue: Int
    package init(rawValue: Int) { self.rawValue = rawValue }
    package static let params = Parts(rawValue: 1)
    package static let result = Parts(rawValue: 2)
    package static let log = Parts(rawValue: 4)
    package static let all: Parts = [.params, .result, .log]
  }

  /// Writes the record as the HTTP API answers it; members that do not apply are left out.
  ///
  /// `handler` is the name of the callback or exception handler, when the type is known.
  package func write(to writer: inout JSONWriter, parts: Parts = .all, handler: String?) {
    writer.beginObject()
    writer.member("id", id.description)
    writer.member("type", type)
    writer.member("status", status.rawValue)
    writer.member("priority", priority.name)
    if let key { writer.member("key", key) }
    writer.member("attempts", Int64(attempts))
    writer.member("maxAttempts", Int64(maxAttempts))
    writer.member("crashes", Int64(crashes))
    if parts.contains(.params) { writer.member("params", raw: params) }
    if parts.contains(.result), let result { writer.member("result", raw: result) }
    if let error { writer.member("error", raw: error) }
    if let progress {
      writer.key("progress")
      writer.beginObject()
      writer.key("fraction")
      writer.number(progress.fraction)
      if !progress.note.isEmpty { writer.member("note", progress.note) }
      writer.endObject()
    }
    writeHandler(to: &writer, handler)
    writer.member("createdAt", createdAt.iso8601)
    for (name, time) in [
      ("dueAt", dueAt), ("startedAt", startedAt), ("finishedAt", finishedAt), ("deadline", deadline),
      ("cancelRequestedAt", cancelRequestedAt),
    ] {
      if let time { writer.member(name, time.iso8601) }
    }
    if let origin {
      writer.key("plugin")
      writer.beginObject()
      writer.member("name", origin.plugin)
      writer.member("version", origin.version)
      writer.member("build", origin.build)
      writer.endObject()
      writer.member("worker", origin.worker)
    }
    if isDetached { writer.member("detached", true) }
    if let trace { writer.member("trace", trace) }
    if parts.contains(.log), !log.isEmpty {
      writer.key("log")
      writer.beginArray()
      for line in log { writer.raw(line) }
      writer.endArray()
    }
    writer.endObject()
  }

  private func writeHandler(to writer: inout JSONWriter, _ name: String?) {
    let state: String
    switch handler.phase {
    case .none: return
    case .pending: state = "pending"
    case .delivered: state = "delivered"
    case .failed: state = "failed"
    }
    writer.key("callback")
    writer.beginObject()
    if let name { writer.member("name", name) }
    writer.member("status", state)
    writer.member("attempts", Int64(handler.attempts))
    if let error = handler.lastError { writer.member("lastError", error) }
    writer.endObject()
  }
}

extension JSONWriter {
  package mutating func member(_ name: String, raw value: [UInt8]) {
    key(name)
    raw(value)
  }
}
