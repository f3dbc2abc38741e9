// SPDX-License-Identifier: Apache-2.0
internal import Config
internal import Logging
internal import Redis
internal import Schedules
internal import TaskModel
internal import TaskStore

/// Makes the tasks of schedules at their due times; every host does, and Redis lets one of them.
///
/// Times are by Redis' clock. Of several due times that have passed at once only the last makes a task. One that passed
/// before this host started, or that is noticed more than `lateness` late, was missed: `missed` says whether it is made up for.
struct ScheduleLoop {
  private struct Entry {
    let schedule: Schedule
    /// Everything due up to here is dealt with; nil: not asked yet on this connection.
    var done: Timestamp?
    var next: Timestamp?
  }

  private var entries: [Entry]
  private let start: Timestamp

  static let lateness: Int64 = 60_000

  init(_ schedules: [Schedule], start: Timestamp) {
    entries = schedules.map { Entry(schedule: $0) }
    self.start = start
  }

  /// When to come back; nil: never.
  var nextDue: Timestamp? { entries.compactMap(\.next).min() }

  /// The connection is a new one: other hosts may have gone on meanwhile.
  mutating func forget() {
    for index in entries.indices { (entries[index].done, entries[index].next) = (nil, nil) }
  }

  /// Deals with what is due now.
  mutating func run(_ redis: Housekeeping, now: Timestamp) throws(RedisError) {
    for index in entries.indices {
      let schedule = entries[index].schedule
      let done: Timestamp
      if let known = entries[index].done {
        guard entries[index].next.map({ $0 <= now }) ?? false else { continue }
        done = known
      } else {
        done = try redis.know(schedule.field, from: now)
      }
      entries[index].done = try fire(schedule, after: done, redis, now)
      entries[index].next = schedule.next(after: now)
    }
  }

  /// Returns up to when all is dealt with.
  private func fire(
    _ schedule: Schedule, after done: Timestamp, _ redis: Housekeeping, _ now: Timestamp
  ) throws(RedisError) -> Timestamp {
    var since = done
    if schedule.config.missed == .skip { since = max(done, start, Timestamp(millis: now.millis - Self.lateness)) }
    guard let due = schedule.config.cron.latest(notAfter: now, since: since, in: schedule.config.zone) else {
      return done
    }
    switch try redis.fire(schedule.field, due: due, schedule.submission, of: schedule.definition) {
    case .stored(let id):
      Log.info("schedule \(schedule.name) made task \(id)", ["type": schedule.config.type, "task": id.description])
      return due
    case .done(let last): return max(due, last)
    case .full:
      Log.warning(
        "schedule \(schedule.name) made no task: \(schedule.definition.queueCapacity) tasks of its type wait already",
        ["type": schedule.config.type])
      return due
    }
  }
}
