// SPDX-License-Identifier: Apache-2.0
internal import CRoost

/// The host's table together with the token of one task: every call that goes from plugin to host.
///
/// All of these calls are open to any thread; the host copies what they are given before they return.
// @unchecked: the host table lives as long as the process and never changes; the token is never dereferenced here and the
// host checks it at each call.
struct TaskHandle: @unchecked Sendable {
  let host: UnsafePointer<roost_host>
  let task: OpaquePointer

  /// What the host knows of the task; its text is the host's and may be gone once the task ends.
  func info() -> roost_task_info {
    var info = roost_task_info()
    info.size = UInt32(MemoryLayout<roost_task_info>.size)
    host.pointee.task_info(task, &info)
    return info
  }

  func stopRequested() -> Int32 { host.pointee.stop_requested(task) }

  func progress(_ fraction: Double, _ note: String) {
    withBytes(of: note) { host.pointee.progress(task, fraction, $0) }
  }

  func log(_ level: UInt32, _ message: String) {
    withBytes(of: message) { host.pointee.log(host, level, task, $0) }
  }

  /// Whether the host took it: it is JSON and no larger than `maxResult`.
  func setResult(_ json: [UInt8]) -> Bool {
    withBytes(of: json) { host.pointee.set_result(task, $0) } == ROOST_OK
  }

  func setError(
    message: String, code: Int32 = 0, flags: UInt32 = 0, retryAfterMillis: Int64 = 0, detail: RawJSON? = nil
  ) {
    withBytes(of: message) { message in
      withBytes(of: detail?.bytes ?? []) { detail in
        var error = roost_error()
        error.size = UInt32(MemoryLayout<roost_error>.size)
        error.code = code
        error.flags = flags
        error.retry_after = retryAfterMillis
        error.message = message
        error.detail = detail
        host.pointee.set_error(task, &error)
      }
    }
  }

  func finish(_ status: roost_status) { host.pointee.finish(task, status) }

  /// A copy of the record, or nil if the host could not build it.
  func record() -> RawJSON? {
    var bytes = roost_bytes()
    guard host.pointee.record(task, &bytes) == ROOST_OK else { return nil }
    return RawJSON(copying: bytes)
  }
}

/// Lends text to `body` as the ABI's bytes.
func withBytes<Value>(of text: String, _ body: (roost_bytes) -> Value) -> Value {
  var text = text
  return text.withUTF8 { body(roost_bytes(lending: UnsafeRawBufferPointer($0))) }
}

/// Lends bytes to `body` as the ABI's bytes.
func withBytes<Value>(of bytes: [UInt8], _ body: (roost_bytes) -> Value) -> Value {
  bytes.withUnsafeBytes { body(roost_bytes(lending: $0)) }
}

extension roost_bytes {
  init(lending bytes: UnsafeRawBufferPointer) {
    self.init(data: bytes.baseAddress?.assumingMemoryBound(to: CChar.self), length: UInt64(bytes.count))
  }

  /// The bytes in place; as borrowed as the struct itself.
  var buffer: UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(start: data, count: data == nil ? 0 : Int(length))
  }

  /// A copy as text; what is not UTF-8 is repaired.
  var text: String { String(decoding: buffer, as: UTF8.self) }
}
