// SPDX-License-Identifier: Apache-2.0
import Redis
import TaskModel
import TaskStore
import TestSupport
import Testing

/// What workers and hosts do.
extension RandomPlay {
  func take(from queue: WorkerSession.Queue) throws {
    let handlers = queue == .handlers
    let index = anyWorker()
    actor = workers[index].id
    let type = anyType()
    workers[index].lastBatch += 1
    let batch = workers[index].lastBatch
    let got = try workers[index].session.take(
      batch, count: Int.random(in: 1...4, using: &random), type: type, from: queue
    ).tasks
    step = "worker \(index) takes \(got.map(\.id)) of \(type), \(queue)"
    hold(handlers || !paused.contains(type) || got.isEmpty)
    for task in got {
      let expected = try #require(tasks[task.id])
      if handlers {
        hold(expected.isHandlerPending && expected.worker == ExpectedTask.nobody)
      } else {
        hold(expected.state == .pending && !expected.isCancelAsked)
        hold(expected.isAlone == (queue == .alone))
        tasks[task.id]?.state = .taken
      }
      tasks[task.id]?.take += 1
      tasks[task.id]?.worker = workers[index].id
      taken.append((index, workers[index].id, task))
    }
    // Sometimes the answer is lost.
    if chance(85) { workers[index].held += got.map { (batch, $0) } }
  }

  func noteExpired() {
    for (id, task) in tasks where task.isExpired && (task.state == .pending || task.state == .scheduled) {
      tasks[id]?.finish(.failed, mine: false)
    }
  }

