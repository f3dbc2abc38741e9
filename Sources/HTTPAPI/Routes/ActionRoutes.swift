// SPDX-License-Identifier: Apache-2.0
internal import HTTPServer
internal import TaskModel
internal import TaskStore

/// What users do with one task.
enum ActionRoutes {
  static func cancel(_ store: TaskStore) -> Operation {
    .post { call throws(Problem) in
      let id = try call.actedOn()
      let status = try await fromStore { () throws(TaskStoreError) in try await store.cancel(id) }
      return .task(id, status, code: status == .cancelled ? 200 : 202)
    }
  }

  static func retry(_ store: TaskStore) -> Operation {
    .post { call throws(Problem) in
      let id = try call.actedOn()
      try await fromStore { () throws(TaskStoreError) in try await store.retry(id) }
      return .task(id, .pending)
    }
  }

  static func delete(_ store: TaskStore) -> Operation {
    .delete { call throws(Problem) in
      let id = try call.actedOn()
      try await fromStore { () throws(TaskStoreError) in try await store.delete(id) }
      return HTTPResponse(status: 204, contentType: "")
    }
  }

  static func callHandler(_ store: TaskStore) -> Operation {
    .post { call throws(Problem) in
      let id = try call.actedOn()
      return .task(id, try await fromStore { () throws(TaskStoreError) in try await store.callHandler(id) })
    }
  }
}

/// The same with many tasks: those that a type or a list of ids names, as far as their status allows it.
enum BulkRoutes {
  private static let shape = ObjectBody.Shape(name: "the body", members: ["type", "kind", "ids"])

  static func retry(_ store: TaskStore) -> Operation {
    .post { call throws(Problem) in
      let selection = try await selection(call, store)
      return counted(try await fromStore { () throws(TaskStoreError) in try await store.retry(selection) })
    }
  }

  static func delete(_ store: TaskStore) -> Operation {
    .post { call throws(Problem) in
      let selection = try await selection(call, store)
      return counted(try await fromStore { () throws(TaskStoreError) in try await store.delete(selection) })
    }
  }

  private static func selection(
    _ call: APICall, _ store: TaskStore
  ) async throws(Problem) -> TaskStore.Selection {
    let body = try ObjectBody(call.request.body, shape)
    guard body.has("type") != body.has("ids") else {
      throw Problem(.badRequest, "the body needs either \"type\", with or without \"kind\", or \"ids\"")
    }
    if body.has("ids") {
      guard !body.has("kind") else { throw Problem(.badRequest, "\"kind\" goes with \"type\"; leave it out") }
      return .tasks(try body.texts("ids", limit: BatchRoutes.limit).compactMap { TaskID($0) })
    }
    let type = try body.text("type")
    let kind = try body.optionalText("kind").map { (name) throws(Problem) in
      guard let kind = ErrorKind(name: name) else {
        let names = ErrorKind.allCases.map(\.name)
        throw Problem(
          .badRequest,
          "there is no kind \(quoted(name)) of error\(didYouMean(name, among: names)); there are "
            + names.joined(separator: ", "), facts: [("field", .text("kind"))])
      }
      return kind
    }
    _ = try await store.knownType(type)
    return .failed(type: type, kind: kind)
  }

  private static func counted(_ count: Int) -> HTTPResponse {
    var writer = JSONWriter(capacity: 24)
    writer.beginObject()
    writer.member("count", Int64(count))
    writer.endObject()
    return .json(writer.bytes)
  }
}
