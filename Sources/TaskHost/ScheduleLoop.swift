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
    /// The due time that Redis had no memory for.
    var refused: Timestamp?
  }

  private var entries: [Entry]
  private let start: Timestamp

  static let lateness: Int64 = 60_000
  /// Milliseconds until a due time that Redis had no memory for is tried again.
  static let pause: Int64 = 1000

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
      entries[index].done = done
      entries[index].next = schedule.next(after: now)
      try fire(&entries[index], after: done, redis, now)
    }
  }

  private func fire(
    _ entry: inout Entry, after done: Timestamp, _ redis: Housekeeping, _ now: Timestamp
  ) throws(RedisError) {
    let schedule = entry.schedule
    let (name, type) = (schedule.name, schedule.type)
    var since = done
    if schedule.config.missed == .skip { since = max(done, start, Timestamp(millis: now.millis - Self.lateness)) }
    guard let due = schedule.config.cron.latest(notAfter: now, since: since, in: schedule.config.zone) else { return }
    switch try redis.fire(schedule.field, due: due, schedule.submission, of: schedule.definition, now: now) {
    case .stored(let id):
      Log.info("schedule \(name) made task \(id)", ["type": type, "task": id.description])
      entry.done = due
    case .done(let last): entry.done = max(due, last)
    case .full:
      let limit = schedule.definition.queueCapacity
      Log.warning("schedule \(name) made no task: \(limit) tasks of its type wait already", ["type": type])
      entry.done = due
    case .outOfMemory:
      if entry.refused != due {
        Log.warning("schedule \(name) made no task yet: Redis has no memory left", ["type": type])
      }
      entry.refused = due
      entry.next = Timestamp(millis: now.millis + Self.pause)
    }
  }
}
