// SPDX-License-Identifier: Apache-2.0
import Foundation
import HTTPClient
import TaskModel
import TaskStore
import TestSupport
import Testing

/// A real host process with its own directory and workers, and a store that looks at its Redis from outside.
final class HostFixture: Sendable {
  let directory: TemporaryDirectory
  let process: HostProcess
  let store: TaskStore
  private let workers: Int
  private let members: [String: String]
  /// Whether the store has been started.
  private let isObserved: Bool

  /// `changes` replaces members of the config by their JSON text, as in `["lease": "\"1s\""]`.
  ///
  /// `redis` is a Redis of the test's (without it the host has an embedded one), `workers` how many worker processes the
  /// config makes; `observed: false` keeps the test's own store away from Redis.
  init(
    _ changes: [String: String] = [:], redis: RedisServer? = nil, workers: Int = 1, observed: Bool = true,
    start: Bool = true
  ) async throws {
    directory = try TemporaryDirectory()
    self.workers = workers
    isObserved = observed
    try FileManager.default.copyItem(atPath: Workbench.shared.path(), toPath: directory.path + "/libworkbench.so")
    var members = [
      "http": #"{"listen": "127.0.0.1:0"}"#,
      "lease": #""2s""#,
      "drain": #"{"stop": "6s"}"#,
      "plugins": Self.plugins(journal: directory.path + "/journal"),
      "types": Self.types(["echo", "nap", "fail", "reject", "detach", "garbage", "flood", "gate"]),
    ]
    if let redis { members["redis"] = #"{"url": "\#(redis.address)"}"# }
    members.merge(changes) { $1 }
    self.members = members
    process = HostProcess(
      config: try directory.write("config.json", Self.text(members)), log: directory.path + "/host.log")
    store = TaskStore(
      address: redis?.address ?? RedisAddress(endpoint: .unix(path: directory.path + "/data/redis.sock")),
      prefix: "roost", name: "observer")
    if start { try await self.start() }
  }

  private static func text(_ members: [String: String]) -> String {
    "{" + members.map { "\"\($0.key)\": \($0.value)" }.sorted().joined(separator: ",\n") + "}"
  }

  /// Writes the config anew, with some members of the first one replaced.
  func rewrite(_ changes: [String: String]) throws {
    try directory.write("config.json", Self.text(members.merging(changes) { $1 }))
  }

  deinit {
    if ProcessInfo.processInfo.environment["ROOST_KEEP"] != nil { print(process.logText, journal) }
    store.close()
  }

  static func plugins(journal: String, more: String = "") -> String {
    #"{"workbench": {"path": "libworkbench.so", "settings": {"journal": "\#(journal)"}}\#(more)}"#
  }

  static func types(_ names: [String], threads: Int = 4, extra: String = "") -> String {
    let handlers = #""callback": "workbench/written", "exceptionHandler": "workbench/written""#
    return "{"
      + names.map { #""\#($0)": {"executor": "workbench/\#($0)", \#(handlers), "threads": \#(threads)\#(extra)}"# }
      .joined(separator: ",") + "}"
  }

  /// Starts the host and waits until all its workers are ready.
  func start() async throws {
    try await process.start(workers: workers)
    guard isObserved else { return }
    if !store.isConnected { store.start(types: []) }
    try await eventually("the observer is connected") { () async in store.isConnected }
  }

  @discardableResult
  func stop(_ signal: Int32 = SIGTERM) async throws -> Int32 { try await process.stop(signal) }

  func lines(containing text: String) -> [String] { process.lines(containing: text) }
  func workerPids() throws -> [pid_t] { try process.workerPids() }

  /// What executors and handlers wrote down, as `completed ID`.
  var journal: [String] {
    ((try? String(contentsOfFile: directory.path + "/journal", encoding: .utf8)) ?? "").split(separator: "\n").map(
      String.init)
  }

  func count(_ entry: String) -> Int { journal.filter { $0 == entry }.count }

  /// Lets the tasks of `gate` that wait go on, those to come too.
  func openGate() throws { try directory.write("journal.open", "") }

  func submit(_ type: String, _ params: String = "null") async throws -> TaskID {
    try await store.submit(Submission(type: type, params: Array(params.utf8))).id
  }

  /// Waits until the task is final.
  func final(_ id: TaskID) async throws -> TaskRecord? {
    await store.awaitFinal(id, within: .seconds(30))
    return try await store.record(id)
  }

  /// What `redis-cli` prints for a command to the embedded Redis.
  @discardableResult
  func redis(_ words: String...) throws -> String {
    try TestSupport.run("/usr/bin/redis-cli", ["-s", directory.path + "/data/redis.sock", "--raw"] + words).output
      .trimmingCharacters(in: .newlines)
  }

  /// The process of the embedded Redis; nil while it does not answer.
  func redisPid() throws -> pid_t? {
    let line = try redis("info", "server").split(whereSeparator: \.isNewline).first { $0.hasPrefix("process_id:") }
    return line.flatMap { pid_t($0.dropFirst("process_id:".count)) }
  }

  /// One request to the host over HTTP.
  func send(_ method: String, _ path: String, _ body: String? = nil) throws -> HTTPReply {
    try HTTPClient(try #require(process.url)).send(method, path, body: body.map { Array($0.utf8) })
  }
}

/// The plugin of these tests, compiled once.
final class Workbench: Sendable {
  static let shared = Workbench()
  private let directory = try? TemporaryDirectory()
  private let result: Result<String, SpawnFailed>

  private init() {
    let file = (directory?.path ?? "/nowhere") + "/libworkbench.so"
    let sources = BuildProducts.sources
    do {
      let result = try run(
        "/usr/bin/cc",
        [
          "-std=gnu11", "-Wall", "-Wextra", "-Werror", "-O1", "-shared", "-fPIC", "-I",
          sources + "/Sources/CRoost/include",
          sources + "/Tests/TaskHostTests/TestPlugins/workbench.c", "-o", file,
        ])
      self.result = result.status == 0 ? .success(file) : .failure(SpawnFailed(description: result.errors))
    } catch {
      self.result = .failure(SpawnFailed(description: "\(error)"))
    }
    // A static lives as long as the process and is never taken down.
    atexit { try? FileManager.default.removeItem(atPath: Workbench.shared.directory?.path ?? "") }
  }

  func path() throws -> String { try result.get() }
}
