// SPDX-License-Identifier: Apache-2.0
internal import Redis
internal import TaskModel
internal import Synchronization
internal import Threading

/// How many tasks of each type wait, as far as this host has heard: it asks for an exact look only where a type may be full.
final class KnownBacklogs: Sendable {
  /// Tasks that others may add to a type before this host hears of it.
  private static let slack = 16 * StoreLink.callTasks

  private let known = Lock<[String: Housekeeping.Backlog]>([:])

  /// Types and capacities for the script to look at: for others its look would be one more call.
  func limits(of definitions: [TypeDefinition]) -> String {
    let known = known.withLock { $0 }
    var words: [String: Int] = [:]
    for definition in definitions {
      let backlog = known[definition.name].map { $0.pending + $0.scheduled } ?? definition.queueCapacity
      if backlog + Self.slack > definition.queueCapacity { words[definition.name] = definition.queueCapacity }
    }
    return words.map { "\($0.key) \($0.value)" }.joined(separator: " ")
  }

  /// As a heartbeat counted them.
  func note(_ counted: [String: Housekeeping.Backlog]) {
    known.withLock { $0.merge(counted) { $1 } }
  }

  /// The same from the answer to a submission: type, PENDING and SCHEDULED tasks, and so on; -1 where that is not known.
  func note(_ counted: ArraySlice<RedisReply>) {
    let parts = Array(counted)
    known.withLock { known in
      for index in stride(from: 0, to: parts.count - 2, by: 3) {
        let pending = parts[index + 1].integerValue ?? -1
        let scheduled = parts[index + 2].integerValue ?? -1
        guard let type = parts[index].textValue,
          var backlog = known[type]
            ?? (min(pending, scheduled) < 0 ? nil : Housekeeping.Backlog(pending: 0, scheduled: 0))
        else { continue }
        if pending >= 0 { backlog.pending = Int(pending) }
        if scheduled >= 0 { backlog.scheduled = Int(scheduled) }
        known[type] = backlog
      }
    }
  }
}
