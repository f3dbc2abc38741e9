// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import TaskModel

/// What config.json says, with every default filled in.
package struct Config: Sendable, Equatable {
  /// The directory of config.json, absolute: where relative paths start and workers run.
  package var directory: String
  /// A label of this host for people.
  package var name: String
  package var redis: RedisConfig
  package var http: HTTPConfig
  package var log: LogConfig
  package var drain: DrainConfig
  /// How long a worker that is not heard of keeps its tasks.
  package var lease: Duration
  package var plugins: [String: PluginConfig]
  /// By name; also those that stand in no config and that a type runs in.
  package var workers: [String: WorkerConfig]
  package var types: [String: TypeConfig]
  package var schedules: [String: ScheduleConfig]
}

extension Config {
  init(_ from: ConfigDecoder) {
    directory = from.report.directory
    _ = from.string("$schema")
    name = from.string("name") ?? hostName()
    if !isHostLabel(name) {
      from.refuse("name", "a host's name has 1 to 128 bytes, without / and without control characters")
    }
    redis = from.object("redis", RedisConfig.init)
    http = from.object("http", HTTPConfig.init)
    log = from.object("log", LogConfig.init)
    drain = from.object("drain", DrainConfig.init)
    lease = from.duration("lease", default: .seconds(15), in: .milliseconds(100) ... .seconds(600))

    if !from.has("plugins") { from.missing("plugins", "name at least one plugin and its path") }
    let plugins = from.map("plugins", of: "plugin") { _, plugin in PluginConfig(plugin) }
    let workers = from.map("workers", of: "worker") { _, worker in WorkerConfig(worker) }
    if !from.has("types") { from.missing("types", "name at least one type and its executor") }
    types = from.map("types", of: "type") { _, type in
      TypeConfig(type, plugins: Set(plugins.keys), workers: Set(workers.keys))
    }
    let types = self.types
    schedules = from.map("schedules", of: "schedule") { _, schedule in ScheduleConfig(schedule, types: types) }
      .compactMapValues { $0 }
    self.plugins = plugins
    self.workers = workers
    for type in types.values where workers[type.worker] == nil { self.workers[type.worker] = .standard }
  }
}

private func isHostLabel(_ name: String) -> Bool {
  (1...128).contains(name.utf8.count)
    && name.unicodeScalars.allSatisfy { $0.value >= 0x20 && $0.value != 0x7f && $0 != "/" }
}

private func hostName() -> String {
  var name = [CChar](repeating: 0, count: 129)
  let status = gethostname(&name, name.count - 1)
  let text = String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
  return status == 0 && isHostLabel(text) ? text : "host"
}
