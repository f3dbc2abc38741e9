// SPDX-License-Identifier: Apache-2.0
internal import Redis
package import TaskModel
internal import Threading

extension TaskStore {
  /// How an outsider finishes a detached task.
  package enum Settlement: Sendable {
    case completed(result: [UInt8])
    case failed(TaskError)
    case cancelled
  }

  /// Finishes a detached task; throws `forbidden` with the status met for any other.
  package func settle(_ id: TaskID, _ settlement: Settlement) async throws(TaskStoreError) -> TaskStatus {
    let state: String
    var body: [UInt8] = []
    var resultKey: (key: String, bytes: [UInt8])?
    switch settlement {
    case .completed(let result):
      state = "C"
      body = result
      if StoredRecord.needsKey(result) {
        let name = RandomID.make()
        resultKey = (keys.result(id, name: name), result)
        body = Array("\(name) \(result.count)".utf8)
      }
    case .failed(let error):
      state = "F"
      body = error.json
    case .cancelled: state = "X"
    }
    let (text, bytes, extra) = (state, body, resultKey)
    let replies = try await act { [keys] connection in
      var commands: [RedisCommand] = []
      if let extra { commands.append(storeBody(extra.key, extra.bytes)) }
      var call = connection.command(.settle, keyCount: 1, capacity: bytes.count + 256)
      call.key { keys.appendRecord(id, to: &$0) }
      call.add(text)
      call.add(bytes)
      call.add(extra == nil ? "0" : "1")
      return commands + [call.command]
    }
    guard let answer = replies.last?.arrayValue, answer.count == 2 else { throw .unknownTask(id) }
    let status = answer[1].textValue.flatMap(TaskStatus.init) ?? .pending
    guard answer[0].textValue == "" else { throw .forbidden(id, status: status) }
    return status
  }

  /// How long a cancel waits for a worker that has the task and has not started it, or stops it at once.
  package static let cancelPatience = Duration.milliseconds(100)

  /// Stops a task that waits; asks for it when a worker has it.
  ///
  /// Returns CANCELLED, or the status of a task that did not stop within `patience`.
  package func cancel(
    _ id: TaskID, within patience: Duration = cancelPatience
  ) async throws(TaskStoreError) -> TaskStatus {
    let (verdict, status) = try await verdict(.cancel, id)
    switch verdict {
    case 1: return .cancelled
    case 2:
      if patience == .zero { return status }
      await awaitFinal(id, within: patience)
      return try await statuses([id])[0] ?? status
    default: throw .forbidden(id, status: status)
    }
  }

  /// Calls the handler of a final task again, with all its tries.
  package func callHandler(_ id: TaskID) async throws(TaskStoreError) -> TaskStatus {
    let (verdict, status) = try await verdict(.recall, id)
    switch verdict {
    case 1: return status
    case -1: throw .handlerPending(id)
    case -2: throw .noHandler(id, status: status)
    default: throw .forbidden(id, status: status)
    }
  }

  private func verdict(_ script: Script, _ id: TaskID) async throws(TaskStoreError) -> (Int64, TaskStatus) {
    let replies = try await act { [keys] connection in
      var call = connection.command(script, keyCount: 1)
      call.key { keys.appendRecord(id, to: &$0) }
      return [call.command]
    }
    guard let answer = replies.first?.arrayValue, answer.count == 2 else { throw .unknownTask(id) }
    return (answer[0].integerValue ?? 0, answer[1].textValue.flatMap(TaskStatus.init) ?? .pending)
  }

  /// Lets nothing of a type be taken any more, or again; for all hosts, until it is changed.
  ///
  /// Handlers are called and what runs goes on.
  package func setPaused(_ type: String, _ isPaused: Bool) async throws(TaskStoreError) {
    _ = try await act { connection in
      var call = connection.command(.pause)
      call.add(type)
      call.add(isPaused ? "1" : "0")
      return [call.command]
    }
  }
}

/// Writes a body beside its record; it goes away by itself unless a record comes to name it.
func storeBody(_ key: String, _ bytes: [UInt8]) -> RedisCommand {
  var command = RedisCommand("SET", capacity: bytes.count + 128)
  command.add(key)
  command.add(bytes)
  // NX: a repeat must not give a body that stays an end.
  command.add("NX")
  command.add("EX")
  command.add("3600")
  return command
}
