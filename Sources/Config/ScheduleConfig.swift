// SPDX-License-Identifier: Apache-2.0
package import Schedules
internal import TaskModel

/// `schedules.S`: a task that is submitted again and again.
package struct ScheduleConfig: Sendable, Equatable {
  /// What is done about due times at which no host was there.
  package enum Missed: String, Sendable, CaseIterable {
    case skip
    /// The last of them is made up for.
    case runOnce
  }

  /// One that `Config.types` has.
  package var type: String
  /// A JSON value as it was written, with the variables in its strings replaced.
  package var params: [UInt8]
  package var cron: CronExpression
  package var zone: TimeZoneRules
  package var missed: Missed
}

extension ScheduleConfig {
  /// Nil when something is wrong that no default can stand for.
  init?(_ from: ConfigDecoder, types: [String: TypeConfig]) {
    let type = from.type("type", among: types)
    let params = from.params("params", limit: type.map { ($0.config.maxParams, $0.name) })
    let cron = from.cron("cron")
    let zone = from.timeZone("timezone")
    missed = from.choice("missed", default: .skip)
    guard let type, let cron, let zone else { return nil }
    self.type = type.name
    self.params = params
    self.cron = cron
    self.zone = zone
  }
}

extension ConfigDecoder {
  fileprivate func type(_ key: String, among types: [String: TypeConfig]) -> (name: String, config: TypeConfig)? {
    guard let name = requiredString(key, "name one of types"), !name.isEmpty else { return nil }
    if let config = types[name] { return (name, config) }
    let hint = nearestName(to: name, among: types.keys).map { "; did you mean \"\($0)\"?" }
    refuse(key, "there is no type \(shown(key))\(hint ?? "; types has \(listed(Set(types.keys)))")")
    return nil
  }

  fileprivate func params(_ key: String, limit: (bytes: Int, type: String)?) -> [UInt8] {
    let params = json(key)
    if let limit, params.count > limit.bytes {
      refuse(
        key,
        "\(params.count) bytes are more than maxParams of the type \(limit.type), "
          + Quantity.text(byteCount: limit.bytes))
    }
    return params
  }

  fileprivate func cron(_ key: String) -> CronExpression? {
    guard let text = requiredString(key, "write minute, hour, day of month, month, day of week, as in \"0 3 * * *\"")
    else { return nil }
    do throws(CronError) {
      return try CronExpression(text)
    } catch {
      // Messages show what stands in the file: what came from the environment may be secret.
      let isLiteral = value(key)?.text == text
      if !text.isEmpty { refuse(key, isLiteral ? error.description : "\(shown(key)) is not a cron expression") }
      return nil
    }
  }

  fileprivate func timeZone(_ key: String) -> TimeZoneRules? {
    guard let name = value(key) == nil ? TimeZoneRules.utc.name : string(key) else { return nil }
    let directory = report.environment["TZDIR"].flatMap { $0.isEmpty ? nil : $0 } ?? TimeZoneRules.standardDirectory
    do throws(TimeZoneError) {
      return try TimeZoneRules.load(name, directory: directory)
    } catch {
      let reason =
        switch error {
        case .unknown(let nearest):
          "there is no time zone \(shown(key))"
            + (nearest.map { "; did you mean \"\($0)\"?" } ?? "; write a name of the IANA database, as in Europe/Berlin")
        case .notInstalled(let directory): "no time zones are installed in \(directory); install the package tzdata"
        case .damaged(let path): "\(path) is not a time zone; install the package tzdata again"
        }
      refuse(key, reason)
      return nil
    }
  }
}