  func operation(_ expected: ExpectedTask) -> TaskWrite.Operation {
    let at = chance(70) ? Self.past : Self.future
    if expected.isHandlerPending {
      return [.handlerDelivered, .handlerFailed("no"), .handlerAgain("later", at: at), .givenBack]
        .randomElement(using: &random) ?? .givenBack
    }
    if expected.isExpired, expected.state == .taken, chance(50) { return .expired }
    let operations: [TaskWrite.Operation] = [
      .completed(result: chance(80) ? .one : .text(1500)), .failed(.broken), .retry(.broken, at: at),
      .running(deadline: nil),
      .detached(deadline: at), .progress(Progress(fraction: 0.5, note: "half")), .stopped, .givenBack,
      .overdue, .log([Array(#"{"message":"\#(taken.count)"}"#.utf8)]),
    ]
    return operations.randomElement(using: &random) ?? .running(deadline: nil)
  }

  /// Writes something about one to three of the tasks that a worker holds.
  func write() throws {
    let index = anyWorker()
    actor = workers[index].id
    var writes: [TaskWrite] = []
    var expectations: [WriteAnswer] = []
    var emptied = Set(workers[index].held.map(\.batch))
    for _ in 0..<Int.random(in: 1...3, using: &random) {
      guard let item = workers[index].held.randomElement(using: &random) else { continue }
      guard let expected = tasks[item.task.id] else {
        writes.append(item.task.write(.givenBack))
        expectations.append(.refused)
        workers[index].held.removeAll { $0.task.id == item.task.id }
        continue
      }
      let operation = operation(expected)
      writes.append(item.task.write(operation, callsHandler: expected.hasHandlers))
      let (answer, stays) = apply(operation, item.task.id)
      expectations.append(answer)
      if !stays { workers[index].held.removeAll { $0.task.id == item.task.id } }
    }
    emptied.subtract(workers[index].held.map(\.batch))
    step = "worker \(index) writes \(writes.map { "\($0.id) \($0.operation)" }), empties \(emptied)"
    let answers = try workers[index].session.write(writes, emptied: emptied.sorted())
    hold(answers == expectations)
  }

  /// What a write of the one who holds the task does; whether it is still held after it.
  func apply(_ operation: TaskWrite.Operation, _ id: TaskID) -> (WriteAnswer, Bool) {
    guard var task = tasks[id] else { return (.refused, false) }
    defer { tasks[id] = task }
    switch operation {
    case .completed, .failed:
      let isFailed = if case .failed = operation { true } else { false }
      if isFailed, task.isCancelAsked {
        task.stop()
        return (.written, false)
      }
      task.began()
      task.finish(isFailed ? .failed : .completed, mine: true)
      return task.isHandlerPending ? (.handlerIsYours, true) : (.written, false)
    case .retry(_, let at):
      if task.isCancelAsked {
        task.stop()
      } else {
        task.began()
        task.schedule(isDue: at == Self.past)
      }
    case .stopped: task.stop()
    case .expired: task.isCancelAsked ? task.stop() : task.finish(.failed, mine: false)
    case .givenBack: task.giveBack()
    case .overdue:
      task.verdict = task.take
      return (.written, true)
    case .running:
      if task.state == .running { return (.refused, true) }
      task.began()
      task.state = .running
      task.isExpired = false
      return (.written, true)
    case .detached(let at):
      if task.isCancelAsked {
        task.stop()
      } else {
        task.began()
        task.state = .detached
        task.isAlone = false
        task.worker = ExpectedTask.nobody
        task.isDue = at == Self.past
      }
    case .progress, .log: return (.written, true)
    case .handlerDelivered:
      task.handlerTries += 1
      task.phase = .delivered
    case .handlerFailed:
      task.handlerTries += 1
      task.phase = .failed
    case .handlerAgain(_, let at):
      task.handlerTries += 1
      task.worker = ExpectedTask.nobody
      task.isDue = at == Self.past
    }
    return (.written, false)
  }

  /// A write that comes from an earlier take.
  func writeLate() throws {
    guard let old = taken.randomElement(using: &random), workers[old.worker].id == old.id else { return }
    let now = tasks[old.task.id]
    let take = Int(old.task.record.fence.suffix(4).reversed().reduce(0) { $0 << 8 | Int($1) })
    if let now, now.worker == old.id, now.take == take { return }
    let operation = operation(
      chance(50)
        ? ExpectedTask(type: "work", state: .taken) : ExpectedTask(type: "work", state: .failed, phase: .pending))
    step = "a late \(operation) of \(old.task.id)"
    hold(try workers[old.worker].session.write([old.task.write(operation)]) == [.refused])
  }

  func reap() throws {
    let index = anyWorker()
    let id = workers[index].id
    let verdicts: [WorkerLoss.Verdict] = [
      .crashed(.crash), .suspect, .lost, .failed(.late), .failed(.greedy),
    ]
    var known: [TaskID: WorkerLoss.Verdict] = [:]
    var loss = WorkerLoss(counts: chance(70))
    for (task, expected) in tasks where chance(60) {
      guard let verdict = verdicts.randomElement(using: &random) else { continue }
      // Of others, and of other takes, nothing that is said counts.
      let isRight = expected.worker == id && chance(80)
      loss.findings.append(.init(id: task, take: UInt32(expected.take + (isRight ? 0 : 1)), verdict: verdict))
      if isRight { known[task] = verdict }
    }
    step = "reap worker \(index), \(loss)"
    hold(try housekeeping.reap(id, loss))
    for (task, expected) in tasks where expected.worker == id && (expected.isActive || expected.isHandlerPending) {
      tasks[task]?.lose(known[task], counts: loss.counts)
    }
    workers[index] = try makeWorker()
  }

  /// Gives back what stands in batches of the worker that it does not hold.
  func releaseAll(of worker: String, where isLost: (TaskID) -> Bool) {
    for (id, task) in tasks where task.worker == worker && (task.isActive || task.isHandlerPending) && isLost(id) {
      tasks[id]?.giveBack()
    }
  }

  func beat() throws {
    let index = anyWorker()
    // Sometimes a worker loses a batch.
    if chance(30), let lost = workers[index].held.first?.batch { workers[index].held.removeAll { $0.batch == lost } }
    let isTrusted = chance(80)
    step = "heartbeat, worker \(index), clock trusted \(isTrusted)"
    try fixture.nextMillisecond()
    let due = Set(tasks.filter(\.value.isDue).keys)
    let report = try housekeeping.beat(
      host: fixture.store.hostID, types: ["work", "telling"], workers: [workers[index].beat],
      latest: isTrusted ? RedisClock.forever : Timestamp(millis: 1))
    hold(report.lost.isEmpty && report.isKnown && !report.hasMore)
    // What is given back in this call expires with the next.
    if isTrusted { noteExpired() }
    release(index)
    for (id, task) in tasks where task.isDue && due.contains(id) && (isTrusted || task.state != .detached) {
      tasks[id]?.isDue = false
      if task.state == .scheduled { tasks[id]?.state = .pending }
      if task.state == .detached { tasks[id]?.finish(.failed, mine: false) }
    }
    for type in ["work", "telling"] {
      let waiting = tasks.values.count { $0.type == type && $0.state == .pending && $0.isAlone }
      hold(report.alone[type] ?? 0 >= waiting, "\(report.alone), of \(type) \(waiting) wait to run alone")
    }
  }

  private func release(_ index: Int) {
    let held = Set(workers[index].held.map(\.task.id))
    releaseAll(of: workers[index].id) { !held.contains($0) }
  }

  func reconnect() throws {
    let index = anyWorker()
    step = "worker \(index) connects again"
    workers[index].epoch += 1
    let beat = workers[index].beat
    workers[index].session = try WorkerSession(
      to: fixture.address, keys: fixture.store.keys, worker: workers[index].id, epoch: workers[index].epoch,
      clock: fixture.store.clock)
    _ = try workers[index].session.hello(lastBatch: beat.lastBatch, held: beat.held, origins: [StoreFixture.origin])
    release(index)
  }
}
