// SPDX-License-Identifier: Apache-2.0
import Foundation
import Redis
import TaskModel
import TaskStore
import TestSupport
import Testing

/// SplitMix64 (Steele, Lea, Flood 2014): the same steps for the same seed.
private struct SeededGenerator: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ z >> 30) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ z >> 27) &* 0x94d0_49bb_1331_11eb
    return z ^ z >> 31
  }
}

/// What is expected of a task.
private struct Expected: Equatable {
  var type: String
  var state = StoredRecord.State.pending
  var phase = HandlerPhase.none
  var worker = "0000000000000000"
  var take = 0
  var round = 0
  var isCancelAsked = false
  /// Whether its retry, its handler's retry or its deadline is in the past.
  var isDue = false
  var key: String?
  /// Whether it fails where it is met before its start.
  var isExpired = false

  static let nobody = "0000000000000000"
  var isActive: Bool { state == .taken || state == .running }
  var isFinal: Bool { state.status.isFinal }
  var isHandlerPending: Bool { isFinal && phase == .pending }
  var hasHandlers: Bool { type == "telling" }

  mutating func finish(_ state: StoredRecord.State, mine: Bool) {
    self.state = state
    isDue = false
    phase = hasHandlers && state != .cancelled ? .pending : .none
    if !mine { worker = Self.nobody }
  }

  mutating func stop() { finish(.cancelled, mine: false) }

  mutating func giveBack() {
    if isActive, isCancelAsked { return stop() }
    if isActive { state = .pending }
    worker = Self.nobody
  }
}

/// A few workers and users that do anything in any order, and what should come of it.
private final class Play {
  struct Worker {
    let id: String
    var session: WorkerSession
    var epoch: Int64 = 1
    var lastBatch: Int64 = 0
    var held: [(batch: Int64, task: TakenTask)] = []
    var beat: Housekeeping.Beat {
      Housekeeping.Beat(worker: id, lastBatch: lastBatch, held: Set(held.map(\.batch)).sorted())
    }
  }

  static let past = Timestamp(millis: 1000)
  static let telling: TypeDefinition = {
    // Its keys are free again as soon as a task has ended.
    var type = StoreFixture.telling
    type.keyTTL = .milliseconds(1)
    return type
  }()
  static let future = Timestamp(millis: 4_000_000_000_000)
  let fixture: StoreFixture
  let housekeeping: Housekeeping
  let connection: RedisConnection
  var random: SeededGenerator
  var tasks: [TaskID: Expected] = [:]
  var order: [TaskID] = []
  var workers: [Worker] = []
  var paused: Set<String> = []
  /// Which task has which key, by type and key.
  var claims: [String: TaskID] = [:]
  var fired = 0
  /// Tasks as they were taken once; the fences of most are outdated.
  var taken: [(worker: Int, id: String, task: TakenTask)] = []
  var step = ""
  var problems: [String] = []

  init(seed: UInt64) throws {
    fixture = try StoreFixture(types: [StoreFixture.type, Self.telling])
    housekeeping = try fixture.housekeeping()
    connection = try fixture.connection()
    random = SeededGenerator(state: seed)
    for _ in 0..<3 { workers.append(try makeWorker()) }
  }

  func makeWorker() throws -> Worker {
    let id = RandomID.make()
    return Worker(id: id, session: try fixture.session(id))
  }

  func hold(_ condition: Bool, _ what: String = "", line: Int = #line) {
    if !condition { problems.append("line \(line), \(step) \(what)") }
  }

  func chance(_ percent: Int) -> Bool { Int.random(in: 0..<100, using: &random) < percent }
  func anyType() -> String { Bool.random(using: &random) ? "work" : "telling" }
  func anyTask() -> TaskID? { order.randomElement(using: &random) }
  func anyWorker() -> Int { Int.random(in: 0..<workers.count, using: &random) }

