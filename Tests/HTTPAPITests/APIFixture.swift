// SPDX-License-Identifier: Apache-2.0
import Foundation
import HTTPAPI
import HTTPServer
@testable import TaskHost
import TaskModel
import TaskStore
import TestSupport

/// The API on a free port and a Redis of its own; workers are nothing but a session.
final class APIFixture: Sendable {
  let redis: RedisServer
  let store: TaskStore
  let status: HostStatus
  let server: APIServer

  static let types = [
    TypeDefinition(
      name: "work", executor: "plugin/run", callback: nil, exceptionHandler: nil, worker: "plugin", threads: 2,
      retentionAge: .seconds(3600), retentionCount: 1000, maxParams: 1 << 20, maxResult: 4 << 20),
    TypeDefinition(
      name: "small", executor: "plugin/small", callback: "plugin/log", exceptionHandler: "plugin/alert",
      worker: "other", threads: 3, retentionAge: .seconds(3600), retentionCount: 1000, maxParams: 100, maxResult: 100),
  ]

  static func make(
    redis arguments: [String] = [], cors: [String] = [], hosts: [String] = [], maxBody: Int = 32 << 20,
    types: [TypeDefinition] = types,
    reload: @escaping @Sendable () async throws(ReloadRefusal) -> ReloadReport = { () throws(ReloadRefusal) in
      throw .stopping
    }
  ) async throws -> APIFixture {
    try await offPool { try APIFixture(arguments, cors, hosts, maxBody, types, reload) }
  }

  private init(
    _ arguments: [String], _ cors: [String], _ hosts: [String], _ maxBody: Int, _ types: [TypeDefinition],
    _ reload: @escaping @Sendable () async throws(ReloadRefusal) -> ReloadReport
  ) throws {
    // As the host does: a Redis that went away is told by an error.
    signal(SIGPIPE, SIG_IGN)
    redis = try RedisServer(arguments)
    let store = TaskStore(address: redis.address, prefix: "roost", name: "test")
    self.store = store
    store.start(types: types)
    try eventually("the store is connected") { store.isConnected }
    status = HostStatus(store)
    server = try APIServer(
      listen: HTTPAddress(host: "127.0.0.1", port: 0), maxBody: maxBody, cors: cors, hosts: hosts, store: store,
      status: status, reload: reload)
  }

  deinit {
    server.stop(within: .seconds(5))
    store.close()
  }

  // MARK: As a client

  func request(
    _ method: String, _ target: String, headers: [String] = [], body: [UInt8]? = nil
  ) async throws -> Answer {
    let address = server.address
    return try await offPool {
      let client = try Client(address)
      try client.send(method, target, headers: headers, body: body)
      return try client.answer(to: method)
    }
  }

  func get(_ target: String) async throws -> Answer { try await request("GET", target) }
  func post(_ target: String, _ body: String) async throws -> Answer {
    try await request("POST", target, body: Array(body.utf8))
  }
  func put(_ target: String, _ body: String) async throws -> Answer {
    try await request("PUT", target, body: Array(body.utf8))
  }

  /// Submits over HTTP; the id as it was answered.
  ///
  /// `members` are further ones, as in `,"key":"a"`.
  func submit(_ params: String = "null", type: String = "work", _ members: String = "") async throws -> TaskID {
    let answer = try await post("/v1/tasks", #"{"type":"\#(type)","params":\#(params)\#(members)}"#)
    guard answer.status == 202, let id = answer.json?["id"]?.text.flatMap({ TaskID($0) }) else {
      throw ClientError(description: "not accepted: \(answer.status) \(answer.text)")
    }
    return id
  }

  /// The task's status as GET tells it; nil when there is no such task.
  func status(_ id: TaskID) async throws -> String? {
    try await get("/v1/tasks/\(id)/status").json?["status"]?.text
  }

  /// Whether the task's end is to be announced, as its record in Redis says.
  func isWaitedFor(_ id: TaskID) async throws -> Bool {
    let (redis, key) = (redis, store.keys.record(id))
    return try await offPool { try redis.cli("getbit", key, "\(48 * 8 + 6)") == "1" }
  }

  // MARK: As a worker

  func worker() async throws -> TestWorker {
    let (address, keys, clock) = (redis.address, store.keys, store.clock)
    return try await offPool {
      TestWorker(try WorkerSession(to: address, keys: keys, worker: RandomID.make(), epoch: 1, clock: clock))
    }
  }
}

/// A worker's session, used by one test at a time.
final class TestWorker: @unchecked Sendable {  // @unchecked: each call is awaited before the next
  private let session: WorkerSession
  private var batch: Int64 = 0

  init(_ session: WorkerSession) {
    self.session = session
  }

  func begin() async throws {
    try await offPool { [self] in
      _ = try session.hello(
        lastBatch: 0, held: [],
        origins: [TaskRecord.Origin(worker: "test/plugin/1", plugin: "plugin", version: "1.0.0", build: "sha256:00")])
    }
  }

  /// Takes the type's pending tasks and says something of each.
  @discardableResult
  func take(
    _ type: String = "work", count: Int = 10, handlers: Bool = false, _ operations: TaskWrite.Operation...
  ) async throws -> [TakenTask] {
    try await offPool { [self] in
      batch += 1
      let taken = try session.exchange(
        writes: [], emptied: [],
        takes: [.init(type: type, queue: handlers ? .handlers : .tasks, batch: batch, count: count)]
      ).taken[0].tasks
      try write(taken, operations)
      return taken
    }
  }

  func say(_ operation: TaskWrite.Operation, of tasks: [TakenTask]) async throws {
    try await offPool { [self] in try write(tasks, [operation]) }
  }

  private func write(_ tasks: [TakenTask], _ operations: [TaskWrite.Operation]) throws {
    guard !operations.isEmpty else { return }
    let writes = tasks.flatMap { task in
      operations.map { operation in
        TaskWrite(
          id: task.id, fence: task.record.fence, ticket: task.ticket, operation: operation,
          attempts: task.record.attempts + 1,
          maxAttempts: 1, hasParamsKey: task.record.hasParamsKey, origin: 1, startedAt: task.record.createdAt)
      }
    }
    let answers = try session.exchange(writes: writes, emptied: [], takes: []).answers
    for answer in answers { if case .refused = answer { throw ClientError(description: "a write was refused") } }
  }
}

func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }
