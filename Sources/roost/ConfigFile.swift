// SPDX-License-Identifier: Apache-2.0
internal import Config
internal import TaskHost
@preconcurrency internal import Glibc

/// The config that `--config`, `ROOST_CONFIG` or the default names.
enum ConfigFile {
  static func path(_ arguments: Arguments) -> String {
    if let path = arguments.value("config") { return path }
    if let path = Terminal.environment("ROOST_CONFIG"), !path.isEmpty { return path }
    return "config.json"
  }

  /// Reads the config with the process' environment and checks all of it, the plugins too.
  static func check(_ path: String) throws(ConfigErrors) -> CheckedConfig {
    try CheckedConfig.load(path: path, environment: environment())
  }

  /// Everything wrong with a config, as the end of a verb.
  static func failure(_ errors: ConfigErrors) -> CommandError {
    CommandError(exitCode: .failed, message: "", notes: errors.lines)
  }

  /// The variables of the process; nothing changes them while it runs.
  private static func environment() -> [String: String] {
    var result: [String: String] = [:]
    var entry = environ
    while let text = entry.pointee {
      let parts = String(cString: text).split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      if parts.count == 2 { result[String(parts[0])] = String(parts[1]) }
      entry += 1
    }
    return result
  }
}
