// SPDX-License-Identifier: Apache-2.0
internal import CRoost
internal import TaskModel
internal import Logging

/// What the host calls itself towards plugins.
package enum HostIdentity {
  package static let name: StaticString = "roost"
  package static let version: StaticString = "0.1.0"
}

/// A `roost_host` of this version with all its functions; they find everything else by the pointers they are given.
func hostTable() -> roost_host {
  var table = roost_host()
  table.size = UInt32(MemoryLayout<roost_host>.size)
  table.abi_minor = ROOST_ABI_MINOR
  table.name = immortal(HostIdentity.name)
  table.version = immortal(HostIdentity.version)
  table.log = { host, level, task, message in writeLog(host, level, task, message) }
  table.task_info = { task, info in giveTaskInfo(task, info) }
  table.stop_requested = { task in
    guard let target = liveTarget(task, "stop_requested") else { return 1 }
    return target.call.stopRequested()
  }
  table.progress = { task, fraction, note in
    // Also makes 0 of what is no number.
    liveTarget(task, "progress")?.progress(fraction > 0 ? min(fraction, 1) : 0, note)
  }
  table.set_result = { task, json in liveTarget(task, "set_result")?.setResult(json) ?? ROOST_FAILED }
  table.set_error = { task, error in takeError(task, error) }
  table.finish = { task, status in liveTarget(task, "finish")?.finish(status) }
  table.record = { task, json in giveRecord(task, json) }
  table.extension = { _, _ in nil }
  table.add_executor = { registry, executor in Registration.add(to: registry, executor: executor) }
  table.add_callback = { registry, handler in Registration.add(to: registry, handler: handler, .callback) }
  table.add_exception_handler = { registry, handler in
    Registration.add(to: registry, handler: handler, .exceptionHandler)
  }
  return table
}

private func immortal(_ text: StaticString) -> roost_bytes {
  UnsafeRawPointer(text.utf8Start).withMemoryRebound(to: CChar.self, capacity: text.utf8CodeUnitCount) {
    roost_bytes(data: $0, length: UInt64(text.utf8CodeUnitCount))
  }
}

/// What the handle stands for; a dead one is logged.
private func liveTarget(_ task: OpaquePointer?, _ function: StaticString) -> (any HandleTarget)? {
  let target = TaskHandles.shared.target(of: task)
  if target == nil { HostContext.deadHandle(task, in: function) }
  return target
}

private func writeLog(
  _ host: UnsafePointer<roost_host>?, _ level: UInt32, _ task: OpaquePointer?, _ message: roost_bytes
) {
  let known: Log.Level =
    switch level {
    case ROOST_LOG_DEBUG: .debug
    case ROOST_LOG_WARNING: .warning
    case ROOST_LOG_ERROR: .error
    default: .info
    }
  if task != nil {
    liveTarget(task, "log")?.call.log(known, message.text())
  } else if let context = HostContext.of(host) {
    context.log(known, message.text())
  } else {
    Log.warning("a plugin broke a rule of the ABI: log() was called without a host")
  }
}

private func giveTaskInfo(_ task: OpaquePointer?, _ info: UnsafeMutablePointer<roost_task_info>?) {
  let target = liveTarget(task, "task_info")
  guard let info else {
    target?.host.misused("task_info() was called with info = NULL")
    return
  }
  let size = sentSize(UnsafePointer(info))
  let wasRoom = target?.texts.fill(info) ?? fillTaskInfo(info, with: nil)
  if !wasRoom {
    target?.host.misused(
      "task_info() was called with size \(size), not sizeof(roost_task_info); set it before each call")
  }
}

private func takeError(_ task: OpaquePointer?, _ error: UnsafePointer<roost_error>?) {
  guard let target = liveTarget(task, "set_error") else { return }
  guard let error else { return target.host.misused("set_error() was called with NULL") }
  var sent = roost_error()
  guard received(error, least: LeastSize.error, into: &sent) != nil else {
    return target.host.misused(
      "set_error() was called with size \(sentSize(error)), not \(LeastSize.error) or a larger multiple of 8")
  }
  target.setError(TaskErrorReport(sent))
}

private func giveRecord(_ task: OpaquePointer?, _ json: UnsafeMutablePointer<roost_bytes>?) -> roost_status {
  let target = liveTarget(task, "record")
  guard let json else {
    target?.host.misused("record() was called with json = NULL")
    return ROOST_FAILED
  }
  json.pointee = roost_bytes()
  guard let target, let record = target.call.record() else { return ROOST_FAILED }
  json.pointee = target.texts.lend(record: record)
  return ROOST_OK
}
