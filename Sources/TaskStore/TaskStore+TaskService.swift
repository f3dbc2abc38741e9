// SPDX-License-Identifier: Apache-2.0
internal import FoundationEssentials
package import TaskModel

extension TaskStore: TaskService {
  package func asyncExecute(_ type: String, params: some Encodable & Sendable) async throws -> TaskID {
    try await submit(Submission(type: type, params: Array(JSONEncoder().encode(params)))).id
  }

  package func updateStatus(_ id: TaskID, to status: TaskStatus, error: TaskError?) async throws {
    switch status {
    case .completed: _ = try await settle(id, .completed(result: Array("null".utf8)))
    case .failed:
      _ = try await settle(id, .failed(error ?? TaskError(kind: .exception, message: "failed from outside")))
    case .cancelled: _ = try await settle(id, .cancelled)
    case .scheduled, .pending, .inProgress: throw TaskStoreError.forbidden(id, status: status)
    }
  }

  package func getStatus(_ id: TaskID) async throws -> TaskStatus? { try await statuses([id])[0] }

  package func getStatusMap(_ ids: [TaskID]) async throws -> [TaskID: TaskStatus] {
    var map: [TaskID: TaskStatus] = [:]
    for (id, status) in zip(ids, try await statuses(ids)) { map[id] = status }
    return map
  }

  package func getAllStatus(
    after cursor: String?
  ) async throws -> (statuses: [TaskID: TaskStatus], cursor: String?) {
    var query = TaskQuery()
    query.limit = 500
    query.cursor = cursor
    let page = try await page(query)
    var map: [TaskID: TaskStatus] = [:]
    for record in page?.records ?? [] { map[record.id] = record.status }
    return (map, page?.cursor)
  }

  package func saveResult(_ id: TaskID, _ result: some Encodable & Sendable) async throws {
    _ = try await settle(id, .completed(result: Array(JSONEncoder().encode(result))))
  }

  package func getResult<Result: Decodable>(_ id: TaskID, as type: Result.Type) async throws -> Result? {
    try await getResultMap([id], as: type)[id]
  }

  package func getResultMap<Result: Decodable>(
    _ ids: [TaskID], as type: Result.Type
  ) async throws -> [TaskID: Result] {
    var map: [TaskID: Result] = [:]
    for record in try await records(ids, parts: .result).compactMap({ $0 }) {
      guard let result = record.result else { continue }
      map[record.id] = try JSONDecoder().decode(type, from: Data(result))
    }
    return map
  }
}