  func next() async throws {
    switch Int.random(in: 0..<110, using: &random) {
    case 0..<15: if tasks.count < 30 { try await submit() }
    case 100..<102: try await pause()
    case 102..<105: try await recall()
    case 105..<107: try await actOnMany()
    case 107..<110: if tasks.count < 30 { try fire() }
    case 15..<35: try take(handlers: chance(30))
    case 35..<65: try write()
    case 65..<70: try writeLate()
    case 70..<76: try await settle()
    case 76..<81: try await cancel()
    case 81..<85: try await retry()
    case 85..<89: try await delete()
    case 89..<91: try reap()
    case 91..<95: try beat()
    case 95..<97: try reconnect()
    default: try retain()
    }
  }

  func submit() async throws {
    var submission = Submission(type: anyType(), params: chance(20) ? .text(1500) : Array("null".utf8))
    submission.priority = [.high, .normal, .normal, .low].randomElement(using: &random) ?? .normal
    if chance(30) { submission.key = ["a", "b", "c"].randomElement(using: &random) }
    if chance(20) { submission.due = chance(70) ? .after(.milliseconds(1)) : .at(Self.future) }
    if chance(20) { submission.expires = .at(chance(50) ? Self.past : Self.future) }
    if submission.key != nil { try fixture.nextMillisecond() }
    let receipt = try await fixture.store.submit(submission)
    step = "submit \(receipt.id) \(submission.type), key \(submission.key ?? "none"), due \(submission.due as Any)"
    if let key = submission.key, let owner = owner(of: key, submission.type) {
      hold(receipt.id == owner && !receipt.isNew && receipt.status == tasks[owner]?.state.status, "a key that is taken")
      return
    }
    hold(receipt.isNew && tasks[receipt.id] == nil)
    var expected = Expected(type: submission.type)
    if let due = submission.due {
      expected.state = .scheduled
      expected.isDue = due != .at(Self.future)
    }
    expected.key = submission.key
    expected.isExpired = submission.expires == .at(Self.past)
    add(expected, receipt.id)
  }

  func add(_ expected: Expected, _ id: TaskID) {
    tasks[id] = expected
    order.append(id)
    if let key = expected.key { claims["\(expected.type):\(key)"] = id }
  }

  /// Who has the key: the task that got it last, while it is there and, in the type whose keys live short, not final.
  func owner(of key: String, _ type: String) -> TaskID? {
    guard let id = claims["\(type):\(key)"], let task = tasks[id] else { return nil }
    return task.isFinal && type == Self.telling.name ? nil : id
  }

  /// A due time of a schedule, which is dealt with once.
  func fire() throws {
    let isNew = fired == 0 || chance(60)
    if isNew { fired += 1 }
    let due = Timestamp(millis: 1_000_000 + Int64(fired))
    let answer = try housekeeping.fire(
      "s", due: due, Submission(type: "work", params: .one), of: StoreFixture.type, now: due)
    step = "fire \(fired): \(answer)"
    guard isNew else { return hold(answer == .done(last: due)) }
    guard case .stored(let id) = answer else { return hold(false) }
    add(Expected(type: "work"), id)
  }

  func pause() async throws {
    let type = anyType()
    let pauses = chance(50)
    step = "pause \(type): \(pauses)"
    try await fixture.store.setPaused(type, pauses)
    if pauses { paused.insert(type) } else { paused.remove(type) }
    hold(try await fixture.store.states(of: [type])[type]?.isPaused == pauses)
  }

  func recall() async throws {
    guard let id = anyTask(), let task = tasks[id] else { return }
    step = "call the handler of \(id) again"
    do {
      hold(try await fixture.store.callHandler(id) == task.state.status)
      hold(task.hasHandlers && (task.phase == .delivered || task.phase == .failed))
      tasks[id]?.phase = .pending
      tasks[id]?.worker = Expected.nobody
      tasks[id]?.isDue = false
    } catch .handlerPending { hold(task.isHandlerPending) } catch .noHandler {
      hold(!task.hasHandlers && (task.state == .completed || task.state == .failed))
    } catch { hold(error == .forbidden(id, status: task.state.status)) }
  }

