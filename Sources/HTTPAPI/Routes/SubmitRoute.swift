// SPDX-License-Identifier: Apache-2.0
internal import HTTPServer
internal import TaskModel
internal import TaskStore

/// `POST /v1/tasks`: the one route that most requests take; it makes no Swift task, and its answers come in batches.
enum SubmitRoute {
  /// Larger bodies are read off the loop thread, which all others wait for.
  private static let loopLimit = 256 << 10

  private static let shape = ObjectBody.Shape(
    name: "a submission", members: ["type", "params"],
    planned: ["delay", "runAt", "priority", "key", "timeout", "expires", "tenant", "then"])

  static func submit(_ store: TaskStore) -> Operation {
    .immediate("POST") { call throws(Problem) in
      guard call.request.body.count > loopLimit else { return try submit(call.request, call.reply, store) }
      Task {
        do throws(Problem) {
          try submit(call.request, call.reply, store)
        } catch {
          call.reply.send(error)
        }
      }
    }
  }

  private static func submit(_ request: HTTPRequest, _ reply: Reply, _ store: TaskStore) throws(Problem) {
    let submission = try read(request)
    let type = submission.type
    store.submit(submission) { result in
      switch result {
      case .success(let id): reply.send(accepted(id, type))
      case .failure(let error): reply.send(Problem(error))
      }
    }
  }

  private static func read(_ request: HTTPRequest) throws(Problem) -> Submission {
    let body = try ObjectBody(request.body, shape)
    let type = try body.text("type")
    guard isValidName(type) else { throw .unknownType(type) }
    return Submission(
      type: type, params: body.bytes("params") ?? Array("null".utf8),
      trace: TraceParent.valid(request.header("traceparent")))
  }

  private static func accepted(_ id: TaskID, _ type: String) -> HTTPResponse {
    let id = id.description
    var writer = JSONWriter(capacity: 160)
    writer.beginObject()
    writer.member("id", id)
    writer.member("type", type)
    writer.member("status", TaskStatus.pending.rawValue)
    writer.endObject()
    return .json(writer.bytes, status: 202, headers: [("Location", "/v1/tasks/" + id)])
  }
}
