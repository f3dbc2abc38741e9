// SPDX-License-Identifier: Apache-2.0

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
}

extension WorkerConfig {
  init(_ from: ConfigDecoder) {
    processes = from.integer("processes", default: 1, in: 1...256)
    environment = from.strings("environment") {
      isVariableName($0) ? nil : "\"\($0)\" is not the name of an environment variable"
    }
    recycle = RecycleConfig()
  }

  /// The worker of a name that stands in no config.
  static let standard = WorkerConfig(processes: 1, recycle: RecycleConfig())
}
