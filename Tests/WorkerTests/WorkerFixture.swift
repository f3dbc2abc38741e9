// SPDX-License-Identifier: Apache-2.0
import FlightBoard
import Foundation
import Redis
import TaskModel
import TaskStore
import TestSupport
import Testing
import Threading
import WorkerControl

@testable import Worker

/// The threads of a worker in this process, on a Redis behind a proxy; without ticker.
final class WorkerFixture: Sendable {
  let redis: RedisServer
  let proxy: RedisProxy
  let store: TaskStore
  let core: WorkerCore
  let board: FlightBoard

  /// Its types have one executor, whatever they are called.
  init(_ executor: String = "echo", types names: [String] = ["echo"]) throws {
    redis = try RedisServer()
    proxy = try RedisProxy(redis)
    let folder = redis.directory.path
    let workbench = try TestPlugin.workbench(in: folder)
    let types = names.map { workbench.type(executor, name: $0, callback: "written") }
    store = TaskStore(address: redis.address, prefix: "roost", name: "test")
    store.start(types: types.map(\.definition))
    let assignment = WorkerAssignment(
      id: RandomID.make(), label: "test/workbench/1", redis: proxy.address, prefix: "roost", leaseMillis: 60_000,
      logLevel: "info", logFormat: "json", plugins: [workbench.plugin], types: types)
    let (plugins, issues) = LoadedPlugins.load(assignment)
    guard issues.isEmpty else { throw SpawnFailed(description: "\(issues)") }
    let (address, clock, id) = (proxy.address, RedisClock(), assignment.id)
    let connect: @Sendable (Int64) throws -> WorkerSession = { epoch in
      try WorkerSession(to: address, keys: Keys(prefix: "roost"), worker: id, epoch: epoch, clock: clock)
    }
    let first = try connect(1)
    _ = try first.hello(lastBatch: 0, held: [], origins: [])
    let lease = LeaseGuard(leaseMillis: 600_000)
    lease.confirmed(at: .max / 2)
    board = try #require(FlightBoard(slots: assignment.slots))
    let recorder = try #require(FlightRecorder(descriptor: board.descriptor, slots: assignment.slots))
    core = WorkerCore(
      types: plugins.types, lease: lease, clock: clock, keys: Keys(prefix: "roost"), recorder: recorder)
    for pool in core.pools { pool.start(core) }
    let loop = TakeLoop(core: core, origins: [], connect: connect, comesDue: { _ in }) {
      Issue.record("the lease was lost")
    }
    // The session changes its owner here, for good.
    nonisolated(unsafe) let session = first
    NativeThread(name: "take") { loop.run(session) }.detach()
    let listener = WakeListener(core: core, address: redis.address, worker: id)
    NativeThread(name: "wake") { listener.run() }.detach()
    try eventually("the store is connected") { store.isConnected }
  }

  deinit {
    core.end()
    store.close()
  }

  var journal: [String] {
    ((try? String(contentsOfFile: redis.directory.path + "/journal", encoding: .utf8)) ?? "")
      .split(separator: "\n").map(String.init)
  }

  func submit(_ params: String, type: String = "echo") async throws -> TaskID {
    try await store.submit(Submission(type: type, params: Array(params.utf8))).id
  }

  func final(_ id: TaskID) async throws -> TaskRecord? {
    await store.awaitFinal(id, within: .seconds(20))
    return try await store.record(id)
  }

  /// Waits until all handlers were called; then nothing is queued or in flight.
  func leavesNothingBehind() throws {
    try eventually("nothing is left over") {
      try redis.keys().allSatisfy { !$0.contains(":flight:") && !$0.contains(":q:") && !$0.contains(":hq:") }
    }
  }
}
