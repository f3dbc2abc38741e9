// SPDX-License-Identifier: Apache-2.0
import Redis
import TaskModel
import TaskStore
import TestSupport
import Testing
import Threading

/// One script with tasks in every state it meets, and the operation that calls it.
struct ScriptScene: Sendable, CustomTestStringConvertible {
  let script: Script
  let name: String
  let prepare: @Sendable (SceneWorld) async throws -> Void
  /// May be called again after an error, as its caller would.
  let act: @Sendable (SceneWorld) async throws -> Void

  var testDescription: String { "\(script.rawValue), \(name)" }
}

/// The store, the workers and the tasks of one run of a scene; one test owns it.
final class SceneWorld: @unchecked Sendable {  // @unchecked: used by one test at a time
  let fixture: StoreFixture
  let proxy: RedisProxy
  var workers: [TestWorker] = []
  var gone: [String] = []
  /// What is known of the end of the worker that is gone.
  var losses = WorkerLoss()
  var ids: [TaskID] = []
  var deleted: Set<TaskID> = []

  init(_ redis: RedisServer, _ proxy: RedisProxy, prefix: String) throws {
    self.proxy = proxy
    fixture = try StoreFixture(
      on: redis, at: proxy.address, prefix: prefix,
      types: [StoreFixture.type, StoreFixture.telling, StoreFixture.patient])
  }

  func submit(_ count: Int, _ type: String = "work", params: String = "null") async throws {
    for _ in 0..<count { ids.append(try await fixture.submit(params, type: type)) }
  }

  func worker() throws -> TestWorker {
    let worker = try TestWorker(fixture)
    workers.append(worker)
    return worker
  }

  /// A worker that holds `count` new tasks.
  func busyWorker(_ count: Int, _ type: String = "work") async throws -> TestWorker {
    try await submit(count, type)
    let worker = try worker()
    try worker.take(type)
    return worker
  }

  /// A user's action; on an error its caller cannot know whether it was done and tries again.
  func insist(_ action: () async throws -> Void) async throws {
    for _ in 0..<4 {
      do { return try await action() } catch TaskStoreError.unavailable { continue } catch { return }
    }
  }
}

@Suite("A script that fails half-way", .serialized)
struct FailingCallTests {
  @Test(
    "After each call of a script that may fail, every task is still found and comes to its end",
    arguments: ScriptScene.all)
  func failsHalfWay(scene: ScriptScene) async throws {
    let redis = try RedisServer()
    let proxy = try RedisProxy(redis)
    var call = 1
    var lasts = true
    while lasts {
      let digest = try failing(scene.script, atCall: call, redis)
      let errors = try await run(scene, redis, proxy, "n\(call)", .replace(digest), half: true)
      lasts = errors.contains { $0.contains("made to fail") }
      call += 1
      try #require(call < 200)
    }
    #expect(call > 2, "the script makes calls")
    _ = try await run(scene, redis, proxy, "answer", .loseAnswer, half: false)
    _ = try await run(scene, redis, proxy, "request", .loseRequest, half: false)
    _ = try await run(scene, redis, proxy, "delay", .delay, half: false)
  }

  private func run(
    _ scene: ScriptScene, _ redis: RedisServer, _ proxy: RedisProxy, _ prefix: String, _ verdict: RedisProxy.Verdict,
    half: Bool
  ) async throws -> [String] {
    proxy.intercept(nil)
    let world = try SceneWorld(redis, proxy, prefix: prefix)
    try await scene.prepare(world)
    let before = try world.fixture.keyspace()
    #expect(before.lost() == [], "\(prefix) before")
    #expect(before.differences() == [], "\(prefix) before")
    _ = proxy.takeLog()
    let middle = spoilNext(scene.script, verdict, proxy, world.fixture)
    let own = [.take, .complete, .completed].contains(scene.script) ? world.workers.first?.id : nil
    try await scene.act(world)
    let errors = proxy.takeLog().errors
    proxy.intercept(nil)
    if let seen = middle.withLock({ $0 }) {
      #expect(seen.unnoticed(since: before, by: own) == [], "\(prefix) right after it failed")
    }
    if !half { _ = try proxy.deliverLate() }
    try eventually("the store is connected") { world.fixture.store.isConnected }
    let after = try world.fixture.keyspace()
    #expect(after.lost() == [], "\(prefix) after")
    #expect(after.unnoticed(since: before, by: own) == [], "\(prefix) after")
    if !half { #expect(after.differences() == [], "\(prefix) after") }

    let finisher = try TestWorker(world.fixture)
    for worker in world.workers where worker.hasLease { try? worker.completeAll() }
    try world.fixture.finishAll(finisher, gone: world.gone + world.workers.map(\.id))
    let end = try world.fixture.keyspace()
    #expect(end.unfinished == [], "\(prefix) at the end")
    #expect(end.lost() == [], "\(prefix) at the end")
    if !half { #expect(end.differences() == [], "\(prefix) at the end") }
    for id in world.ids where !world.deleted.contains(id) {
      #expect(end.records[id] != nil, "\(prefix): a task that was stored is there")
    }
    try world.fixture.retainNothing()
    let left = try world.fixture.keyspace().ofTasks.filter { !(half && $0.hasPrefix("r:")) }
    #expect(left == [], "\(prefix): nothing is left over")
    return errors
  }

  /// Spoils the next call of the script, and keeps what Redis holds when the next request comes.
  private func spoilNext(
    _ script: Script, _ verdict: RedisProxy.Verdict, _ proxy: RedisProxy, _ fixture: StoreFixture
  ) -> Monitor<Keyspace?> {
    let middle = Monitor<Keyspace?>(nil)
    guard case .replace = verdict else {
      proxy.spoilNext(script, verdict)
      return middle
    }
    let isDone = Monitor(false)
    proxy.intercept { request in
      if isDone.withLock({ $0 }) {
        middle.withLock { if $0 == nil { $0 = try? fixture.keyspace() } }
        return .pass
      }
      guard request.script == script else { return .pass }
      isDone.withLock { $0 = true }
      return verdict
    }
    return middle
  }

  /// The script with the given one of its calls failing.
  private func failing(_ script: Script, atCall number: Int, _ redis: RedisServer) throws -> String {
    let text = script.text
    let end = try #require(text.firstIndex(of: "\n"))
    let wrapper = """

      local raw, made = redis, 0
      local redis = setmetatable({ call = function(...)
        made = made + 1
        if made == \(number) then error('made to fail') end
        return raw.call(...)
      end }, { __index = raw })
      """.split(separator: "\n").joined(separator: " ")
    let connection = try RedisConnection(to: redis.address, timeout: .seconds(10))
    let words = RedisCommand(words: "SCRIPT", "LOAD", text[..<end] + "\n" + wrapper + text[end...])
    return try #require(try connection.call(words).textValue)
  }
}
