// SPDX-License-Identifier: Apache-2.0
internal import CRoost
internal import TaskModel
internal import Synchronization

/// A plugin that was created with its settings and started.
///
/// Unchecked, because `pointer` is the plugin's own: handed back to it and never followed.
package final class PluginInstance: @unchecked Sendable {
  let pointer: UnsafeMutableRawPointer?
  let library: PluginLibrary
  /// Calls into the plugin that have not come to an outcome; far below zero once it was stopped.
  private let calls = Atomic<Int>(0)

  init(_ pointer: UnsafeMutableRawPointer?, of library: PluginLibrary) {
    self.pointer = pointer
    self.library = library
  }

  var host: HostContext { library.host }

  package func executor(named name: String) -> LoadedExecutor? {
    library.registration.executors.first { $0.export.name == name }.map { LoadedExecutor($0, of: self) }
  }

  package func callback(named name: String) -> LoadedHandler? { handler(named: name, .callback) }

  package func exceptionHandler(named name: String) -> LoadedHandler? { handler(named: name, .exceptionHandler) }

  private func handler(named name: String, _ kind: PluginExport.Kind) -> LoadedHandler? {
    library.registration.handlers.first { $0.export.kind == kind && $0.export.name == name }
      .map { LoadedHandler($0, of: self) }
  }

  /// Stops and destroys the instance; blocks while it joins its threads, which it should have done by the deadline.
  ///
  /// The deadline is in milliseconds since 1970 on this machine's CLOCK_REALTIME. Returns false and calls nothing when
  /// a call is still running or pending (end the process instead) or the instance was stopped before.
  package func stop(deadlineMillis: Int64) -> Bool {
    guard calls.compareExchange(expected: 0, desired: .min / 2, ordering: .acquiringAndReleasing).exchanged else {
      return false
    }
    ControlThread.take {
      library.table.stop?(pointer, deadlineMillis)
      library.table.destroy?(pointer)
    }
    return true
  }

  func enter() {
    let count = calls.add(1, ordering: .acquiring).newValue
    precondition(count > 0, "plugin \"\(library.name)\" was called after its instance was stopped")
  }

  func leave() {
    calls.subtract(1, ordering: .releasing)
  }
}
