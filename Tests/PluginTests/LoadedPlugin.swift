// SPDX-License-Identifier: Apache-2.0
import CRoost
import Foundation
import Synchronization
import Threading
import TestSupport

/// A plugin that went through entry, register_exports() and create().
// @unchecked: nothing in it changes after init; the plugin's functions say themselves that they may be called concurrently.
final class LoadedPlugin: @unchecked Sendable {
  /// create() did not answer ROOST_OK.
  struct Refused: Error {
    let status: roost_status
    let message: String
  }
  struct NotLoaded: Error {
    let message: String
  }

  let host: HostTable
  let descriptor: roost_plugin
  let exports: Registration
  private let instance: UnsafeMutableRawPointer?

  /// The control thread of the header: one at a time in the process.
  private static let control = Lock<Void>(())

  /// Loads what the package built.
  convenience init(_ name: String, settings: String = "{}") throws {
    guard let library = dlopen(BuildProducts.plugin(name), RTLD_NOW | RTLD_LOCAL),
      let symbol = dlsym(library, "roost_plugin_v1")
    else { throw NotLoaded(message: String(cString: dlerror())) }
    // The symbol is declared in the header with this very type.
    let entry = unsafeBitCast(symbol, to: roost_entry.self)
    try self.init(settings: settings) { entry($0) }
  }

  init(
    settings: String = "{}", capacity: UInt32 = 512, host: HostTable = HostTable(),
    entry: (UnsafePointer<roost_host>) -> UnsafePointer<roost_plugin>?
  ) throws {
    let exports = Registration()
    (self.host, self.exports) = (host, exports)
    let made = try Self.control.withLock { _ in
      guard let plugin = entry(host.pointer)?.pointee else { throw NotLoaded(message: "the entry answered NULL") }
      let registry = OpaquePointer(Unmanaged.passUnretained(exports).toOpaque())
      guard plugin.register_exports(host.pointer, registry) == ROOST_OK else {
        throw NotLoaded(message: "register_exports failed")
      }
      let json = LentBytes(settings)
      var instance: UnsafeMutableRawPointer?
      var message = [CChar](repeating: 0x21, count: Int(capacity) + 1)
      let status = plugin.create(host.pointer, json.lent, &instance, &message, capacity)
      guard message[Int(capacity)] == 0x21 else { throw NotLoaded(message: "create() wrote beyond its capacity") }
      guard status == ROOST_OK else {
        let text = message.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
        throw Refused(status: status, message: String(decoding: text, as: UTF8.self))
      }
      return (plugin, UInt(bitPattern: instance))
    }
    descriptor = made.0
    instance = UnsafeMutableRawPointer(bitPattern: made.1)
  }

  deinit { descriptor.destroy?(instance) }

  /// Starts an executor on a thread of its own; `afterRun` comes before the host hears of the return.
  func start(
    _ name: String, _ params: [UInt8], maxResult: Int = 4 << 20, stop: Int32 = 0,
    afterRun: @escaping @Sendable (TestTask) -> Void = { _ in }
  ) throws -> TestTask {
    guard let executor = exports.executors[name] else { throw NotLoaded(message: "no executor \(name)") }
    let task = TestTask(host: host, data: executor.data, params: params, maxResult: maxResult)
    task.requestStop(stop)
    let thread = Thread { [self] in
      let status = exports.executors[name]?.run(instance, task.token) ?? ROOST_FAILED
      afterRun(task)
      task.returned(status)
    }
    thread.stackSize = 1 << 20
    thread.start()
    return task
  }

  func start(_ name: String, _ params: String) throws -> TestTask { try start(name, Array(params.utf8)) }

  /// Runs an executor to its end.
  func run(_ name: String, _ params: String) throws -> TestTask.Outcome { try start(name, params).outcome() }

  /// Asks a task to stop, as the host does: first the flag, then cancel().
  func stop(_ task: TestTask, executor name: String, reason: Int32 = 1) {
    task.requestStop(reason)
    if let cancel = exports.executors[name]?.cancel { cancel(instance, task.token) }
  }

  /// Calls a handler with an outcome, on this thread.
  func handle(_ handler: roost_handler, _ outcome: roost_outcome) throws -> TestTask.Outcome {
    try handle(handler, outcome, as: TestTask(host: host, data: handler.data, params: Array("null".utf8)))
  }

  func handle(_ handler: roost_handler, _ outcome: roost_outcome, as task: TestTask) throws -> TestTask.Outcome {
    var outcome = outcome
    outcome.size = UInt32(MemoryLayout<roost_outcome>.size)
    task.returned(handler.handle(instance, task.token, &outcome))
    return try task.outcome()
  }
}
