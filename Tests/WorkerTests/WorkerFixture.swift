// SPDX-License-Identifier: Apache-2.0
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

  /// Its one type is called `echo` whatever its executor.
  init(_ executor: String = "echo") throws {
    redis = try RedisServer()
    proxy = try RedisProxy(redis)
    let folder = redis.directory.path
    let sources = BuildProducts.sources
    let compiled = try run(
      "/usr/bin/cc",
      [
        "-std=gnu11", "-O1", "-shared", "-fPIC", "-I", sources + "/Sources/CRoost/include",
        sources + "/Tests/TaskHostTests/TestPlugins/workbench.c", "-o", folder + "/libworkbench.so",
      ])
    guard compiled.status == 0 else { throw SpawnFailed(description: compiled.errors) }

    store = TaskStore(address: redis.address, prefix: "roost", name: "test")
    let definition = TypeDefinition(
      name: "echo", executor: "workbench/\(executor)", callback: "workbench/written", exceptionHandler: nil,
      worker: "workbench",
      threads: 2, retentionAge: .seconds(3600), retentionCount: 1000, maxParams: 1 << 20, maxResult: 4 << 20)
    store.start(types: [definition])

    func reference(_ export: String) -> WorkerAssignment.TaskType.Reference {
      .init(plugin: "workbench", export: export)
    }
    let assignment = WorkerAssignment(
      id: RandomID.make(), label: "test/workbench/1", redis: proxy.address, prefix: "roost", leaseMillis: 60_000,
      logLevel: "info", logFormat: "json",
      plugins: [
        .init(
          name: "workbench", path: folder + "/libworkbench.so", copy: folder + "/libworkbench.so",
          settings: "{\"journal\":\"\(folder)/journal\"}")
      ],
      types: [
        .init(
          name: "echo", executor: reference(executor), callback: reference("written"), exceptionHandler: nil,
          threads: 2, handlerThreads: 2, maxResult: 1 << 20)
      ])
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
    core = WorkerCore(types: plugins.types, lease: lease, clock: clock, keys: Keys(prefix: "roost"))
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

  func submit(_ params: String) async throws -> TaskID {
    try await store.submit(Submission(type: "echo", params: Array(params.utf8))).id
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
