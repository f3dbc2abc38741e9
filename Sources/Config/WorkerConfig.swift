// SPDX-License-Identifier: Apache-2.0

/// `workers.W`: the processes that run the types of one worker.
package struct WorkerConfig: Sendable, Equatable {
  package var processes: Int
  /// Names of the variables that are let through; nil: all but `LD_*`.
  package var environment: [String]?
}

extension WorkerConfig {
  init(_ from: ConfigDecoder) {
    processes = from.integer("processes", default: 1, in: 1...256)
    environment = from.strings("environment") {
      isVariableName($0) ? nil : "\"\($0)\" is not the name of an environment variable"
    }
  }

  /// The worker of a name that stands in no config.
  static let standard = WorkerConfig(processes: 1, environment: nil)
}
