// SPDX-License-Identifier: Apache-2.0
package import Config
package import PluginFiles

/// A config of which everything that can be told beforehand is right.
package struct CheckedConfig: Sendable {
  package let config: Config
  /// By the name that config gives the plugin; empty when none were asked for.
  package let copies: [String: StoredPlugin]
  /// What each plugin said of itself.
  package let answers: [String: PluginProber.Answer]

  /// Reads a config file and checks all of it: text, machine and plugins; throws everything that is wrong at once.
  ///
  /// `store` is where copies of the plugin files go (nil: nowhere); what is loaded to be asked is the copy. Blocks as long
  /// as the plugins take to load.
  package static func load(
    path: String, environment: [String: String], program: String = PluginProber.ownProgram,
    store: (Config) -> PluginStore? = { _ in nil }
  ) throws(ConfigErrors) -> CheckedConfig {
    let config: Config
    do throws(ConfigErrors) {
      config = try Config.load(path: path, environment: environment)
    } catch {
      guard let readable = error.readable else { throw error }
      let more = PluginProber.check(readable, despite: error.issues, program: program).issues
      throw ConfigErrors(file: path, issues: error.issues + more)
    }
    return try check(config, path: path, program: program, in: store(config))
  }

  /// The same for a config that was read; `known` is what its plugins were found to be already, if their files are still those.
  static func check(
    _ config: Config, path: String, program: String = PluginProber.ownProgram, in store: PluginStore?,
    known: CheckedConfig? = nil
  ) throws(ConfigErrors) -> CheckedConfig {
    var issues: [ConfigIssue] = []
    var copies: [String: StoredPlugin]?
    if let store { copies = addAll(of: config, to: store, &issues) }
    if let known, issues.isEmpty, let copies, known.answers.allSatisfy({ copies[$0.key]?.build == $0.value.build }) {
      return CheckedConfig(config: config, copies: copies, answers: known.answers)
    }
    let found = PluginProber.check(config, copies: copies, program: program)
    issues += found.issues
    guard issues.isEmpty else { throw ConfigErrors(file: path, issues: issues) }
    return CheckedConfig(config: config, copies: copies ?? [:], answers: found.answers)
  }

  private static func addAll(
    of config: Config, to store: PluginStore, _ issues: inout [ConfigIssue]
  ) -> [String: StoredPlugin] {
    var copies: [String: StoredPlugin] = [:]
    for (name, plugin) in config.plugins.sorted(by: { $0.key < $1.key }) {
      do throws(PluginError) {
        copies[name] = try store.add(name: name, path: plugin.path, sha256: plugin.sha256)
      } catch {
        issues.append(PluginProber.Failure(error).issue(of: name))
      }
    }
    return copies
  }
}
