// SPDX-License-Identifier: Apache-2.0
internal import CRoost
package import Logging
internal import Synchronization
internal import Threading

/// Takes a plugin's lines that belong to no task; called on any thread, several at once.
package typealias PluginLog = @Sendable (Log.Level, String) -> Void

/// One plugin's view of the host: its `roost_host` and where its lines go.
///
/// Lives as long as the process. Unchecked, because of the pointer to the table, which is written before anybody else sees it and never again.
final class HostContext: @unchecked Sendable {
  /// Name of the plugin as config has it.
  let name: String
  /// Stands in the plugin's tokens; the last is shared by all plugins that came too late for their own.
  let index: UInt8
  let table: UnsafePointer<roost_host>
  let log: PluginLog
  private let misuses = Atomic<Int>(0)

  private static let all = Lock<[HostContext]>([])
  /// Lines about misuse that are all written; of those after them only one in so many, or a loop would fill the disk.
  private static let misuseLimit = 1000

  /// The table and, behind it, whose it is: what makes a `roost_host *` enough to find the plugin.
  private struct Block {
    var table: roost_host
    var context: Unmanaged<HostContext>?
  }

  private init(name: String, index: UInt8, log: @escaping PluginLog) {
    self.name = name
    self.index = index
    self.log = log
    let block = UnsafeMutablePointer<Block>.allocate(capacity: 1)
    block.initialize(to: Block(table: hostTable(), context: nil))
    table = UnsafeRawPointer(block).assumingMemoryBound(to: roost_host.self)
    block.pointee.context = Unmanaged.passUnretained(self)
  }

  static func make(name: String, log: @escaping PluginLog) -> HostContext {
    all.withLock { all in
      let context = HostContext(name: name, index: UInt8(clamping: all.count), log: log)
      all.append(context)
      return context
    }
  }

  /// Whose table this is; nil for NULL.
  static func of(_ host: UnsafePointer<roost_host>?) -> HostContext? {
    guard let host else { return nil }
    // Every roost_host of this process was made above and stands first in its block.
    let block = UnsafeRawPointer(host).assumingMemoryBound(to: Block.self)
    return block.pointee.context?.takeUnretainedValue()
  }

  /// Says in the log that the plugin broke a rule of the ABI.
  func misused(_ what: @autoclosure () -> String) {
    let count = misuses.add(1, ordering: .relaxed).newValue
    guard count <= Self.misuseLimit || count % Self.misuseLimit == 0 else { return }
    let sum = count > Self.misuseLimit ? " (\(count) such mistakes so far, one line for each \(Self.misuseLimit))" : ""
    log(.warning, "plugin \"\(name)\" broke a rule of the ABI: \(what())\(sum)")
  }

  /// Says that a call came with a handle that stands for nothing.
  static func deadHandle(_ task: OpaquePointer?, in function: StaticString) {
    guard let index = TaskHandles.hostIndex(of: task) else {
      let what = task == nil ? "NULL" : "a pointer that is no task handle"
      return Log.warning("a plugin broke a rule of the ABI: \(function)() was called with \(what)")
    }
    // An index below the last is one plugin's alone.
    let context = all.withLock { index < UInt8.max && Int(index) < $0.count ? $0[Int(index)] : nil }
    guard let context else {
      return Log.warning("a plugin broke a rule of the ABI: \(function)() was called with a dead task handle")
    }
    context.misused("\(function)() was called with a dead task handle")
  }

  /// Says that something was registered at the wrong time.
  static func deadRegistry(in function: StaticString) {
    Log.warning("a plugin broke a rule of the ABI: \(function)() was called outside register_exports()")
  }
}
