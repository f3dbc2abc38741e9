// SPDX-License-Identifier: Apache-2.0
internal import CRoost
internal import Synchronization
internal import Threading
internal import TaskModel

/// A callback or exception handler of one instance.
package struct LoadedHandler: Sendable {
  private let handler: RegisteredHandler
  private let instance: PluginInstance

  init(_ handler: RegisteredHandler, of instance: PluginInstance) {
    self.handler = handler
    self.instance = instance
  }

  package var export: PluginExport { handler.export }

  /// Calls the handler on this thread and returns what it made of the outcome; may block as long as the handler likes.
  package func call(_ call: any TaskCall, outcome: HandlerOutcome) -> HandlerResult {
    instance.enter()
    defer { instance.leave() }
    let target = HandlerCall(call, data: handler.data, host: instance.host)
    let task = TaskHandles.shared.issue(to: target)
    let status = withLent(outcome) { handler.handle(instance.pointer, task, $0) }
    TaskHandles.shared.release(task)
    return result(status, target.close(), call)
  }

  private func result(_ status: roost_status, _ data: CallData, _ call: any TaskCall) -> HandlerResult {
    let name = "\(handler.export.kind.words) \"\(instance.host.name)/\(handler.export.name)\""
    switch status {
    case ROOST_OK: return .delivered
    case ROOST_FAILED: return .failed(data.failure(otherwise: "\(name) failed without saying why"))
    case ROOST_REJECTED:
      return .rejected(data.failure(.rejected, otherwise: "\(name) refused the outcome without saying why"))
    case ROOST_CANCELLED:
      if call.stopRequested() != 0 { return .givenBack }
      return .failed(data.failure(otherwise: "\(name) said it was cancelled, but nobody asked it to stop"))
    default:
      let reason = "\(name) ended with status \(status), which is not allowed there"
      instance.host.misused("\(reason); it counts as ROOST_FAILED")
      return .failed(data.failure(otherwise: reason))
    }
  }

  private func withLent(
    _ outcome: HandlerOutcome, _ body: (UnsafePointer<roost_outcome>) -> roost_status
  ) -> roost_status {
    let result = outcome.completed ? (outcome.result.isEmpty ? Array("null".utf8) : outcome.result) : []
    let detail = outcome.detail ?? []
    let memory = StableBytes(capacity: outcome.message.utf8.count + detail.count + result.count)
    var lent = roost_outcome()
    lent.size = UInt32(MemoryLayout<roost_outcome>.size)
    lent.status = outcome.completed ? ROOST_OK : ROOST_FAILED
    lent.kind = UInt32(outcome.kind?.rawValue ?? 0)
    lent.code = outcome.code
    lent.message = memory.append(outcome.message.utf8)
    lent.detail = memory.append(detail)
    lent.result = memory.append(result)
    lent.started_at = outcome.startedAtMillis
    lent.finished_at = outcome.finishedAtMillis
    return withExtendedLifetime(memory) { withUnsafePointer(to: lent) { body($0) } }
  }
}

/// What the handle of a handler call stands for.
private final class HandlerCall: HandleTarget {
  let host: HostContext
  let call: any TaskCall
  let texts: CallTexts
  private let state = Lock(CallData())

  init(_ call: any TaskCall, data: UnsafeMutableRawPointer?, host: HostContext) {
    self.host = host
    self.call = call
    texts = CallTexts(call.facts, data: data)
  }

  func close() -> CallData { state.withLock { $0 } }

  func setError(_ error: TaskErrorReport) {
    state.withLock { $0.error = error }
  }

  func setResult(_ json: roost_bytes) -> roost_status {
    host.misused("set_result() was called by a handler, which has no result")
    return ROOST_FAILED
  }

  func progress(_ fraction: Double, _ note: roost_bytes) {
    host.misused("progress() was called by a handler, which has no progress")
  }

  func finish(_ status: roost_status) {
    host.misused("finish() was called by a handler, which cannot be pending")
  }
}
