// SPDX-License-Identifier: Apache-2.0
package import TaskModel

/// What a worker has to say about one of its tasks.
package struct TaskWrite: Sendable {
  package enum Operation: Sendable {
    /// The result is JSON.
    case completed(result: [UInt8])
    case failed(TaskError)
    /// SCHEDULED until the time.
    case retry(TaskError, at: Timestamp)
    /// Stopped because somebody asked for it.
    case stopped
    /// It was not started in time; no attempt.
    case expired
    case givenBack
    /// Visible as IN_PROGRESS, with its deadline if it has one.
    case running(deadline: Timestamp?)
    /// It does not heed its deadline: whoever moves the task on is to end this attempt as timed out.
    case overdue
    /// Somebody outside finishes it before the deadline.
    case detached(deadline: Timestamp)
    case progress(Progress)
    /// Lines of the task's log, each a JSON object; the last 100 are kept.
    case log([[UInt8]])
    case handlerDelivered
    case handlerFailed(String)
    case handlerAgain(String, at: Timestamp)

    /// When the task or its handler is to be tried again.
    package var due: Timestamp? {
      switch self {
      case .retry(_, let at), .handlerAgain(_, let at): at
      default: nil
      }
    }
  }

  package var id: TaskID
  /// Worker and take number, as they stood in the record that was taken.
  package var fence: ArraySlice<UInt8>
  /// Of the task as it was taken (`TakenTask.ticket`); nil of a handler call.
  package var ticket: Int64?
  package var operation: Operation
  /// Whether the outcome calls a handler.
  package var callsHandler = false
  /// Attempts with the one that this write is about.
  package var attempts: Int
  package var maxAttempts: Int
  package var hasParamsKey: Bool
  package var origin: UInt32
  package var startedAt: Timestamp
  /// When the attempt ended: an outcome may wait for Redis, and its handler is told the same time as everybody.
  package var finishedAt: Timestamp
  /// The record as it was taken, if the write ends its attempt: a completion is then cheaper for Redis.
  package var taken: StoredRecord?

  package init(
    id: TaskID, fence: ArraySlice<UInt8>, ticket: Int64?, operation: Operation, attempts: Int, maxAttempts: Int,
    hasParamsKey: Bool,
    origin: UInt32, startedAt: Timestamp, finishedAt: Timestamp? = nil
  ) {
    self.id = id
    self.fence = fence
    self.ticket = ticket
    self.operation = operation
    self.attempts = attempts
    self.maxAttempts = maxAttempts
    self.hasParamsKey = hasParamsKey
    self.origin = origin
    self.startedAt = startedAt
    self.finishedAt = max(startedAt, finishedAt ?? startedAt)
  }

  /// About how many bytes the call carries for it.
  package var byteCount: Int {
    switch operation {
    case .completed(let result): 100 + result.count
    case .log(let lines): lines.reduce(100) { $0 + $1.count + 1 }
    case .failed(let error), .retry(let error, _): 200 + error.message.utf8.count + (error.detail?.count ?? 0)
    default: 100
    }
  }
}

/// What became of a write.
package enum WriteAnswer: Sendable {
  case written
  /// Written, and the pending handler call is this worker's.
  case handlerIsYours
  /// The task is not this worker's any more; nothing was written.
  case refused
}

extension TaskWrite {
  /// Tells the results of several takes apart: only the one whose write is accepted stays.
  var resultName: String { fence.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined() }

  var hasResultKey: Bool { if case .completed(let result) = operation { StoredRecord.needsKey(result) } else { false } }

  var body: [UInt8] {
    switch operation {
    case .completed(let result):
      StoredRecord.needsKey(result) ? Array("\(resultName) \(result.count)".utf8) : result
    case .failed(let error), .retry(let error, _): error.json
    case .progress(let progress): progress.bytes
    case .log(let lines): Array(lines.joined(separator: [0x0a]))
    case .handlerFailed(let message), .handlerAgain(let message, _):
      Array(message.prefixed(byBytes: TaskError.messageLimit).utf8)
    case .stopped, .expired, .givenBack, .running, .overdue, .detached, .handlerDelivered: []
    }
  }

  /// Operation, error kind, handler phase, bytes 5–26 of the new record, the fence and, where it is needed, a time (Scripts/complete.lua).
  func appendHead(to bytes: inout [UInt8], bodySize: Int) {
    var kind = UInt8(ascii: "0")
    var time: Timestamp?
    let letter: UInt8
    switch operation {
    case .completed:
      letter = UInt8(ascii: "c")
      time = finishedAt
    case .failed(let error):
      letter = UInt8(ascii: "f")
      time = finishedAt
      kind += error.kind.rawValue
    case .retry(let error, let at):
      letter = UInt8(ascii: "r")
      kind += error.kind.rawValue
      time = at
    case .stopped: letter = UInt8(ascii: "x")
    case .expired: letter = UInt8(ascii: "e")
    case .givenBack: letter = UInt8(ascii: "b")
    case .running(let deadline):
      letter = UInt8(ascii: "m")
      time = deadline
    case .overdue: letter = UInt8(ascii: "v")
    case .detached(let deadline):
      letter = UInt8(ascii: "d")
      time = deadline
    case .progress: letter = UInt8(ascii: "g")
    case .log: letter = UInt8(ascii: "o")
    case .handlerDelivered: letter = UInt8(ascii: "t")
    case .handlerFailed: letter = UInt8(ascii: "l")
    case .handlerAgain(_, let at):
      letter = UInt8(ascii: "a")
      time = at
    }
    bytes.append(letter)
    bytes.append(kind)
    bytes.append((callsHandler ? HandlerPhase.pending : .none).rawValue)
    appendBlock(to: &bytes, bodySize: bodySize)
    bytes.append(contentsOf: fence)
    if let time { bytes.appendInteger(UInt64(time.millis), size: 6) }
  }

  /// Bytes 5–26 of the new record.
  private func appendBlock(to bytes: inout [UInt8], bodySize: Int) {
    var head = RecordHead()
    setBlock(in: &head, bodySize: bodySize)
    var whole: [UInt8] = []
    head.append(26, to: &whole)
    bytes.append(contentsOf: whole[4...])
  }

  fileprivate func setBlock(in head: inout RecordHead, bodySize: Int) {
    head.set(4, (hasParamsKey ? 1 : 0) | (hasResultKey ? 2 : 0))
    head.set(6, UInt64(min(attempts, 65_535)), size: 2)
    head.set(8, UInt64(min(maxAttempts, 65_535)), size: 2)
    head.set(12, UInt64(origin), size: 4)
    head.set(16, UInt64(bodySize), size: 4)
    head.set(20, UInt64(startedAt.millis), size: 6)
  }
}

extension StoredRecord {
  /// Appends this record as it stands once the task is completed, for one that was taken and is plain.
  func appendCompleted(to bytes: inout [UInt8], _ write: TaskWrite) {
    let outcome = write.body
    var head = RecordHead()
    head.set(1, State.completed.rawValue)
    head.set(2, (write.callsHandler ? HandlerPhase.pending : .none).rawValue)
    write.setBlock(in: &head, bodySize: outcome.count)
    head.set(26, UInt64(write.finishedAt.millis), size: 6)
    head.append(32, to: &bytes)
    bytes.append(contentsOf: fenceToParams)
    bytes.append(contentsOf: outcome)
  }
}
