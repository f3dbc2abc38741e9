// SPDX-License-Identifier: Apache-2.0
internal import HTTPServer
internal import TaskHost
internal import TaskModel
internal import TaskStore

/// The worker processes of this host with what each runs, and the plugins that they have loaded.
enum WorkerRoutes {
  static func workers(_ store: TaskStore, _ status: HostStatus) -> Operation {
    .get { _ throws(Problem) in
      let workers = status.workers
      let progress = await progress(of: workers.flatMap { $0.flights.map(\.task) }, store)
      var writer = JSONWriter(capacity: workers.count * 200 + 32)
      writer.beginObject()
      writer.key("workers")
      writer.beginArray()
      for worker in workers { write(worker, progress, to: &writer) }
      writer.endArray()
      writer.endObject()
      return .json(writer.bytes)
    }
  }

  static func plugins(_ status: HostStatus) -> Operation {
    .immediate("GET") { call throws(Problem) in
      var writer = JSONWriter()
      writer.beginObject()
      writer.key("plugins")
      writer.beginArray()
      for plugin in status.plugins { write(plugin, to: &writer) }
      writer.endArray()
      writer.endObject()
      call.reply.send(.json(writer.bytes))
    }
  }

  /// The progress of those tasks that have told any; of none while Redis is away, since what runs is known without it.
  private static func progress(
    of ids: [TaskID], _ store: TaskStore
  ) async -> [TaskID: (fraction: Double, note: String)] {
    var found: [TaskID: (fraction: Double, note: String)] = [:]
    for start in stride(from: 0, to: ids.count, by: BatchRoutes.limit) {
      let some = Array(ids[start..<min(start + BatchRoutes.limit, ids.count)])
      guard let records = try? await store.records(some, parts: []) else { return found }
      for (id, record) in zip(some, records) { found[id] = record?.progress }
    }
    return found
  }

  private static func write(
    _ worker: HostStatus.Worker, _ progress: [TaskID: (fraction: Double, note: String)], to writer: inout JSONWriter
  ) {
    writer.beginObject()
    writer.member("id", worker.id)
    writer.member("name", worker.name)
    // No host has a slash in its name.
    writer.member("host", String(worker.name.prefix { $0 != "/" }))
    writer.member("pid", Int64(worker.pid))
    writer.member("generation", Int64(worker.generation))
    writer.key("threads")
    writer.beginArray()
    for flight in worker.flights {
      writer.beginObject()
      writer.member("task", flight.task.description)
      writer.member("type", flight.type)
      writer.member("startedAt", flight.startedAt.iso8601)
      if let (fraction, note) = progress[flight.task] {
        writer.key("progress")
        writer.beginObject()
        writer.key("fraction")
        writer.number(fraction)
        if !note.isEmpty { writer.member("note", note) }
        writer.endObject()
      }
      writer.endObject()
    }
    writer.endArray()
    writer.endObject()
  }

  private static func write(_ plugin: HostStatus.Plugin, to writer: inout JSONWriter) {
    writer.beginObject()
    writer.member("name", plugin.name)
    writer.member("version", plugin.version)
    writer.member("build", plugin.build)
    writer.member("path", plugin.path)
    writer.key("exports")
    writer.beginArray()
    for export in plugin.exports {
      writer.beginObject()
      writer.member("name", export.name)
      writer.member("kind", export.kind.rawValue)
      writer.endObject()
    }
    writer.endArray()
    writer.endObject()
  }
}
