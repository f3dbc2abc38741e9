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
      let states = try await fromStore { () throws(TaskStoreError) in try await store.states(of: types.map(\.name)) }
      var writer = JSONWriter(capacity: types.count * 360 + 16)
      writer.beginObject()
      writer.key("types")
      writer.beginArray()
      for type in types { write(type, states[type.name] ?? .init(), store, status, to: &writer) }
      writer.endArray()
      writer.endObject()
      return .json(writer.bytes)
    }
  }

  static func one(_ store: TaskStore, _ status: HostStatus) -> Operation {
    .get { call throws(Problem) in try await answer(try await store.knownType(call.captures[0]), store, status) }
  }

  static func pause(_ store: TaskStore, _ status: HostStatus) -> Operation { setPaused(true, store, status) }
  static func resume(_ store: TaskStore, _ status: HostStatus) -> Operation { setPaused(false, store, status) }

  private static func setPaused(_ isPaused: Bool, _ store: TaskStore, _ status: HostStatus) -> Operation {
    .post { call throws(Problem) in
      try call.checkEmptyBody()
      let type = try await store.knownType(call.captures[0])
      try await fromStore { () throws(TaskStoreError) in try await store.setPaused(type.name, isPaused) }
      return try await answer(type, store, status)
    }
  }

  private static func answer(
    _ type: TypeDefinition, _ store: TaskStore, _ status: HostStatus
  ) async throws(Problem) -> HTTPResponse {
    let states = try await fromStore { () throws(TaskStoreError) in try await store.states(of: [type.name]) }
    var writer = JSONWriter(capacity: 360)
    write(type, states[type.name] ?? .init(), store, status, to: &writer)
    return .json(writer.bytes)
  }

  private static func write(
    _ type: TypeDefinition, _ state: TaskStore.TypeState, _ store: TaskStore, _ status: HostStatus,
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
    writer.member("paused", state.isPaused)
    writer.member("parked", store.isParked(type.name))
    writer.member("breaker", status.breaker(ofWorker: type.worker).rawValue)
    writer.key("counts")
    writer.beginObject()
    for status in TaskStatus.allCases { writer.member(status.rawValue, Int64(state.counts[status] ?? 0)) }
    writer.endObject()
    writer.endObject()
  }
}

extension TaskStore {
  /// The type of this name; Redis is asked for one that is not known, since another host may just have come with it.
  func knownType(_ name: String) async throws(Problem) -> TypeDefinition {
    if let type = definition(of: name) { return type }
    try await learnTypes()
    guard let type = definition(of: name) else { throw .unknownType(name) }
    return type
  }

  /// Reads again which types there are.
  func learnTypes() async throws(Problem) {
    let failure = await withCheckedContinuation { continuation in
      refreshTypes { continuation.resume(returning: $0) }
    }
    if let failure { throw Problem(failure) }
  }
}
