// SPDX-License-Identifier: Apache-2.0
internal import HTTPServer
internal import Logging
internal import TaskModel
internal import TaskStore

/// The one table from what can go wrong below to what the client is told.
extension Problem {
  init(_ error: TaskStoreError) {
    switch error {
    case .unavailable:
      self.init(.redisUnavailable, "\(error); try again in a second", headers: [("Retry-After", "1")])
    case .outOfMemory:
      self.init(.redisUnavailable, error.description, headers: [("Retry-After", "5")])
    case .unknownTask(let id): self = .unknownTask(id.description)
    case .unknownType(let type): self = .unknownType(type)
    case .forbidden(let id, let status):
      self = .forbiddenTransition("task \(id) is \(status.rawValue), which does not allow this", status)
    case .handlerPending(let id):
      self.init(.handlerPending, "the handler of task \(id) is still to be called; try again when it is delivered")
    case .noHandler(let id, let status):
      self = .forbiddenTransition(
        "the type of task \(id) names no handler for tasks that are \(status.rawValue)", status)
    case .keyTaken(let id):
      self.init(
        .keyTaken,
        "\(error); task \(id) can be retried when that one is deleted, its retention has ended, or keyTTL after its end"
      )
    case .queueFull(_, let limit):
      self.init(
        .queueFull, "\(error); try again later, or raise the type's queueCapacity", facts: [("limit", .number(limit))],
        headers: [("Retry-After", "1")])
    case .noResult(_, let status, let failure):
      self.init(
        .noResult, "the task is \(status.rawValue) and has no result\(failure == nil ? "" : "; see \"error\"")",
        facts: [("error", .json(failure ?? Array("null".utf8)))])
    case .tooLarge(let what, let bytes, let limit): self = .tooLarge(what, bytes: bytes, limit: limit)
    case .unreadable:
      Log.error("\(error)")
      self.init(.internal, error.description)
    }
  }

  init(_ error: JSONSyntaxError) {
    self.init(
      .badJSON, "not JSON: \(error); send one JSON value in UTF-8", facts: [("offset", .number(error.offset))])
  }

  init(_ refusal: HTTPRefusal) {
    switch refusal {
    case .bodyTooLarge(let limit):
      self.init(
        .tooLarge, "\(refusal.reason), or raise http.maxBody", facts: [("limit", .number(limit))])
    case .ambiguousLength, .malformedTarget, .repeatedHeader: self.init(.badRequest, refusal.reason)
    }
  }

  /// An id in any spelling: one that is malformed was never issued.
  static func unknownTask(_ id: String) -> Problem {
    Problem(.unknownTask, "there is no task \(quoted(id)): it was never stored, or its retention ended")
  }

  /// An operation that the status met does not allow.
  static func forbiddenTransition(_ detail: String, _ status: TaskStatus) -> Problem {
    Problem(.forbiddenTransition, detail, facts: [("status", .text(status.rawValue))])
  }

  static func unknownType(_ name: String) -> Problem {
    Problem(.unknownType, "no host runs tasks of type \(quoted(name)); GET /v1/types lists the types there are")
  }

  static func tooLarge(_ what: String, bytes: Int, limit: Int) -> Problem {
    Problem(
      .tooLarge,
      "\(what) of \(bytes) bytes exceeds the limit of \(limit) bytes; send less, or raise the limit of the type",
      facts: [("limit", .number(limit))])
  }
}

/// Runs an operation of the store; what it fails with becomes a problem.
func fromStore<Value>(_ body: () async throws(TaskStoreError) -> Value) async throws(Problem) -> Value {
  do throws(TaskStoreError) {
    return try await body()
  } catch {
    throw Problem(error)
  }
}
