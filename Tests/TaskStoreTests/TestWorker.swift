// SPDX-License-Identifier: Apache-2.0
import TaskModel
import TaskStore
import TestSupport

/// A worker that does with its connection what a real one must: after any error a new one with a higher epoch, a comparison,
/// and its writes again; one test owns it.
final class TestWorker {
  struct Held {
    var task: TakenTask
    var batch: Int64
    var isHandlerCall: Bool
  }

  let id = RandomID.make()
  private(set) var epoch: Int64 = 0
  private(set) var lastBatch: Int64 = 0
  private(set) var held: [Held] = []
  private(set) var hasLease = true
  private let fixture: StoreFixture
  private var session: WorkerSession?

  init(_ fixture: StoreFixture) throws {
    self.fixture = fixture
    try connect()
  }

  var beat: Housekeeping.Beat {
    Housekeeping.Beat(worker: id, lastBatch: lastBatch, held: Set(held.map(\.batch)).sorted())
  }

  /// Tries until a hello was answered: an error says nothing about what was done.
  func connect() throws {
    for attempt in 1... {
      epoch += 1
      do {
        session = nil
        let fresh = try WorkerSession(
          to: fixture.address, keys: fixture.store.keys, worker: id, epoch: epoch, clock: fixture.store.clock)
        _ = try fresh.hello(lastBatch: lastBatch, held: beat.held, origins: [StoreFixture.origin])
        session = fresh
        return
      } catch let error as WorkerSession.LeaseLost {
        hasLease = false
        held = []
        throw error
      } catch  where attempt < 5 {}
    }
  }

  private func live() throws -> WorkerSession {
    if session == nil { try connect() }
    guard let session else { throw ProxyError("no session") }
    return session
  }

  /// Takes what there is; a take whose answer did not come is given up.
  @discardableResult
  func take(_ type: String = "work", handlers: Bool = false, count: Int = 256) throws -> [TakenTask] {
    try take(type, from: handlers ? .handlers : .tasks, count: count)
  }

  @discardableResult
  func take(_ type: String = "work", from queue: WorkerSession.Queue, count: Int = 256) throws -> [TakenTask] {
    lastBatch += 1
    let batch = lastBatch
    do {
      let tasks = try live().take(batch, count: count, type: type, from: queue).tasks
      held += tasks.map { Held(task: $0, batch: batch, isHandlerCall: queue == .handlers) }
      return tasks
    } catch let error as WorkerSession.LeaseLost {
      hasLease = false
      held = []
      throw error
    } catch {
      try connect()
      return []
    }
  }

  /// Writes what `outcome` says of each task held, until it is answered; nil leaves a task alone.
  func write(_ outcome: (Held) -> TaskWrite.Operation?) throws {
    let chosen = held.compactMap { held in outcome(held).map { (held: held, operation: $0) } }
    if chosen.isEmpty { return }
    let writes = chosen.map { $0.held.task.write($0.operation, callsHandler: callsHandler($0.held, $0.operation)) }
    for attempt in 1... {
      let expecting = chosen.filter { callsHandler($0.held, $0.operation) }.map(\.held.batch)
      let untouched = held.filter { held in !chosen.contains { $0.held.task.id == held.task.id } }.map(\.batch)
      let marked = chosen.filter { stays($0.operation) }.map(\.held.batch)
      let emptied = Set(chosen.map(\.held.batch)).subtracting(expecting + untouched + marked)
      do {
        let answers = try live().write(writes, emptied: emptied.sorted())
        try settle(chosen, answers)
        return
      } catch let error as WorkerSession.LeaseLost {
        hasLease = false
        held = []
        throw error
      } catch  where attempt < 5 { try connect() }
    }
  }

  private func settle(_ chosen: [(held: Held, operation: TaskWrite.Operation)], _ answers: [WriteAnswer]) throws {
    for (entry, answer) in zip(chosen, answers) {
      guard let index = held.firstIndex(where: { $0.task.id == entry.held.task.id }) else { continue }
      if answer == .handlerIsYours {
        held[index].isHandlerCall = true
      } else if !stays(entry.operation) {
        held.remove(at: index)
      }
    }
    // Batches whose handler calls turned out not to be this worker's hold nothing any more; the next comparison says so.
  }

  private func callsHandler(_ held: Held, _ operation: TaskWrite.Operation) -> Bool {
    guard held.task.record.type != "work" else { return false }
    return switch operation {
    case .completed, .failed: true
    default: false
    }
  }

  private func stays(_ operation: TaskWrite.Operation) -> Bool {
    switch operation {
    case .running, .progress, .log, .overdue: true
    default: false
    }
  }

  /// Knows nothing any more of what it holds.
  func forget() { held = [] }

  /// Completes all it holds, the calls of handlers included.
  func completeAll() throws {
    try write { $0.isHandlerCall ? .handlerDelivered : .completed(result: .one) }
    try write { $0.isHandlerCall ? .handlerDelivered : nil }
  }
}

extension StoreFixture {
  /// Lets everything come to its end: what is due moves, workers that are gone lose their leases, the rest is completed.
  func finishAll(_ worker: TestWorker, gone: [String] = []) throws {
    let housekeeping = try self.housekeeping()
    for worker in gone { try housekeeping.reap(worker) }
    let names = types.map(\.name)
    for _ in 0..<20 {
      var more = true
      while more {
        more = try housekeeping.beat(host: store.hostID, types: names, workers: worker.hasLease ? [worker.beat] : [])
          .hasMore
      }
      for type in names {
        for queue in [WorkerSession.Queue.tasks, .alone, .handlers] { try worker.take(type, from: queue) }
      }
      try worker.completeAll()
      if try keyspace().unfinished.isEmpty { return }
    }
  }

  /// Removes all finished tasks.
  func retainNothing() throws {
    let housekeeping = try self.housekeeping()
    for type in types {
      for list in ["done", "dead"] {
        while try housekeeping.retain(type: type.name, list: list, count: 0, before: Timestamp(millis: 0)) {}
      }
    }
  }
}
