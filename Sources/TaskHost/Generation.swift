// SPDX-License-Identifier: Apache-2.0
internal import Config
internal import PluginFiles
internal import TaskModel

/// What a host runs: a config, the files that are loaded for its plugins, and the workers that follow from both.
struct Generation: Sendable {
  /// The first one of a host is 1.
  var number: Int
  let config: Config
  let plugins: [HostStatus.Plugin]
  let plans: [WorkerPlan]
  private let copies: [String: StoredPlugin]
  private let environment: [String: String]

  /// `copies` are the files that are loaded, by the plugin's name in config.
  init(
    number: Int, _ config: Config, plugins: [HostStatus.Plugin], copies: [String: StoredPlugin],
    environment: [String: String]
  ) {
    self.number = number
    self.config = config
    self.plugins = plugins
    self.copies = copies
    self.environment = environment
    plans = WorkerPlan.plans(config, copies: copies.mapValues(\.copy), environment: environment)
  }

  /// Those of the files that are loaded.
  var digests: Set<String> { Set(copies.values.map(\.digest)) }

  /// The extra process for tasks of the type that are to run alone.
  func aloneFor(_ type: String) -> WorkerPlan? {
    WorkerPlan.alone(type, config, copies: copies.mapValues(\.copy), environment: environment)
  }
}

/// Everything that keeps a generation from being made.
struct GenerationRefused: Error {
  let issues: [ConfigIssue]
}

extension Generation {
  /// Checks and copies the files of all plugins, and loads the copies in processes that are thrown away.
  ///
  /// Blocks for as long as plugins take to load, up to their limit.
  static func make(
    _ number: Int, _ config: Config, in store: PluginStore
  ) throws(GenerationRefused) -> Generation {
    var copies: [String: StoredPlugin] = [:]
    var issues: [ConfigIssue] = []
    for (name, plugin) in config.plugins.sorted(by: { $0.key < $1.key }) {
      do throws(PluginError) {
        copies[name] = try store.add(name: name, path: plugin.path, sha256: plugin.sha256)
      } catch {
        issues.append(ConfigIssue(path: "plugins.\(name).path", message: error.message))
      }
    }
    issues += PluginProber.check(config)
    guard issues.isEmpty else { throw GenerationRefused(issues: issues) }
    return Generation(number: number, config, plugins: [], copies: copies, environment: ChildProcess.ownEnvironment)
  }

  /// Reads config.json anew and makes the generation that is to follow one with the config `before`.
  static func prepare(_ number: Int, path: String, after before: Config, in store: PluginStore) -> ReloadQueue.Prepared
  {
    do {
      let read = try Config.load(path: path, environment: ChildProcess.ownEnvironment)
      let (config, restartNeeded) = before.applying(read)
      return ReloadQueue.Prepared(
        generation: .success(try make(number, config, in: store)), restartNeeded: restartNeeded)
    } catch let error as ConfigErrors {
      return ReloadQueue.Prepared(generation: .failure(.refused(error.issues)), restartNeeded: [])
    } catch {
      let issues = (error as? GenerationRefused)?.issues ?? []
      return ReloadQueue.Prepared(generation: .failure(.refused(issues)), restartNeeded: [])
    }
  }
}
