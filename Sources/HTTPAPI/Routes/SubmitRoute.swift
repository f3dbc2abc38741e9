// SPDX-License-Identifier: Apache-2.0
internal import HTTPServer
internal import TaskModel
internal import TaskStore

/// `POST /v1/tasks`: the one route that most requests take; it makes no Swift task, and its answers come in batches.
enum SubmitRoute {
  /// Larger bodies are read off the loop thread, which all others wait for.
  private static let loopLimit = 256 << 10

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
    let reader = SubmissionReader(request, now: store.clock.now)
    let submission = try reader.submission(ObjectBody(request.body, SubmissionReader.shape))
    let type = submission.type
    store.submit(submission) { result in
      switch result {
      case .success(let receipt): reply.send(answer(receipt, type))
      case .failure(let error): reply.send(Problem(error))
      }
    }
  }

  private static func answer(_ receipt: Receipt, _ type: String) -> HTTPResponse {
    let id = receipt.id.description
    var writer = JSONWriter(capacity: 160)
    writer.beginObject()
    writer.member("id", id)
    writer.member("type", type)
    writer.member("status", receipt.status.rawValue)
    writer.endObject()
    return .json(writer.bytes, status: receipt.isNew ? 202 : 200, headers: [("Location", "/v1/tasks/" + id)])
  }
}
