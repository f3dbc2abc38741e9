// SPDX-License-Identifier: Apache-2.0

/// An executor of one instance.
// A class, because every attempt has it: one reference is cheaper to hand on than what it leads to.
package final class LoadedExecutor: Sendable {
  let executor: RegisteredExecutor
  let instance: PluginInstance

  init(_ executor: RegisteredExecutor, of instance: PluginInstance) {
    self.executor = executor
    self.instance = instance
  }

  package var export: PluginExport { executor.export }

  /// Whether `RunningAttempt.cancel` reaches the plugin; if not, it learns of a stop by asking only.
  package var hasCancel: Bool { executor.cancel != nil }

  /// Makes an attempt that `RunningAttempt.run` starts; one that is never run leaves nothing behind.
  package func prepare(_ call: any TaskCall) -> RunningAttempt { RunningAttempt(call, self) }

  /// What messages call it.
  var words: String { "executor \"\(instance.host.name)/\(executor.export.name)\"" }
}
