// SPDX-License-Identifier: Apache-2.0
internal import Redis
package import TaskModel
internal import Threading

extension TaskStore {
  /// Bytes of params and results that one reading of several tasks may bring together.
  package static let bodyLimit = 64 << 20

  /// The whole record; nil if the id was never stored or its retention ended.
  package func record(_ id: TaskID) async throws(TaskStoreError) -> TaskRecord? {
    let stored = try await records([id], parts: .all)
    return stored[0]
  }

  /// Several records in the order of the ids; a part that is not asked for may be missing.
  package func records(
    _ ids: [TaskID], parts: TaskRecord.Parts
  ) async throws(TaskStoreError) -> [TaskRecord?] {
    let found = try await stored(ids)
    return try await complete(zip(ids, found).map { ($0, $1) }, parts: parts)
  }

  package func statuses(_ ids: [TaskID]) async throws(TaskStoreError) -> [TaskStatus?] {
    try await stored(ids).map { $0?.state.status }
  }

  /// The result as JSON; throws `forbidden` while the task is not final, `noResult` when it has none.
  package func resultBytes(_ id: TaskID) async throws(TaskStoreError) -> [UInt8] {
    guard let record = try await record(id) else { throw .unknownTask(id) }
    guard record.status.isFinal else { throw .forbidden(id, status: record.status) }
    guard record.status == .completed, let result = record.result else {
      throw .noResult(id, status: record.status, error: record.error)
    }
    return result
  }

  /// When each schedule last made a task; nil: never.
  package func lastFired(_ schedules: [String]) async throws(TaskStoreError) -> [Timestamp?] {
    if schedules.isEmpty { return [] }
    let replies = try await read { [keys] _ in
      var command = RedisCommand(words: "HMGET", keys.schedules)
      for schedule in schedules { command.add(schedule) }
      return [command]
    }
    return (replies.first?.arrayValue ?? []).map { reply in
      // The due time dealt with last, a space, and that of the last task.
      reply.textValue.flatMap { $0.split(separator: " ").dropFirst().first }.flatMap { Int64($0) }
        .map(Timestamp.init(millis:))
    }
  }

  func stored(_ ids: [TaskID]) async throws(TaskStoreError) -> [StoredRecord?] {
    if ids.isEmpty { return [] }
    let replies = try await read { [keys] _ in
      var command = RedisCommand("MGET", capacity: ids.count * 56)
      for id in ids { command.add { keys.appendRecord(id, to: &$0) } }
      return [command]
    }
    let values = replies.first?.arrayValue ?? []
    var result: [StoredRecord?] = []
    for value in values {
      guard let bytes = value.bulkValue else {
        result.append(nil)
        continue
      }
      guard let stored = StoredRecord(bytes) else { throw .unreadable("a task") }
      result.append(stored)
    }
    return result
  }

  /// Records as everybody sees them, with the bodies and the progress that stand in keys of their own.
  func complete(
    _ found: [(id: TaskID, stored: StoredRecord?)], parts: TaskRecord.Parts
  ) async throws(TaskStoreError) -> [TaskRecord?] {
    try await learnOrigins(Set(found.compactMap { $0.stored?.origin }))
    var records = found.map { id, stored in stored.map { TaskRecord(id: id, $0, origin: origin($0.origin)) } }
    enum Part { case params, result, progress, log }
    var wanted: [(index: Int, part: Part, key: String)] = []
    for (index, entry) in found.enumerated() {
      guard let stored = entry.stored else { continue }
      if stored.hasParamsKey, parts.contains(.params) { wanted.append((index, .params, keys.params(entry.id))) }
      if stored.hasResultKey, parts.contains(.result) {
        wanted.append((index, .result, keys.result(entry.id, name: stored.resultName)))
      }
      if stored.has(.progress) { wanted.append((index, .progress, keys.progress(entry.id))) }
      if stored.has(.log), parts.contains(.log) { wanted.append((index, .log, keys.log(entry.id))) }
    }
    guard !wanted.isEmpty else { return records }
    let bytes = found.compactMap(\.stored).reduce(0) { $0 + $1.largeBytes(parts) }
    if found.count > 1, bytes > Self.bodyLimit {
      throw .tooLarge(what: "what these tasks hold", bytes: bytes, limit: Self.bodyLimit)
    }
    let names = wanted.map { (key: $0.key, isList: $0.part == .log) }
    let replies = try await read { _ in
      names.map { $0.isList ? RedisCommand(words: "LRANGE", $0.key, "0", "-1") : RedisCommand(words: "GET", $0.key) }
    }
    for (entry, reply) in zip(wanted, replies) {
      if entry.part == .log {
        records[entry.index]?.log = (reply.arrayValue ?? []).compactMap(\.bulkValue)
        continue
      }
      // Deleted between the two reads: as if it had been gone at the first.
      guard let bytes = reply.bulkValue else {
        if entry.part != .progress { records[entry.index] = nil }
        continue
      }
      switch entry.part {
      case .params: records[entry.index]?.params = bytes
      case .result: records[entry.index]?.result = bytes
      case .progress: records[entry.index]?.progress = Progress(bytes).map { ($0.fraction, $0.note) }
      case .log: break
      }
    }
    return records
  }
}

extension TaskRecord {
  /// What stands in the record itself; bodies with keys of their own are left empty.
  package init(id: TaskID, _ stored: StoredRecord, origin: Origin? = nil) {
    self.init(id: id, type: stored.type, status: stored.state.status, createdAt: stored.createdAt)
    priority = stored.priority
    attempts = stored.attempts
    maxAttempts = max(1, stored.maxAttempts)
    crashes = stored.crashes
    if !stored.hasParamsKey { params = Array(stored.params) }
    switch stored.state {
    case .completed:
      if !stored.hasResultKey { result = Array(stored.outcome) }
    case .failed, .scheduled, .cancelled, .pending, .taken, .running, .detached:
      if !stored.outcome.isEmpty { error = Array(stored.outcome) }
    }
    handler = HandlerCall(
      phase: stored.handlerPhase, attempts: stored.handlerAttempts,
      lastError: stored.note.isEmpty ? nil : String(decoding: stored.note, as: UTF8.self))
    dueAt = stored.dueAt
    startedAt = stored.startedAt
    finishedAt = stored.state.status.isFinal ? stored.finishedAt : nil
    deadline = stored.deadline
    cancelRequestedAt = stored.cancelRequestedAt
    self.origin = origin
    isDetached = stored.state == .detached
    let extras = stored.extras
    trace = extras.trace
    key = extras.key
  }
}
