// SPDX-License-Identifier: Apache-2.0
internal import Redis
package import TaskModel

/// What users do with tasks that have ended.
extension TaskStore {
  /// Lets a failed or cancelled task start anew.
  package func retry(_ id: TaskID) async throws(TaskStoreError) {
    try await insist(.retry, id)
  }

  /// Removes a final task.
  package func delete(_ id: TaskID) async throws(TaskStoreError) {
    try await insist(.delete, id)
  }

  /// Several final tasks.
  package enum Selection: Sendable {
    case tasks([TaskID])
    /// The failed tasks of a type, of one kind of error or of all; what fails meanwhile is left alone.
    case failed(type: String, kind: ErrorKind?)
  }

  /// Lets those of the tasks start anew that may; returns how many.
  package func retry(_ selection: Selection) async throws(TaskStoreError) -> Int {
    try await count(.retry, selection)
  }

  /// Removes those of the tasks that are final; returns how many.
  package func delete(_ selection: Selection) async throws(TaskStoreError) -> Int {
    try await count(.delete, selection)
  }

  private func count(_ script: Script, _ selection: Selection) async throws(TaskStoreError) -> Int {
    switch selection {
    case .tasks(let ids): try await count(script, ids, nil)
    case .failed(let type, let kind): try await countFailed(script, type, kind)
    }
  }

  private func insist(_ script: Script, _ id: TaskID) async throws(TaskStoreError) {
    let answer = try await verdicts(script, [id], nil)[0]
    switch answer.verdict {
    case .done: return
    case .unknown: throw .unknownTask(id)
    case .handlerPending: throw .handlerPending(id)
    case .keyTaken: throw .keyTaken(id)
    case .forbidden: throw .forbidden(id, status: answer.status)
    }
  }

  private func count(
    _ script: Script, _ ids: [TaskID], _ kind: ErrorKind?
  ) async throws(TaskStoreError) -> Int {
    var count = 0
    for start in stride(from: 0, to: ids.count, by: StoreLink.callTasks) {
      let part = Array(ids[start..<min(ids.count, start + StoreLink.callTasks)])
      count += try await verdicts(script, part, kind).count { $0.verdict == .done }
    }
    return count
  }

  private func countFailed(
    _ script: Script, _ type: String, _ kind: ErrorKind?
  ) async throws(TaskStoreError) -> Int {
    var query = TaskQuery()
    query.type = type
    query.status = .failed
    query.limit = StoreLink.callTasks
    var count = 0
    repeat {
      guard let page = try await page(query) else { return count }
      if !page.records.isEmpty { count += try await self.count(script, page.records.map(\.id), kind) }
      query.cursor = page.cursor
    } while query.cursor != nil
    return count
  }

  /// What scripts say of each task that a user wants retried or deleted.
  private enum Verdict: UInt8 {
    case done = 0x64  // "d"
    case unknown = 0x6e  // "n"
    case forbidden = 0x73  // "s"
    case handlerPending = 0x68  // "h"
    case keyTaken = 0x6b  // "k"
  }

  private func verdicts(
    _ script: Script, _ ids: [TaskID], _ kind: ErrorKind?
  ) async throws(TaskStoreError) -> [(verdict: Verdict, status: TaskStatus)] {
    let replies = try await act { [keys] connection in
      var call = connection.command(script, keyCount: ids.count, capacity: ids.count * 56 + 256)
      for id in ids { call.key { keys.appendRecord(id, to: &$0) } }
      call.add(kind.map { String($0.rawValue) } ?? "")
      return [call.command]
    }
    let letters = replies.first?.bulkValue ?? []
    guard letters.count == 2 * ids.count else { throw .unreadable("the answer to \(script.rawValue)") }
    return ids.indices.map { index in
      (
        Verdict(rawValue: letters[2 * index]) ?? .unknown,
        StoredRecord.State(rawValue: letters[2 * index + 1])?.status ?? .pending
      )
    }
  }
}
