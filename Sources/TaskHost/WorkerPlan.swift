// SPDX-License-Identifier: Apache-2.0
internal import Config
internal import TaskModel
internal import TaskStore
internal import WorkerControl

/// One worker process that config asks for.
struct WorkerPlan: Sendable {
  /// `host/worker/number`, for people.
  let label: String
  let environment: [String: String]
  private let plugins: [WorkerAssignment.Plugin]
  private let types: [WorkerAssignment.TaskType]

  /// Every worker process of a config; workers without types are left out.
  static func plans(_ config: Config, environment: [String: String]) -> [WorkerPlan] {
    config.workers.sorted { $0.key < $1.key }.flatMap { name, worker -> [WorkerPlan] in
      let types = config.types.filter { $0.value.worker == name }.sorted { $0.key < $1.key }
      guard !types.isEmpty else { return [] }
      let used = Set(types.flatMap { $0.value.plugins })
      let plugins = config.plugins.filter { used.contains($0.key) }.sorted { $0.key < $1.key }.map { name, plugin in
        WorkerAssignment.Plugin(
          name: name, path: plugin.path, copy: plugin.path, settings: String(decoding: plugin.settings, as: UTF8.self))
      }
      let variables = Self.environment(of: worker.environment, from: environment)
      return (1...worker.processes).map { number in
        WorkerPlan(
          label: "\(config.name)/\(name)/\(number)",
          environment: variables, plugins: plugins,
          types: types.map { WorkerAssignment.TaskType($0.key, $0.value) })
      }
    }
  }

  /// What of the environment a worker gets: the names that config lets through, or all but those that change how
  /// libraries are found.
  static func environment(of names: [String]?, from environment: [String: String]) -> [String: String] {
    environment.filter { name, _ in names?.contains(name) ?? !name.hasPrefix("LD_") }
  }

  /// What the next process of this plan is told.
  func assignment(id: String, config: Config, redis: RedisAddress) -> WorkerAssignment {
    WorkerAssignment(
      id: id, label: label, redis: redis, prefix: config.redis.prefix, leaseMillis: config.lease.millis,
      logLevel: config.log.level.rawValue, logFormat: config.log.format.rawValue, plugins: plugins, types: types)
  }
}

extension WorkerAssignment.TaskType {
  init(_ name: String, _ type: TypeConfig) {
    func split(_ reference: ExportRef) -> Reference { Reference(plugin: reference.plugin, export: reference.export) }
    self.init(
      name: name, executor: split(type.executor), callback: type.callback.map(split),
      exceptionHandler: type.exceptionHandler.map(split), threads: type.threads, handlerThreads: type.handlerThreads,
      maxResult: type.maxResult, retry: type.retry, handlerRetry: type.handlerRetry,
      timeoutMillis: type.timeout?.millis)
  }
}

extension Config {
  /// The types as this host makes them known.
  var definitions: [TypeDefinition] {
    types.sorted { $0.key < $1.key }.map { name, type in
      TypeDefinition(
        name: name, executor: type.executor.description, callback: type.callback?.description,
        exceptionHandler: type.exceptionHandler?.description, worker: type.worker,
        threads: type.threads * (workers[type.worker]?.processes ?? 1), retentionAge: type.retention.age,
        retentionCount: type.retention.count, maxParams: type.maxParams, maxResult: type.maxResult, retry: type.retry,
        queueCapacity: type.queueCapacity, keyTTL: type.keyTTL, timeout: type.timeout,
        maxCrashes: type.maxCrashes)
    }
  }
}
