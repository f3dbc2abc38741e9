// SPDX-License-Identifier: Apache-2.0
internal import HTTPServer
internal import TaskHost
internal import TaskModel
internal import TaskStore

/// The types there are, how busy each is, and how many tasks of each have which status.
enum TypeRoutes {
  static func all(_ store: TaskStore, _ status: HostStatus) -> Operation {
    .get { _ throws(Problem) in
      let types = store.knownTypes
      let counts = try await fromStore { () throws(TaskStoreError) in try await store.counts(of: types.map(\.name)) }
      var writer = JSONWriter(capacity: types.count * 360 + 16)
      writer.beginObject()
      writer.key("types")
      writer.beginArray()
      for type in types { write(type, counts[type.name] ?? [:], store, status, to: &writer) }
      writer.endArray()
      writer.endObject()
      return .json(writer.bytes)
    }
  }

  static func one(_ store: TaskStore, _ status: HostStatus) -> Operation {
    .get { call throws(Problem) in
      let name = call.captures[0]
      guard let type = try await definition(of: name, store) else { throw .unknownType(name) }
      let counts = try await fromStore { () throws(TaskStoreError) in try await store.counts(of: [name]) }
      var writer = JSONWriter(capacity: 360)
      write(type, counts[name] ?? [:], store, status, to: &writer)
      return .json(writer.bytes)
    }
  }

  /// Asks Redis for a type that is not known: another host may just have come with it.
  private static func definition(of name: String, _ store: TaskStore) async throws(Problem) -> TypeDefinition? {
    if let type = store.definition(of: name) { return type }
    let failure = await withCheckedContinuation { continuation in
      store.refreshTypes { continuation.resume(returning: $0) }
    }
    if let failure { throw Problem(failure) }
    return store.definition(of: name)
  }

  private static func write(
    _ type: TypeDefinition, _ counts: [TaskStatus: Int], _ store: TaskStore, _ status: HostStatus,
    to writer: inout JSONWriter
  ) {
    writer.beginObject()
    writer.member("name", type.name)
    writer.member("executor", type.executor)
    for (name, handler) in [("callback", type.callback), ("exceptionHandler", type.exceptionHandler)] {
      writer.key(name)
      if let handler { writer.string(handler) } else { writer.null() }
    }
    writer.member("worker", type.worker)
    writer.member("threads", Int64(type.threads))
    writer.member("busy", Int64(status.busy(type.name)))
    writer.member("paused", false)
    writer.member("parked", store.isParked(type.name))
    writer.member("breaker", "closed")
    writer.key("counts")
    writer.beginObject()
    for status in TaskStatus.allCases { writer.member(status.rawValue, Int64(counts[status] ?? 0)) }
    writer.endObject()
    writer.endObject()
  }
}
