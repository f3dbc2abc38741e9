// SPDX-License-Identifier: Apache-2.0
import Redis
import TaskModel
import TaskStore
import TestSupport
import Threading

/// A few workers and users that do anything in any order, and what should come of it.
final class RandomPlay {
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
  /// Of tasks and of handlers: what failed is due in the next millisecond.
  static let policy = RetryPolicy(attempts: 3, backoff: .milliseconds(1), maxBackoff: .milliseconds(1))
  static let maxCrashes = 2
  static let work = patient(StoreFixture.type)
  static let telling: TypeDefinition = {
    // Its keys are free again as soon as a task has ended.
    var type = patient(StoreFixture.telling)
    type.keyTTL = .milliseconds(1)
    return type
  }()

  private static func patient(_ type: TypeDefinition) -> TypeDefinition {
    var type = type
    (type.retry, type.handlerRetry, type.maxCrashes) = (policy, policy, maxCrashes)
    return type
  }

  static let future = Timestamp(millis: 4_000_000_000_000)
  let fixture: StoreFixture
  let housekeeping: Housekeeping
  let connection: RedisConnection
  var random: SeededGenerator
  var tasks: [TaskID: ExpectedTask] = [:]
  var order: [TaskID] = []
  var workers: [Worker] = []
  var paused: Set<String> = []
  /// Which task has which key, by type and key.
  var claims: [String: TaskID] = [:]
  var fired = 0
  /// How many submissions wait for the end of their task, and how many were told of it.
  var awaited = 0
  let told = Monitor(0)
  /// Tasks as they were taken once; the fences of most are outdated.
  var taken: [(worker: Int, id: String, task: TakenTask)] = []
  var step = ""
  /// The worker whose connection for tasks made the step, if one did.
  var actor: String?
  private var last: Keyspace?
  var problems: [String] = []

  init(seed: UInt64) throws {
    fixture = try StoreFixture(types: [Self.work, Self.telling])
    housekeeping = try fixture.housekeeping()
    connection = try fixture.connection()
    random = SeededGenerator(seed: seed)
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
    actor = nil
    switch Int.random(in: 0..<114, using: &random) {
    case 0..<15: if tasks.count < 30 { try await submit() }
    case 100..<102: try await pause()
    case 102..<105: try await recall()
    case 105..<107: try await actOnMany()
    case 107..<110: if tasks.count < 30 { try fire() }
    case 15..<35: try take(from: chance(30) ? .handlers : chance(20) ? .alone : .tasks)
    case 35..<65: try write()
    case 65..<70: try writeLate()
    case 70..<76: try await settle()
    case 76..<81: try await cancel()
    case 81..<85: try await retry()
    case 85..<89: try await delete()
    case 89..<91, 110..<114: try reap()
    case 91..<95: try beat()
    case 95..<97: try reconnect()
    default: try retain()
    }
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
    if let last {
      let unnoticed = keyspace.unnoticed(since: last, by: actor)
      hold(unnoticed == [], "\(unnoticed)")
    }
    last = keyspace
    hold(keyspace.differences() == [], "\(keyspace.differences())")
    hold(Set(keyspace.records.keys) == Set(tasks.keys))
    hold(keyspace.claims == claims, "keys: \(keyspace.claims), not \(claims)")
    for (id, record) in keyspace.records {
      guard let expected = tasks[id] else { continue }
      var found = ExpectedTask(type: record.type, state: record.state, phase: record.handlerPhase)
      found.worker = record.fence.prefix(8).map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
      found.take = Int(record.fence.suffix(4).reversed().reduce(0) { $0 << 8 | Int($1) })
      found.round = keyspace.rounds[id] ?? 0
      found.isCancelAsked = record.has(.cancelAsked)
      (found.isDue, found.key) = (expected.isDue, record.extras.key)
      (found.attempts, found.priority) = (record.attempts, record.priority)
      found.isExpired = expected.isExpired
      (found.crashes, found.lostLeases, found.isAlone) = (record.crashes, record.lostLeases, record.has(.alone))
      found.handlerTries = record.handlerAttempts
      // A record that was completed as its worker has it knows of no verdict; nobody asks it.
      found.verdict = expected.isActive ? Int(record.verdict) : expected.verdict
      hold(found == expected, "\(id): \(found), not \(expected)")
    }
  }
}
