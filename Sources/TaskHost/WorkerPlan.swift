// SPDX-License-Identifier: Apache-2.0
internal import Config
internal import TaskModel
internal import TaskStore
internal import WorkerControl

/// One worker process that config asks for.
struct WorkerPlan: Sendable {
  /// The name of the worker in config.
  let worker: String
  /// `host/worker/number`, for people.
  let label: String
  let environment: [String: String]
  /// Of one process.
  let memory: Int?
  let cpu: Double?
  let recycle: RecycleConfig
  /// Nil: the host's own user.
  let userName: String?
  /// Nil also when there is no user of the name.
  let user: UserAccount?
  private let plugins: [WorkerAssignment.Plugin]
  private let types: [WorkerAssignment.TaskType]
  private let runsAlone: Bool

  /// Whether its memory is looked at.
  var isMeasured: Bool { memory != nil || recycle.memory != nil }
  var pluginNames: [String] { plugins.map(\.name) }
  /// The name of the type that has this place in the assignment.
  func typeName(_ index: Int) -> String { types.indices.contains(index) ? types[index].name : "" }

  /// Every worker process of a config; workers without types are left out.
  ///
  /// `copies` are the files that are loaded, by the plugin's name in config.
  static func plans(
    _ config: Config, copies: [String: String], users: [String: UserAccount],
    environment: [String: String]
  ) -> [WorkerPlan] {
    config.workers.sorted { $0.key < $1.key }.flatMap { name, worker -> [WorkerPlan] in
      let types = config.types.filter { $0.value.worker == name }
      guard !types.isEmpty else { return [] }
      return (1...worker.processes).map { number in
        WorkerPlan(
          name, label: "\(config.name)/\(name)/\(number)", types: types, config, copies: copies, users: users,
          environment: environment)
      }
    }
  }

  /// The extra process that runs tasks of the type alone, one after the other.
  static func alone(
    _ type: String, _ config: Config, copies: [String: String], users: [String: UserAccount],
    environment: [String: String]
  ) -> WorkerPlan? {
    guard let definition = config.types[type] else { return nil }
    return WorkerPlan(
      definition.worker, label: "\(config.name)/\(definition.worker)/alone-\(type)", types: [type: definition], config,
      copies: copies, users: users, environment: environment, runsAlone: true)
  }

  private init(
    _ name: String, label: String, types: [String: TypeConfig], _ config: Config, copies: [String: String],
    users: [String: UserAccount], environment: [String: String], runsAlone: Bool = false
  ) {
    worker = name
    self.label = label
    let limits = config.workers[name]
    memory = limits?.memory
    cpu = limits?.cpu
    recycle = limits?.recycle ?? RecycleConfig()
    userName = limits?.user
    user = userName.flatMap { users[$0] }
    self.environment = Self.environment(of: limits?.environment, from: environment)
    self.runsAlone = runsAlone
    let used = Set(types.values.flatMap(\.plugins))
    plugins = config.plugins.filter { used.contains($0.key) }.sorted { $0.key < $1.key }.map { name, plugin in
      WorkerAssignment.Plugin(
        name: name, path: plugin.path, copy: copies[name] ?? plugin.path,
        settings: String(decoding: plugin.settings, as: UTF8.self))
    }
    self.types = types.sorted { $0.key < $1.key }.map { name, type in
      var type = WorkerAssignment.TaskType(name, type)
      if runsAlone { (type.threads, type.handlerThreads) = (1, 1) }
      return type
    }
  }

  /// What of the environment a worker gets: the names that config lets through, or all but those that change how
  /// libraries are found.
  static func environment(of names: [String]?, from environment: [String: String]) -> [String: String] {
    var kept = environment.filter { name, _ in names?.contains(name) ?? !name.hasPrefix("LD_") }
    // Swift's report takes a second or more for each crash; who wants it says so.
    kept["SWIFT_BACKTRACE"] = kept["SWIFT_BACKTRACE"] ?? "enable=no"
    return kept
  }

  /// What the next process of this plan is told.
  func assignment(id: String, config: Config, redis: RedisAddress) -> WorkerAssignment {
    WorkerAssignment(
      id: id, label: label, redis: redis, prefix: config.redis.prefix, leaseMillis: config.lease.millis,
      logLevel: config.log.level.rawValue, logFormat: config.log.format.rawValue, plugins: plugins, types: types,
      runsAlone: runsAlone)
  }
}

extension WorkerAssignment.TaskType {
  init(_ name: String, _ type: TypeConfig) {
    func split(_ reference: ExportRef) -> Reference { Reference(plugin: reference.plugin, export: reference.export) }
    self.init(
      name: name, executor: split(type.executor), callback: type.callback.map(split),
      exceptionHandler: type.exceptionHandler.map(split), threads: type.threads, handlerThreads: type.handlerThreads,
      maxResult: type.maxResult, retry: type.retry, handlerRetry: type.handlerRetry,
      timeoutMillis: type.timeout?.millis, graceMillis: type.grace.millis)
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
        maxCrashes: type.maxCrashes, handlerRetry: type.handlerRetry)
    }
  }
}
