// SPDX-License-Identifier: Apache-2.0
internal import Config
internal import Logging
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
  /// Looked up once: the databases of users may be away later.
  private let users: [String: UserAccount]

  init(number: Int, _ checked: CheckedConfig, environment: [String: String]) {
    for copy in checked.copies.values.sorted(by: { $0.place.name < $1.place.name }) {
      for warning in copy.warnings { Log.warning(warning, ["plugin": copy.place.name]) }
    }
    self.number = number
    config = checked.config
    copies = checked.copies
    self.environment = environment
    plugins = checked.answers.sorted { $0.key < $1.key }.map { name, answer in
      HostStatus.Plugin(
        name: name, version: answer.version, build: answer.build, path: checked.config.plugins[name]?.path ?? "",
        exports: answer.exports)
    }
    let names = Set(config.workers.values.compactMap(\.user))
    users = Dictionary(uniqueKeysWithValues: names.compactMap { name in UserAccount(name: name).map { (name, $0) } })
    plans = WorkerPlan.plans(config, copies: copies.mapValues(\.copy), users: users, environment: environment)
  }

  /// Those of the files that are loaded.
  var digests: Set<String> { Set(copies.values.map(\.digest)) }

  /// The extra process for tasks of the type that are to run alone.
  func aloneFor(_ type: String) -> WorkerPlan? {
    WorkerPlan.alone(type, config, copies: copies.mapValues(\.copy), users: users, environment: environment)
  }
}

extension Generation {
  /// Reads config.json anew and makes the generation that is to follow one with the config `before`.
  ///
  /// Plugin files are checked and copied, and the copies loaded in processes that are thrown away: it blocks for as long as
  /// that takes, up to its limit.
  static func prepare(
    _ number: Int, path: String, after before: Config, in store: PluginStore
  ) -> ReloadQueue.Prepared {
    do throws(ConfigErrors) {
      let environment = ChildProcess.ownEnvironment
      let checked = try CheckedConfig.load(path: path, environment: environment) { _ in store }
      let (config, restartNeeded) = before.applying(checked.config)
      let generation = Generation(
        number: number, CheckedConfig(config: config, copies: checked.copies, answers: checked.answers),
        environment: environment)
      return ReloadQueue.Prepared(generation: .success(generation), restartNeeded: restartNeeded)
    } catch {
      return ReloadQueue.Prepared(generation: .failure(.refused(error.issues)), restartNeeded: [])
    }
  }
}
