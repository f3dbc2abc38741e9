// SPDX-License-Identifier: Apache-2.0
internal import HTTPServer
internal import TaskModel
internal import TaskStore

/// Finishing a detached task from outside, with a result or with a status.
enum SettleRoutes {
  /// For a type that is not known any more, whose tasks may still be there.
  private static let usualMaxResult = 4 << 20

  private static let shape = ObjectBody.Shape(name: "a change of status", members: ["status", "error"])
  private static let errorShape = ObjectBody.Shape(name: "an error", members: ["message", "code", "detail"])

  static func result(_ store: TaskStore) -> Operation {
    .put { call throws(Problem) in
      let id = try call.taskID()
      let body = call.request.body
      do throws(JSONSyntaxError) { try JSONScanner.validate(body) } catch { throw Problem(error) }
      let found = try await fromStore { () throws(TaskStoreError) in try await store.records([id], parts: []) }
      guard let record = found[0] else { throw .unknownTask(id.description) }
      let limit = store.definition(of: record.type)?.maxResult ?? usualMaxResult
      guard body.count <= limit else { throw .tooLarge("a result", bytes: body.count, limit: limit) }
      return try await settle(id, .completed(result: body), store)
    }
  }

  static func status(_ store: TaskStore) -> Operation {
    .put { call throws(Problem) in
      let id = try call.taskID()
      return try await settle(id, try settlement(call.request.body), store)
    }
  }

  private static func settle(
    _ id: TaskID, _ settlement: TaskStore.Settlement, _ store: TaskStore
  ) async throws(Problem) -> HTTPResponse {
    do throws(TaskStoreError) {
      return .task(id, try await store.settle(id, settlement))
    } catch .forbidden(_, let status) {
      throw .forbiddenTransition(
        "task \(id) is \(status.rawValue); only a detached task is finished from outside", status)
    } catch {
      throw Problem(error)
    }
  }

  private static func settlement(_ bytes: [UInt8]) throws(Problem) -> TaskStore.Settlement {
    let body = try ObjectBody(bytes, shape)
    let name = try body.text("status")
    switch TaskStatus(rawValue: name) {
    case .failed: return .failed(try failure(bytes, body))
    case .completed, .cancelled:
      guard !body.has("error") else {
        throw Problem(.badRequest, "\"error\" goes with the status FAILED only; leave it out")
      }
      return name == TaskStatus.completed.rawValue ? .completed(result: Array("null".utf8)) : .cancelled
    case .scheduled, .pending, .inProgress, nil:
      throw Problem(
        .badRequest,
        "a task cannot be given the status \(quoted(name)) from outside; it is COMPLETED, FAILED or CANCELLED")
    }
  }

  private static func failure(_ bytes: [UInt8], _ body: ObjectBody) throws(Problem) -> TaskError {
    guard body.has("error") else { return TaskError(kind: .exception, message: "failed from outside") }
    let error = try ObjectBody(bytes, in: body.range("error"), errorShape)
    let detail = error.bytes("detail")
    if let detail, detail.count > TaskError.detailLimit {
      throw Problem(
        .tooLarge, "\"detail\" of \(detail.count) bytes exceeds the limit of \(TaskError.detailLimit) bytes; send less",
        facts: [("limit", .number(TaskError.detailLimit))])
    }
    return TaskError(
      kind: .exception, message: try error.text("message"), code: try error.integer("code") ?? 0, detail: detail)
  }
}
