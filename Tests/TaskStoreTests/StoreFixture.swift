// SPDX-License-Identifier: Apache-2.0
import Glibc
import Redis
import TaskModel
import TaskStore
import TestSupport

/// A store on a Redis of its own, and workers that are nothing but a session.
final class StoreFixture: Sendable {
  let redis: RedisServer
  let store: TaskStore
  let types: [TypeDefinition]
  /// How store and workers reach Redis.
  let address: RedisAddress

  static let type = TypeDefinition(
    name: "work", executor: "plugin/run", callback: nil, exceptionHandler: nil, worker: "plugin", threads: 2,
    retentionAge: .seconds(3600), retentionCount: 1000, maxParams: 1 << 20, maxResult: 4 << 20)
  /// One whose outcomes call handlers.
  static let telling = TypeDefinition(
    name: "telling", executor: "plugin/run", callback: "plugin/tell", exceptionHandler: "plugin/cry", worker: "plugin",
    threads: 2, retentionAge: .seconds(3600), retentionCount: 1000, maxParams: 1 << 20, maxResult: 4 << 20)

  /// One whose failures and handlers are tried again soon, and that may crash once only.
  static let patient: TypeDefinition = {
    var type = telling
    let soon = RetryPolicy(attempts: 3, backoff: .milliseconds(1), maxBackoff: .milliseconds(1))
    (type.name, type.retry, type.handlerRetry, type.maxCrashes) = ("patient", soon, soon, 1)
    type.handlerRetry.attempts = 2
    return type
  }()

  convenience init(_ arguments: [String] = [], types: [TypeDefinition] = [StoreFixture.type]) throws {
    let redis = try RedisServer(arguments)
    try self.init(on: redis, at: redis.address, types: types)
  }

  /// `address` is that of a proxy, or of the server itself; `prefix` keeps those apart who share a server.
  init(
    on redis: RedisServer, at address: RedisAddress, prefix: String = "roost",
    types: [TypeDefinition] = [StoreFixture.type]
  ) throws {
    signal(SIGPIPE, SIG_IGN)
    self.redis = redis
    self.address = address
    self.types = types
    store = TaskStore(address: address, prefix: prefix, name: "test")
    store.start(types: types)
    try eventually("the store is connected") { store.isConnected }
  }

  deinit {
    store.close()
  }

  func submit(_ params: String = "null", type: String = "work") async throws -> TaskID {
    try await store.submit(Submission(type: type, params: Array(params.utf8))).id
  }

  /// A task of which more is asked than its params.
  func submit(type: String = "work", _ more: (inout Submission) -> Void) async throws -> TaskID {
    var submission = Submission(type: type, params: Array("null".utf8))
    more(&submission)
    return try await store.submit(submission).id
  }

  func session(_ worker: String = RandomID.make(), epoch: Int64 = 1) throws -> WorkerSession {
    let session = try WorkerSession(to: address, keys: store.keys, worker: worker, epoch: epoch, clock: store.clock)
    _ = try session.hello(lastBatch: 0, held: [], origins: [Self.origin])
    return session
  }

  static let origin = TaskRecord.Origin(
    worker: "test/plugin/1", plugin: "plugin", version: "1.0.0", build: "sha256:00")

  func housekeeping() throws -> Housekeeping { try Housekeeping(to: address, keys: store.keys) }

  /// A connection past any proxy.
  func connection() throws -> RedisConnection { try RedisConnection(to: redis.address, timeout: .seconds(20)) }

  func keyspace() throws -> Keyspace { try Keyspace(connection(), prefix: store.keys.prefix) }

  /// One command, past any proxy.
  @discardableResult
  func command(_ words: String...) throws -> RedisReply {
    var command = RedisCommand(words[0])
    for word in words.dropFirst() { command.add(word) }
    return try connection().call(command)
  }
}

extension StoreFixture {
  /// Redis' own time.
  func now() throws -> Timestamp {
    let parts = try command("TIME").arrayValue?.compactMap(\.integerValue) ?? []
    return Timestamp(millis: parts[0] * 1000 + parts[1] / 1000)
  }

  /// Returns in a later millisecond than it was called in, by Redis' clock and by this one's.
  func nextMillisecond() throws {
    let (start, here) = (try now(), store.clock.now)
    try eventually("a later millisecond") {
      try now().millis > start.millis + 1 && store.clock.now.millis > here.millis + 1
    }
  }
}

extension WorkerSession {
  func take(_ batch: Int64, count: Int = 10, type: String = "work", handlers: Bool = false) throws -> [TakenTask] {
    try take(batch, count: count, type: type, from: handlers ? .handlers : .tasks).tasks
  }

  func take(_ batch: Int64, count: Int = 10, type: String = "work", from queue: Queue) throws -> Taken {
    try exchange(writes: [], emptied: [], takes: [Take(type: type, queue: queue, batch: batch, count: count)]).taken[0]
  }

  func write(_ writes: [TaskWrite], emptied: [Int64] = []) throws -> [WriteAnswer] {
    try exchange(writes: writes, emptied: emptied, takes: []).answers
  }
}

extension TakenTask {
  /// Redis is on this machine.
  private static var machineTime: Timestamp {
    var now = timespec()
    clock_gettime(CLOCK_REALTIME, &now)
    return Timestamp(millis: Int64(now.tv_sec) * 1000 + Int64(now.tv_nsec) / 1_000_000)
  }

  func write(_ operation: TaskWrite.Operation, callsHandler: Bool = false) -> TaskWrite {
    var write = TaskWrite(
      id: id, fence: record.fence, ticket: ticket, operation: operation, attempts: record.attempts + 1, maxAttempts: 1,
      hasParamsKey: record.hasParamsKey, origin: 1, startedAt: record.createdAt, finishedAt: Self.machineTime)
    write.callsHandler = callsHandler
    write.taken = record
    return write
  }
}

extension TaskError {
  static let broken = TaskError(kind: .exception, message: "broken")
  static let crash = TaskError(kind: .crash, message: "ended by SIGSEGV", signal: "SIGSEGV")
  static let late = TaskError(kind: .timeout, message: "too late")
  static let greedy = TaskError(kind: .memory, message: "too much memory", retryable: false)
}

extension WorkerLoss.Finding {
  /// What is known of a task that a worker has taken.
  init(_ task: TakenTask, _ verdict: WorkerLoss.Verdict) {
    self.init(id: task.id, take: task.take, verdict: verdict)
  }
}

extension TakenTask {
  var take: UInt32 { record.fence.suffix(4).reversed().reduce(0) { $0 << 8 | UInt32($1) } }
}

extension [UInt8] {
  static let one = Array("1".utf8)
  static func text(_ count: Int) -> [UInt8] { Array(("\"" + String(repeating: "r", count: count) + "\"").utf8) }
}
