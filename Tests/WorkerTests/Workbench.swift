// SPDX-License-Identifier: Apache-2.0
import Foundation
import TaskModel
import TestSupport
import WorkerControl

/// A plugin of the tests, compiled, and what host and store are told of its types.
struct TestPlugin {
  let name: String
  let library: String
  let settings: String

  /// `source` is below `Tests`; settings name a journal in the folder.
  init(_ name: String, _ source: String, in folder: String) throws {
    self.name = name
    library = folder + "/lib\(name).so"
    settings = "{\"journal\":\"\(folder)/journal\"}"
    let sources = BuildProducts.sources
    let compiled = try run(
      "/usr/bin/cc",
      [
        "-std=gnu11", "-O1", "-shared", "-fPIC", "-I", sources + "/Sources/CRoost/include",
        sources + "/Tests/" + source, "-o", library,
      ])
    guard compiled.status == 0 else { throw SpawnFailed(description: compiled.errors) }
  }

  static func workbench(in folder: String) throws -> TestPlugin {
    try TestPlugin("workbench", "TaskHostTests/TestPlugins/workbench.c", in: folder)
  }

  static func crasher(in folder: String) throws -> TestPlugin {
    try TestPlugin("crasher", "WorkerTests/TestPlugins/crasher.c", in: folder)
  }

  var plugin: WorkerAssignment.Plugin { .init(name: name, path: library, copy: library, settings: settings) }

  /// A type of the executor's name, unless it has another.
  func type(
    _ executor: String, name: String? = nil, threads: Int = 2, callback: String? = nil, timeoutMillis: Int64? = nil,
    graceMillis: Int64 = 5000
  ) -> WorkerAssignment.TaskType {
    .init(
      name: name ?? executor, executor: .init(plugin: self.name, export: executor),
      callback: callback.map { .init(plugin: self.name, export: $0) }, exceptionHandler: nil, threads: threads,
      handlerThreads: threads, maxResult: 1 << 20, timeoutMillis: timeoutMillis, graceMillis: graceMillis)
  }
}

extension WorkerAssignment.TaskType {
  /// The same type as a store knows it.
  var definition: TypeDefinition {
    TypeDefinition(
      name: name, executor: executor.text, callback: callback?.text, exceptionHandler: nil, worker: executor.plugin,
      threads: threads, retentionAge: .seconds(3600), retentionCount: 1000, maxParams: 1 << 20, maxResult: 4 << 20)
  }
}
