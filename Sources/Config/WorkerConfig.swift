// SPDX-License-Identifier: Apache-2.0
internal import TaskModel

/// `workers.W`: the processes that run the types of one worker.
package struct WorkerConfig: Sendable, Equatable {
  package var processes: Int
  /// Names of the variables that are let through; nil: all but `LD_*`.
  package var environment: [String]?
  /// Bytes that one process may have resident; nil: no limit.
  package var memory: Int?
  /// Cores that one process may use; nil: no limit.
  package var cpu: Double?
  /// The user that its processes run as; nil: the host's.
  package var user: String?
  package var recycle = RecycleConfig()
}

/// `workers.W.recycle`: when a process is replaced by a new one in good order.
package struct RecycleConfig: Sendable, Equatable {
  /// After so many tasks; nil: never for that.
  package var tasks: Int?
  /// From so many resident bytes on; nil: never for that.
  package var memory: Int?

  package init(tasks: Int? = nil, memory: Int? = nil) {
    self.tasks = tasks
    self.memory = memory
  }
}

extension WorkerConfig {
  init(_ from: ConfigDecoder) {
    processes = from.integer("processes", default: 1, in: 1...256)
    environment = from.strings("environment") {
      isVariableName($0) ? nil : "\"\($0)\" is not the name of an environment variable"
    }
    memory = from.byteCount("memory", in: RecycleConfig.memoryRange)
    cpu = from.number("cpu", in: 0.01...1024)
    user = from.userName("user")
    let memory = memory
    recycle = from.object("recycle") { RecycleConfig($0, below: memory) }
    if case .object? = from.value("recycle")?.content, recycle == RecycleConfig() {
      from.refuse("recycle", "says nothing; give tasks, memory or both")
    }
  }

  /// The worker of a name that stands in no config.
  static let standard = WorkerConfig(processes: 1, recycle: RecycleConfig())
}

extension RecycleConfig {
  /// Less than the least would not hold a process without plugins.
  fileprivate static let memoryRange = 16 << 20...1 << 50

  init(_ from: ConfigDecoder, below limit: Int?) {
    tasks = from.integer("tasks", in: 1...1_000_000_000)
    memory = from.byteCount("memory", in: Self.memoryRange)
    guard let memory, let limit, memory >= limit else { return }
    from.refuse(
      "memory",
      "\(Quantity.text(byteCount: memory)) is not less than memory of the worker, \(Quantity.text(byteCount: limit)), "
        + "at which a process is ended")
  }
}

extension ConfigDecoder {
  /// A user's name; whether there is one of that name is not known yet.
  fileprivate func userName(_ key: String) -> String? {
    guard let name = string(key) else { return nil }
    let isName =
      (1...256).contains(name.utf8.count)
      && name.utf8.allSatisfy { $0 > 0x20 && $0 != 0x7f && $0 != UInt8(ascii: ":") && $0 != UInt8(ascii: "/") }
    if !isName { refuse(key, "\(shown(key)) is not the name of a user") }
    return isName ? name : nil
  }
}
