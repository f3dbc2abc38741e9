// SPDX-License-Identifier: Apache-2.0
internal import TaskModel

/// What few tasks have: a JSON object in the record, or nothing; scripts read `key` and `expires`.
package struct Extras: Sendable, Equatable {
  /// W3C traceparent as submitted.
  package var trace: String?
  /// Unique within the type.
  package var key: String?
  /// Of this task alone, in place of the type's.
  package var timeoutMillis: Int64?
  /// By Redis' clock; a task that has not been started by then fails.
  package var expiresMillis: Int64?

  /// Of a new task; `now` is Redis' time.
  init(_ submission: Submission, now: Timestamp) {
    trace = submission.trace
    key = submission.key
    timeoutMillis = submission.timeout?.millis
    expiresMillis = submission.expires?.time(from: now).millis
  }

  init(_ json: ArraySlice<UInt8>) {
    guard !json.isEmpty, let node = try? JSONNode.parse(Array(json)) else { return }
    trace = node["trace"]?.text
    key = node["key"]?.text
    timeoutMillis = (node["timeout"]?.integer).map(Int64.init)
    expiresMillis = (node["expires"]?.integer).map(Int64.init)
  }

  var json: [UInt8] {
    guard trace != nil || key != nil || timeoutMillis != nil || expiresMillis != nil else { return [] }
    var writer = JSONWriter()
    writer.beginObject()
    if let trace { writer.member("trace", trace) }
    if let key { writer.member("key", key) }
    if let timeoutMillis { writer.member("timeout", timeoutMillis) }
    if let expiresMillis { writer.member("expires", expiresMillis) }
    writer.endObject()
    return writer.bytes
  }

  /// The flags of the record that say so.
  var flags: UInt8 {
    (key == nil ? 0 : StoredRecord.Flag.key.rawValue) | (expiresMillis == nil ? 0 : StoredRecord.Flag.expires.rawValue)
  }
}
