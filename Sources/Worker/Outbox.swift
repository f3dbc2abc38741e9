// SPDX-License-Identifier: Apache-2.0
internal import TaskModel
internal import TaskStore

/// Writes that wait to be sent, in turn, with what each is about; two arrays, so that a call gets its writes as they are.
struct Outbox: Sendable {
  enum Subject: Sendable {
    case attempt(Attempt)
    case handler(HandlerCall)
  }

  /// What a write is about.
  struct About: Sendable {
    var subject: Subject
    var batch: Int64
    /// Whether the attempt or handler call is over with it.
    var endsTask: Bool
  }

  private(set) var writes: [TaskWrite] = []
  private(set) var about: [About] = []
  /// Of all writes, as far as a call is bounded by it.
  private var byteCount = 0
  /// When the first retry of a task or handler is due.
  private(set) var firstDue: Timestamp?

  var isEmpty: Bool { writes.isEmpty }

  mutating func add(_ write: TaskWrite, _ attempt: Attempt, endsTask: Bool) {
    add(write, About(subject: .attempt(attempt), batch: attempt.batch, endsTask: endsTask))
  }

  /// What ends a handler call.
  mutating func add(_ write: TaskWrite, _ call: HandlerCall) {
    add(write, About(subject: .handler(call), batch: call.batch, endsTask: true))
  }

  private mutating func add(_ write: TaskWrite, _ about: About) {
    byteCount += write.byteCount
    if let due = write.operation.due { firstDue = min(firstDue ?? due, due) }
    writes.append(write)
    self.about.append(about)
  }

  /// Takes out the writes of the next call, within the bounds of a call; several may be about one task.
  mutating func next() -> Outbox {
    var next = Outbox()
    if writes.count <= WorkerSession.callTasks, byteCount <= WorkerSession.callBytes {
      // What comes meanwhile finds room.
      next.writes.reserveCapacity(writes.count)
      next.about.reserveCapacity(writes.count)
      swap(&self, &next)
      return next
    }
    for (index, write) in writes.prefix(WorkerSession.callTasks).enumerated() {
      if index > 0, next.byteCount + write.byteCount > WorkerSession.callBytes { break }
      next.add(write, about[index])
    }
    writes.removeFirst(next.writes.count)
    about.removeFirst(next.writes.count)
    byteCount -= next.byteCount
    firstDue = writes.lazy.compactMap(\.operation.due).min()
    return next
  }
}
