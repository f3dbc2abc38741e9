// SPDX-License-Identifier: Apache-2.0
package import Config
internal import Schedules
package import TaskModel
internal import TaskStore

/// A schedule of this host's config.
package struct Schedule: Sendable {
  package let name: String
  let config: ScheduleConfig
  let definition: TypeDefinition

  package var type: String { config.type }
  /// The expression as it was written.
  package var cron: String { config.cron.text }
  package var timezone: String { config.zone.name }
  /// What tells it from others in Redis; with other times it is another schedule, for which nothing was missed yet.
  package var field: String { "\(name) \(type) \(cron) \(timezone)" }

  /// Nil: never.
  package func next(after time: Timestamp) -> Timestamp? { config.cron.next(after: time, in: config.zone) }

  var submission: Submission { Submission(type: config.type, params: config.params) }

  /// The schedules of a config, by name.
  package static func all(of config: Config) -> [Schedule] {
    let definitions = Dictionary(uniqueKeysWithValues: config.definitions.map { ($0.name, $0) })
    return config.schedules.sorted { $0.key < $1.key }.compactMap { name, schedule in
      definitions[schedule.type].map { Schedule(name: name, config: schedule, definition: $0) }
    }
  }
}
