// SPDX-License-Identifier: Apache-2.0
package import Config

/// What a reload has come to.
package struct ReloadReport: Sendable, Equatable {
  /// The generation of workers that takes tasks now; the first one of a host is 1.
  package var generation: Int
  /// Paths of what was changed in config.json and waits for a restart, as in `http.listen`.
  package var restartNeeded: [String]
}

/// Why a reload left everything as it was.
package enum ReloadRefusal: Error, Sendable, Equatable {
  /// Another one is under way.
  case running
  /// The host is draining.
  case stopping
  /// What is wrong with the new config, its plugins or the workers that were started with them.
  case refused([ConfigIssue])
}

extension TaskHost {
  /// Reads config.json anew and lets a new generation of workers take over; returns when it has.
  ///
  /// May be called from any thread.
  package func reload() async throws(ReloadRefusal) -> ReloadReport {
    throw .stopping
  }
}
