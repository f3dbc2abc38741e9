// SPDX-License-Identifier: Apache-2.0
internal import HTTPServer
internal import TaskHost
internal import TaskModel
internal import TaskStore

/// The schedules of this host's config, with when each last made a task, on whatever host, and when it is due next.
enum ScheduleRoutes {
  static func all(_ store: TaskStore, _ status: HostStatus) -> Operation {
    .get { _ throws(Problem) in
      let schedules = status.schedules
      let last = try await fromStore { () throws(TaskStoreError) in
        try await store.lastFired(schedules.map(\.field))
      }
      let now = store.clock.now
      var writer = JSONWriter(capacity: schedules.count * 200 + 32)
      writer.beginObject()
      writer.key("schedules")
      writer.beginArray()
      for (schedule, lastAt) in zip(schedules, last) {
        writer.beginObject()
        writer.member("name", schedule.name)
        writer.member("type", schedule.type)
        writer.member("cron", schedule.cron)
        writer.member("timezone", schedule.timezone)
        for (name, time) in [("lastAt", lastAt), ("nextAt", schedule.next(after: now))] {
          writer.key(name)
          if let time { writer.string(time.iso8601) } else { writer.null() }
        }
        writer.endObject()
      }
      writer.endArray()
      writer.endObject()
      return .json(writer.bytes)
    }
  }
}
