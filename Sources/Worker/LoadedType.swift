// SPDX-License-Identifier: Apache-2.0
internal import Logging
internal import TaskModel
internal import PluginFiles
internal import PluginLoader
internal import WorkerControl

/// A type with the functions that run its tasks.
// A class, because every attempt has it: one reference is cheaper to hand on than what it leads to.
final class LoadedType: Sendable {
  let definition: WorkerAssignment.TaskType
  let executor: LoadedExecutor
  let callback: LoadedHandler?
  let exceptionHandler: LoadedHandler?
  /// This worker and this build of the executor's plugin, and the number that stands for them in records.
  let origin: TaskRecord.Origin?
  let originNumber: UInt32

  init(
    _ definition: WorkerAssignment.TaskType, executor: LoadedExecutor, callback: LoadedHandler?,
    exceptionHandler: LoadedHandler?, origin: TaskRecord.Origin? = nil, originNumber: UInt32 = 0
  ) {
    self.definition = definition
    self.executor = executor
    self.callback = callback
    self.exceptionHandler = exceptionHandler
    self.origin = origin
    self.originNumber = originNumber
  }

  /// The same, once Redis has given its origin a number.
  func known(as origin: TaskRecord.Origin, _ number: UInt32) -> LoadedType {
    LoadedType(
      definition, executor: executor, callback: callback, exceptionHandler: exceptionHandler, origin: origin,
      originNumber: number)
  }

  var name: String { definition.name }
}

/// The plugins of one worker, loaded and started.
struct LoadedPlugins {
  var types: [LoadedType] = []
  var instances: [PluginInstance] = []
  var libraries: [String: PluginLibrary] = [:]

  /// Loads everything; tells all that is wrong at once.
  static func load(_ assignment: WorkerAssignment) -> (plugins: LoadedPlugins, issues: [WorkerMessage.Issue]) {
    var loaded = LoadedPlugins()
    var issues: [WorkerMessage.Issue] = []
    var instances: [String: PluginInstance] = [:]
    for plugin in assignment.plugins {
      do throws(PluginError) {
        let library = try PluginLibrary(name: plugin.name, path: plugin.path, copy: plugin.copy)
        loaded.libraries[plugin.name] = library
        for warning in library.warnings { Log.warning(warning, ["plugin": plugin.name]) }
        let instance = try library.makeInstance(settings: Array(plugin.settings.utf8))
        instances[plugin.name] = instance
        loaded.instances.append(instance)
      } catch {
        issues.append(
          WorkerMessage.Issue(
            path: "plugins.\(plugin.name)", message: error.message, mayBeTriedAgain: error.mayBeTriedAgain))
      }
    }
    for type in assignment.types {
      func missing(_ field: String, _ reference: WorkerAssignment.TaskType.Reference, _ kind: PluginExport.Kind) {
        guard let library = loaded.libraries[reference.plugin], instances[reference.plugin] != nil else { return }
        issues.append(
          WorkerMessage.Issue(
            path: "types.\(type.name).\(field)", message: library.lacks(reference.export, kind), mayBeTriedAgain: false)
        )
      }
      let executor = instances[type.executor.plugin]?.executor(named: type.executor.export)
      if executor == nil { missing("executor", type.executor, .executor) }
      let callback = type.callback.flatMap { instances[$0.plugin]?.callback(named: $0.export) }
      if let reference = type.callback, callback == nil { missing("callback", reference, .callback) }
      let handler = type.exceptionHandler.flatMap { instances[$0.plugin]?.exceptionHandler(named: $0.export) }
      if let reference = type.exceptionHandler, handler == nil {
        missing("exceptionHandler", reference, .exceptionHandler)
      }
      guard let executor else { continue }
      loaded.types.append(
        LoadedType(type, executor: executor, callback: callback, exceptionHandler: handler))
    }
    return (loaded, issues)
  }
}

extension PluginLibrary {
  /// What to say when config names an export that is not there.
  func lacks(_ name: String, _ kind: PluginExport.Kind) -> String {
    let there = exports.filter { $0.kind == kind }.map(\.name).sorted().joined(separator: ", ")
    return "plugin \"\(self.name)\" has no \(kind.words) \"\(name)\"; "
      + (there.isEmpty ? "it has none" : "it has: \(there)")
  }
}