  /// Retries or deletes several, some of them twice, or all that failed.
  func actOnMany() async throws {
    let type = anyType()
    let retries = chance(50)
    let ids = (0..<4).compactMap { _ in anyTask() }
    let isByType = chance(50)
    step = "\(retries ? "retry" : "delete") \(isByType ? "failed \(type)" : "\(ids)")"
    var count = 0
    let chosen = isByType ? order.filter { tasks[$0]?.type == type && tasks[$0]?.state == .failed } : ids
    if retries {
      // The order in which those of one key come decides who gets it back: as the store goes, the latest first.
      let keyed = Set(chosen.compactMap { tasks[$0]?.key })
      guard keyed.isEmpty else { return }
      for id in chosen where mayRetry(id) {
        revive(id)
        count += 1
      }
      hold(
        isByType
          ? try await fixture.store.retry(.failed(type: type, kind: nil)) == count
          : try await fixture.store.retry(.tasks(ids)) == count)
    } else {
      for id in chosen where tasks[id]?.isFinal ?? false {
        forget(id)
        count += 1
      }
      hold(
        isByType
          ? try await fixture.store.delete(.failed(type: type, kind: nil)) == count
          : try await fixture.store.delete(.tasks(ids)) == count)
    }
  }

  func take(handlers: Bool) throws {
    let index = anyWorker()
    let type = anyType()
    workers[index].lastBatch += 1
    let batch = workers[index].lastBatch
    let got = try workers[index].session.take(
      batch, count: Int.random(in: 1...4, using: &random), type: type, handlers: handlers)
    step = "worker \(index) takes \(got.map(\.id)) of \(type), handlers \(handlers)"
    hold(handlers || !paused.contains(type) || got.isEmpty)
    if !handlers { try noteExpired(all: false) }
    for task in got {
      let expected = try #require(tasks[task.id])
      if handlers {
        hold(expected.isHandlerPending && expected.worker == Expected.nobody)
      } else {
        hold(expected.state == .pending && !expected.isCancelAsked && !expected.isExpired)
        tasks[task.id]?.state = .taken
      }
      tasks[task.id]?.take += 1
      tasks[task.id]?.worker = workers[index].id
      taken.append((index, workers[index].id, task))
    }
    // Sometimes the answer is lost.
    if chance(85) { workers[index].held += got.map { (batch, $0) } }
  }

  /// Tasks that expired where they were met; `all` when every one must have been met.
  func noteExpired(all: Bool) throws {
    let waiting = tasks.filter { $0.value.isExpired && ($0.value.state == .pending || $0.value.state == .scheduled) }
    if waiting.isEmpty { return }
    let records = try Keyspace(connection, prefix: fixture.store.keys.prefix).records
    for (id, _) in waiting where all || records[id]?.state == .failed { tasks[id]?.finish(.failed, mine: false) }
  }

