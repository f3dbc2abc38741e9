// SPDX-License-Identifier: Apache-2.0
package import TaskModel

/// A task that is to be stored.
package struct Submission: Sendable {
  package var type: String
  /// One JSON value, checked by whoever made this; kept and returned byte for byte.
  package var params: [UInt8]
  package var priority = TaskPriority.normal
  /// W3C traceparent, or nil.
  package var trace: String?

  package init(type: String, params: [UInt8], trace: String? = nil) {
    self.type = type
    self.params = params
    self.trace = trace
  }

  /// What few submissions have, as it stands in the record.
  var extras: [UInt8] {
    guard let trace else { return [] }
    var writer = JSONWriter()
    writer.beginObject()
    writer.member("trace", trace)
    writer.endObject()
    return writer.bytes
  }

  /// About how many bytes a script call carries for it.
  var inlineBytes: Int { 200 + (StoredRecord.needsKey(params) ? 0 : params.count) }
}
