// SPDX-License-Identifier: Apache-2.0

/// `log`: what is written to standard error.
package struct LogConfig: Sendable, Equatable {
  package enum Level: String, Sendable, CaseIterable {
    case debug, info, warning, error
  }

  package enum Format: String, Sendable, CaseIterable {
    /// `text` in a terminal, `json` otherwise.
    case auto, text, json
  }

  package var level: Level
  package var format: Format
}

/// `drain`: how long running tasks may go on.
package struct DrainConfig: Sendable, Equatable {
  /// After SIGTERM or SIGINT.
  package var stop: Duration
  /// After a reload, for the workers that it replaces.
  package var reload: Duration
}

extension LogConfig {
  init(_ from: ConfigDecoder) {
    level = from.choice("level", default: .info)
    format = from.choice("format", default: .auto)
  }
}

extension DrainConfig {
  init(_ from: ConfigDecoder) {
    stop = from.duration("stop", default: .seconds(25), in: .zero ... .seconds(86_400))
    reload = from.duration("reload", default: .seconds(3600), in: .zero ... .seconds(30 * 86_400))
  }
}