  func operation(_ expected: Expected) -> TaskWrite.Operation {
    let at = chance(70) ? Self.past : Self.future
    if expected.isHandlerPending {
      return [.handlerDelivered, .handlerFailed("no"), .handlerAgain("later", at: at), .givenBack]
        .randomElement(using: &random) ?? .givenBack
    }
    let operations: [TaskWrite.Operation] = [
      .completed(result: chance(80) ? .one : .text(1500)), .failed(.broken), .retry(.broken, at: at),
      .running(deadline: nil),
      .detached(deadline: at), .progress(Progress(fraction: 0.5, note: "half")), .stopped, .givenBack,
      .log([Array(#"{"message":"\#(taken.count)"}"#.utf8)]),
    ]
    return operations.randomElement(using: &random) ?? .running(deadline: nil)
  }

  /// Writes something about one to three of the tasks that a worker holds.
  func write() throws {
    let index = anyWorker()
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
      task.finish(isFailed ? .failed : .completed, mine: true)
      return task.isHandlerPending ? (.handlerIsYours, true) : (.written, false)
    case .retry(_, let at):
      if task.isCancelAsked {
        task.stop()
      } else {
        task.state = .scheduled
        task.isExpired = false
        task.worker = Expected.nobody
        task.isDue = at == Self.past
      }
    case .stopped: task.stop()
    case .givenBack: task.giveBack()
    case .running:
      if task.state == .running { return (.refused, true) }
      task.state = .running
      return (.written, true)
    case .detached(let at):
      if task.isCancelAsked {
        task.stop()
      } else {
        task.state = .detached
        task.worker = Expected.nobody
        task.isDue = at == Self.past
      }
    case .progress, .log: return (.written, true)
    case .handlerDelivered: task.phase = .delivered
    case .handlerFailed: task.phase = .failed
    case .handlerAgain(_, let at):
      task.worker = Expected.nobody
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
      chance(50) ? Expected(type: "work", state: .taken) : Expected(type: "work", state: .failed, phase: .pending))
    step = "a late \(operation) of \(old.task.id)"
    hold(try workers[old.worker].session.write([old.task.write(operation)]) == [.refused])
  }

  func settle() async throws {
    guard let id = anyTask(), let task = tasks[id] else { return }
    step = "settle \(id)"
    let ends: [(TaskStore.Settlement, StoredRecord.State)] = [
      (.completed(result: .text(1500)), .completed), (.completed(result: .one), .completed),
      (.failed(.broken), .failed), (.cancelled, .cancelled),
    ]
    let (settlement, state) = ends.randomElement(using: &random) ?? ends[0]
    do {
      hold(try await fixture.store.settle(id, settlement) == state.status)
      hold(task.state == .detached)
      tasks[id]?.finish(state, mine: false)
    } catch { hold(error == .forbidden(id, status: task.state.status)) }
  }

  func cancel() async throws {
    guard let id = anyTask(), let task = tasks[id] else { return }
    step = "cancel \(id)"
    do {
      let isDone = try await fixture.store.cancel(id, within: .zero) == .cancelled
      hold(isDone == !task.isActive)
      if isDone { tasks[id]?.stop() } else { tasks[id]?.isCancelAsked = true }
    } catch { hold(task.isFinal && error == .forbidden(id, status: task.state.status)) }
  }

  func retry() async throws {
    guard let id = anyTask(), let task = tasks[id] else { return }
    step = "retry \(id)"
    if task.key != nil { try fixture.nextMillisecond() }
    do {
      try await fixture.store.retry(id)
      hold(mayRetry(id))
      revive(id)
    } catch .handlerPending { hold(task.isHandlerPending) } catch .keyTaken {
      hold(task.key.flatMap { owner(of: $0, task.type) } ?? id != id)
    } catch {
      hold(error == .forbidden(id, status: task.state.status))
    }
  }

  func mayRetry(_ id: TaskID) -> Bool {
    guard let task = tasks[id], task.state == .failed || task.state == .cancelled, task.phase != .pending else {
      return false
    }
    return task.key.map { (owner(of: $0, task.type) ?? id) == id } ?? true
  }

  func revive(_ id: TaskID) {
    guard let task = tasks[id] else { return }
    tasks[id] = Expected(type: task.type, take: task.take, round: task.round + 1, key: task.key)
    if let key = task.key { claims["\(task.type):\(key)"] = id }
  }

  func delete() async throws {
    guard let id = anyTask(), let task = tasks[id] else { return }
    step = "delete \(id)"
    do {
      try await fixture.store.delete(id)
      hold(task.isFinal)
      forget(id)
    } catch { hold(!task.isFinal && error == .forbidden(id, status: task.state.status)) }
  }

  func forget(_ id: TaskID) {
    if let task = tasks[id], let key = task.key, claims["\(task.type):\(key)"] == id {
      claims["\(task.type):\(key)"] = nil
    }
    tasks[id] = nil
    order.removeAll { $0 == id }
  }

  func reap() throws {
    let index = anyWorker()
    step = "reap worker \(index)"
    let id = workers[index].id
    hold(try housekeeping.reap(id))
    releaseAll(of: id) { _ in true }
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
    step = "heartbeat, worker \(index)"
    try fixture.nextMillisecond()
    let report = try housekeeping.beat(
      host: fixture.store.hostID, types: ["work", "telling"], workers: [workers[index].beat])
    hold(report.lost.isEmpty && report.isKnown && !report.hasMore)
    release(index)
    try noteExpired(all: true)
    for (id, task) in tasks where task.isDue {
      tasks[id]?.isDue = false
      if task.state == .scheduled { tasks[id]?.state = .pending }
      if task.state == .detached { tasks[id]?.finish(.failed, mine: false) }
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

  func retain() throws {
    let type = anyType()
    let list = Bool.random(using: &random) ? "done" : "dead"
    let count = Int.random(in: 0...6, using: &random)
    step = "retain \(count) of \(list):\(type)"
    _ = try housekeeping.retain(type: type, list: list, count: count, before: Self.past)
    let states: [StoredRecord.State] = list == "done" ? [.completed] : [.failed, .cancelled]
    let candidates = tasks.filter { $0.value.type == type && states.contains($0.value.state) }
    let left = try Keyspace(connection, prefix: fixture.store.keys.prefix).records
    let removed = candidates.filter { left[$0.key] == nil }
    hold(removed.allSatisfy { $0.value.phase != .pending })
    hold(candidates.count - removed.count >= min(count, candidates.count))
    let free = candidates.filter { $0.value.phase != .pending }.count - removed.count
    hold(free <= count)
    for id in removed.keys { forget(id) }
  }

  func check() throws {
    let keyspace = try Keyspace(connection, prefix: fixture.store.keys.prefix)
    hold(keyspace.lost() == [], "\(keyspace.lost())")
    hold(keyspace.differences() == [], "\(keyspace.differences())")
    hold(Set(keyspace.records.keys) == Set(tasks.keys))
    hold(keyspace.claims == claims, "keys: \(keyspace.claims), not \(claims)")
    for (id, record) in keyspace.records {
      guard let expected = tasks[id] else { continue }
      var found = Expected(type: record.type, state: record.state, phase: record.handlerPhase)
      found.worker = record.fence.prefix(8).map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
      found.take = Int(record.fence.suffix(4).reversed().reduce(0) { $0 << 8 | Int($1) })
      found.round = keyspace.rounds[id] ?? 0
      found.isCancelAsked = record.has(.cancelAsked)
      (found.isDue, found.key) = (expected.isDue, record.extras.key)
      found.isExpired = expected.isExpired
      hold(found == expected, "\(id): \(found), not \(expected)")
    }
  }
}

@Suite("Anything in any order")
struct RandomisedTests {
  /// Always the same steps, and others at each run.
  static let seeds: [UInt64] =
    ProcessInfo.processInfo.environment["ROOST_SEED"].flatMap(UInt64.init).map { [$0] }
    ?? [20_261_124, .random(in: 1...1_000_000)]

  @Test(
    "What Redis holds agrees with a model after each of many random steps, and nothing is left over at the end",
    arguments: seeds)
  func agreesWithModel(seed: UInt64) async throws {
    print("seed \(seed); set ROOST_SEED for another")
    let play = try Play(seed: seed)
    for number in 0..<2000 {
      try await play.next()
      try play.check()
      try #require(play.problems == [], "after step \(number) of seed \(seed)")
    }
    for worker in play.workers { try play.housekeeping.reap(worker.id) }
    for type in ["work", "telling"] { try await play.fixture.store.setPaused(type, false) }
    // What is scheduled far ahead is cancelled, or this would not end.
    for (id, task) in play.tasks where [.scheduled, .detached].contains(task.state) {
      _ = try await play.fixture.store.cancel(id)
    }
    for (id, task) in play.tasks where task.isHandlerPending { try await play.fixture.store.delete(id) }
    let finisher = try TestWorker(play.fixture)
    try play.fixture.finishAll(finisher)
    try play.fixture.retainNothing()
    let left = try play.fixture.keyspace()
    #expect(left.records.isEmpty)
    #expect(left.differences() == [])
    #expect(left.ofTasks.filter { !$0.hasPrefix("hdue:") } == [], "only entries of deleted tasks, until they are due")
  }
}
