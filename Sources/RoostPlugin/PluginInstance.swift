// SPDX-License-Identifier: Apache-2.0
internal import CRoost
internal import Synchronization

/// What create() makes and destroy() releases: the executors and handlers of one set of settings.
// @unchecked: the host table behind the pointer lives as long as the process and never changes.
final class PluginInstance: @unchecked Sendable {
  private let host: UnsafePointer<roost_host>
  /// In the order of the plugin's exports, which is what `data` of the registered structs counts.
  private let made: [Export.Made]
  /// The Swift tasks of `async` executors, by the host's token.
  let running = Mutex<[UInt: Task<Void, Never>]>([:])

  /// Calls every factory; a message that names the export where one throws.
  init(host: UnsafePointer<roost_host>, exports: [Export], settings: RawJSON) throws(TaskRejection) {
    self.host = host
    var made: [Export.Made] = []
    for export in exports {
      do {
        made.append(try export.make(settings))
      } catch {
        throw TaskRejection("\(export.kind.rawValue) \"\(export.name)\": \(explain(error, root: "settings"))")
      }
    }
    self.made = made
  }

  func run(_ task: OpaquePointer) -> roost_status {
    let (call, export) = call(task)
    guard case .executor(let run)? = export else { return misdirected(call) }
    return run(call)
  }

  func cancel(_ task: OpaquePointer) {
    // Cancelled outside the lock: cancellation handlers are the author's code.
    let task = running.withLock { $0[UInt(bitPattern: task)] }
    task?.cancel()
  }

  func handle(_ task: OpaquePointer, _ outcome: roost_outcome) -> roost_status {
    let (call, export) = call(task)
    guard case .handler(let handler)? = export else { return misdirected(call) }
    return call.handle(TaskOutcome(outcome), with: handler)
  }

  private func call(_ task: OpaquePointer) -> (TaskCall, Export.Made?) {
    let handle = TaskHandle(host: host, task: task)
    let info = handle.info()
    let number = Int(bitPattern: info.data) - 1
    let call = TaskCall(handle: handle, context: TaskContext(handle, info), instance: self)
    return (call, made.indices.contains(number) ? made[number] : nil)
  }

  private func misdirected(_ call: TaskCall) -> roost_status {
    call.handle.setError(message: "the host called with the data of no such export", flags: ROOST_NOT_RETRYABLE)
    return ROOST_FAILED
  }
}
