// SPDX-License-Identifier: Apache-2.0
package import TaskModel

/// What an operation on tasks can fail with.
package enum TaskStoreError: Error, Sendable, Equatable, CustomStringConvertible {
  /// Redis is away. A submission that was under way when the connection broke may have been stored.
  case unavailable(String)
  case unknownTask(TaskID)
  case unknownType(String)
  /// The status met does not allow the operation.
  case forbidden(TaskID, status: TaskStatus)
  /// The task's handler call must come first.
  case handlerPending(TaskID)
  /// The type has no handler for the outcome of the task.
  case noHandler(TaskID, status: TaskStatus)
  /// Another task has the key by now.
  case keyTaken(TaskID)
  /// The type has as many waiting tasks as it may have.
  case queueFull(type: String, limit: Int)
  /// The task ended without a result.
  case noResult(TaskID, status: TaskStatus, error: [UInt8]?)
  /// Redis has no memory left for new tasks.
  case outOfMemory
  case tooLarge(what: String, bytes: Int, limit: Int)
  /// What Redis holds cannot be read by this version.
  case unreadable(String)

  package var description: String {
    switch self {
    case .unavailable(let reason): "Redis is not available: \(reason)"
    case .unknownTask(let id): "there is no task \(id); it was never stored, or its retention ended"
    case .unknownType(let type): "no host runs tasks of type \"\(type)\""
    case .forbidden(let id, let status): "task \(id) is \(status.rawValue), which does not allow this"
    case .handlerPending(let id): "the handler of task \(id) is still to be called"
    case .noHandler(let id, _): "the type of task \(id) has no handler for its outcome"
    case .keyTaken(let id): "the key of task \(id) belongs to a later task"
    case .queueFull(let type, let limit): "\(limit) tasks of type \"\(type)\" wait already"
    case .noResult(let id, let status, _): "task \(id) is \(status.rawValue) and has no result"
    case .outOfMemory: "Redis has no memory left for new tasks; raise its maxmemory or shorten the retention"
    case .tooLarge(let what, let bytes, let limit): "\(what) of \(bytes) bytes is larger than the \(limit) allowed"
    case .unreadable(let what): "\(what) in Redis cannot be read; was it written by a newer version?"
    }
  }
}
