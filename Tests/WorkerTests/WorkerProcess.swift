// SPDX-License-Identifier: Apache-2.0
import FlightBoard
import Foundation
import Redis
import TaskModel
import TaskStore
import TestSupport
import Testing
import Synchronization
import Threading
import WorkerControl

/// The real `roost worker` on a Redis behind a proxy, with the test in the place of its host.
// @unchecked: one test owns it; what its thread hears is behind a lock.
final class WorkerProcess: @unchecked Sendable {
  let redis: RedisServer
  let proxy: RedisProxy
  let store: TaskStore
  let board: FlightBoard
  let id = RandomID.make()
  private let channel: ControlChannel
  private let heard = Lock<[WorkerMessage]>([])
  private var pid: pid_t = 0

  /// Its types are of both test plugins; it begins if it is told to.
  init(
    runsAlone: Bool = false, begins: Bool = true,
    _ types: (_ workbench: TestPlugin, _ crasher: TestPlugin) -> [WorkerAssignment.TaskType]
  ) async throws {
    redis = try RedisServer()
    proxy = try RedisProxy(redis)
    let folder = redis.directory.path
    let (workbench, crasher) = (try TestPlugin.workbench(in: folder), try TestPlugin.crasher(in: folder))
    let types = types(workbench, crasher)
    store = TaskStore(address: redis.address, prefix: "roost", name: "test")
    store.start(types: types.map(\.definition))
    let assignment = WorkerAssignment(
      id: id, label: "test/workbench/1", redis: proxy.address, prefix: "roost", leaseMillis: 600, logLevel: "info",
      logFormat: "json", plugins: [workbench.plugin, crasher.plugin], types: types, runsAlone: runsAlone)
    board = try #require(FlightBoard(slots: assignment.slots))
    let (host, worker) = try ControlChannel.pair()
    channel = host
    let files = try ["output", "log"].map { name in
      let file = open(folder + "/" + name, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
      return try #require(file >= 0 ? file : nil)
    }
    defer { for file in files { close(file) } }
    var environment = ProcessInfo.processInfo.environment
    // As a host has it.
    environment["SWIFT_BACKTRACE"] = "enable=no"
    pid = try spawn(
      BuildProducts.roost, ["roost", "worker", "test"], environment: environment, directory: folder,
      descriptors: [-1, files[0], files[0], worker.descriptor, board.descriptor, files[1]])
    try channel.send(assignment)
    listen()
    try await hears("loaded") { if case .loaded = $0 { true } else { false } }
    let store = store
    try await eventually("the store is connected") { () async in store.isConnected }
    if begins { try await begin() }
  }

  deinit {
    store.close()
    guard pid > 0 else { return }
    kill(pid, SIGKILL)
    waitpid(pid, nil, 0)
  }

  func begin() async throws {
    tell(.begin)
    try await hears("ready") { if case .ready = $0 { true } else { false } }
  }

  /// Every heartbeat is acknowledged, as by a host whose Redis is well.
  private func listen() {
    NativeThread(name: "host") { [channel, weak self] in
      // Until the worker closes its end, or nobody wants to know any more.
      while let message = try? Optional(channel.receive(WorkerMessage.self, timeout: 50)), let self {
        guard let message else { continue }
        if case .beat(let number, _, _, _, _) = message { try? channel.send(HostMessage.acknowledged(beat: number)) }
        heard.withLock { $0.append(message) }
      }
    }.detach()
  }

  func tell(_ message: HostMessage) { try? channel.send(message) }

  var messages: [WorkerMessage] { heard.withLock { $0 } }

  func hears(_ what: String, _ condition: (WorkerMessage) -> Bool) async throws {
    try await eventually("the worker says: \(what)") { () async in messages.contains(where: condition) }
  }

  /// What it said of tasks that do not stop, once it has.
  func overstays(_ count: Int = 1) async throws -> [(overstay: WorkerMessage.Overstay, millis: Int64)] {
    func said() -> [(WorkerMessage.Overstay, Int64)] {
      messages.flatMap { message -> [(WorkerMessage.Overstay, Int64)] in
        if case .overstayed(let all, let millis) = message { all.map { ($0, millis) } } else { [] }
      }
    }
    try await eventually("\(count) overstay") { () async in said().count >= count }
    return said()
  }

  /// Its exit status, or 128 and the signal, once it has ended.
  func end() async throws -> Int32 {
    let status = try await exitStatus(of: pid, within: .seconds(20))
    pid = 0
    return status
  }

  func text(_ file: String) -> String {
    (try? String(contentsOfFile: redis.directory.path + "/" + file, encoding: .utf8)) ?? ""
  }

  func openGate() throws { try Data().write(to: URL(fileURLWithPath: redis.directory.path + "/journal.open")) }

  func submit(_ type: String, _ params: String = "1") async throws -> TaskID {
    try await store.submit(Submission(type: type, params: Array(params.utf8))).id
  }

  /// Submits a task and waits until its code runs.
  func run(_ type: String, _ params: String = #""wait""#) async throws -> TaskID {
    let id = try await submit(type, params)
    try await eventually("\(type) runs") { () async in board.flights.contains { $0.task == id } }
    return id
  }

  /// The state of a record as it stands in Redis.
  func state(_ id: TaskID) throws -> String { try redis.cli("getrange", "roost:{00}:t:\(id)", "1", "1") }

  /// The take that a timeout was decided for.
  func overdueTake(_ id: TaskID) throws -> [UInt8] {
    let connection = try RedisConnection(to: redis.address, timeout: .seconds(5))
    return try connection.call(RedisCommand(words: "GETRANGE", "roost:{00}:t:\(id)", "56", "59")).bulkValue ?? []
  }
}
