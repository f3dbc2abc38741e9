// SPDX-License-Identifier: Apache-2.0
internal import HTTPServer
internal import TaskModel
internal import TaskStore

/// `POST /v1/tasks`: the one route that most requests take.
///
/// Without a wait it makes no Swift task, and its answers come in batches.
enum SubmitRoute {
  /// Larger bodies are read off the loop thread, which all others wait for.
  private static let loopLimit = 256 << 10

  static func submit(_ store: TaskStore, _ waits: OpenWaits) -> Operation {
    .immediate("POST", query: ["wait"]) { call throws(Problem) in
      guard call.request.body.count > loopLimit else { return try submit(call, store, waits) }
      Task {
        do throws(Problem) {
          try submit(call, store, waits)
        } catch {
          call.reply.send(error)
        }
      }
    }
  }

  private static func submit(_ call: APICall, _ store: TaskStore, _ waits: OpenWaits) throws(Problem) {
    let reader = SubmissionReader(call.request, now: store.clock.now)
    let limit = try call.waitTime()
    let submission = try reader.submission(ObjectBody(call.request.body, SubmissionReader.shape))
    let type = submission.type
    let reply = call.reply
    if let limit { return submit(submission, waiting: limit, reply, store, waits) }
    store.submit(submission) { result in
      switch result {
      case .success(let receipt): reply.send(answer(receipt, type))
      case .failure(let error): reply.send(Problem(error))
      }
    }
  }

  private static func submit(
    _ submission: Submission, waiting limit: Duration, _ reply: Reply, _ store: TaskStore, _ waits: OpenWaits
  ) {
    let number = waits.newNumber()
    store.submit(submission, awaitingFinal: limit) { result in
      switch result {
      case .success(let receipt):
        waits.hold(number) {
          Task {
            do throws(Problem) {
              reply.send(try await record(receipt, submission.type, store))
            } catch {
              reply.send(error)
            }
          }
        }
        reply.responder.onGone { waits.drop(number) }
      case .failure(let error): reply.send(Problem(error))
      }
    } final: {
      waits.release(number)
    }
  }

  /// The record after a wait; if Redis is away by then, what is known: the task is stored all the same.
  private static func record(
    _ receipt: Receipt, _ type: String, _ store: TaskStore
  ) async throws(Problem) -> HTTPResponse {
    let record: TaskRecord?
    do throws(TaskStoreError) { record = try await store.record(receipt.id) } catch {
      var response = answer(receipt, type)
      response.status = 202
      return response
    }
    guard let record else { throw .unknownTask(receipt.id.description) }
    var response = TaskRoutes.response(record, store)
    response.status = record.status.isFinal ? 200 : 202
    response.headers.append(location(receipt))
    return response
  }

  private static func location(_ receipt: Receipt) -> (String, String) { ("Location", "/v1/tasks/\(receipt.id)") }

  private static func answer(_ receipt: Receipt, _ type: String) -> HTTPResponse {
    var writer = JSONWriter(capacity: 160)
    writer.beginObject()
    writer.member("id", receipt.id.description)
    writer.member("type", type)
    writer.member("status", receipt.status.rawValue)
    writer.endObject()
    return .json(writer.bytes, status: receipt.isNew ? 202 : 200, headers: [location(receipt)])
  }
}
