// SPDX-License-Identifier: Apache-2.0

/// Tasks as a Swift program sees them: submit, ask, finish; each operation may be called from any thread or task.
///
/// An id that is not (or no longer) known gives nil or is missing from the map; it never looks like a pending task.
package protocol TaskService: Sendable {
  /// Stores a task and returns its id as soon as it is stored.
  func asyncExecute(_ type: String, params: some Encodable & Sendable) async throws -> TaskID

  /// Gives a detached task its final status; one that is COMPLETED this way has the result null.
  func updateStatus(_ id: TaskID, to status: TaskStatus, error: TaskError?) async throws

  func getStatus(_ id: TaskID) async throws -> TaskStatus?

  func getStatusMap(_ ids: [TaskID]) async throws -> [TaskID: TaskStatus]

  /// The statuses of all tasks that are kept, a page at a time.
  ///
  /// `cursor` is nil for the first page, then what the page before returned.
  func getAllStatus(after cursor: String?) async throws -> (statuses: [TaskID: TaskStatus], cursor: String?)

  /// Completes a detached task with a result.
  func saveResult(_ id: TaskID, _ result: some Encodable & Sendable) async throws

  /// The result of a completed task; nil while it is not final, and when there is no such task.
  func getResult<Result: Decodable>(_ id: TaskID, as type: Result.Type) async throws -> Result?

  /// The results of those of the tasks that are completed.
  func getResultMap<Result: Decodable>(_ ids: [TaskID], as type: Result.Type) async throws -> [TaskID: Result]
}
