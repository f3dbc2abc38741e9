// SPDX-License-Identifier: Apache-2.0
import Glibc
import Redis
import TaskModel
import TaskStore
import TestSupport
import Testing
import Threading

/// Commands inside the scripts of one batch, however many tasks it has; what tasks may do more must not add to them.
@Suite("What a batch costs")
struct BatchCostTests {
  /// Calls by command since the last `CONFIG RESETSTAT`, without those of this test.
  private func calls(_ fixture: StoreFixture) throws -> [String: Int] {
    let text = try fixture.command("INFO", "commandstats").textValue ?? ""
    var calls: [String: Int] = [:]
    for line in text.split(whereSeparator: \.isNewline) where line.hasPrefix("cmdstat_") {
      let parts = line.dropFirst("cmdstat_".count).split(separator: ":", maxSplits: 1)
      calls[String(parts[0])] = parts[1].split(separator: ",").first.flatMap { Int($0.dropFirst("calls=".count)) }
    }
    for name in ["info", "config|resetstat"] { calls[name] = nil }
    return calls
  }

  @Test("Storing, taking and completing plain tasks makes just these calls")
  func plainTasks() async throws {
    let fixture = try StoreFixture()
    let (session, housekeeping) = (try fixture.session(), try fixture.housekeeping())
    // The host knows from its heartbeat that the type is far from full.
    fixture.store.note(
      try housekeeping.beat(host: fixture.store.hostID, types: ["work"], workers: []).backlogs)
    _ = try await fixture.submit()
    try fixture.command("CONFIG", "RESETSTAT")
    _ = try await fixture.submit()
    #expect(
      try calls(fixture) == [
        "multi": 1, "msetnx": 1, "rpush": 1, "eval": 1, "exec": 1,
        "del": 1, "hget": 1, "lindex": 1, "hincrby": 1, "llen": 1, "hset": 1,
      ])
    for _ in 0..<8 { _ = try await fixture.submit() }

    try fixture.command("CONFIG", "RESETSTAT")
    let tasks = try session.take(1, count: 10)
    #expect(tasks.count == 10)
    #expect(
      try calls(fixture) == [
        "watch": 1, "evalsha": 1,
        "time": 1, "hget": 1, "get": 1, "hmget": 1, "lrange": 1, "mget": 1, "hset": 1, "mset": 1, "ltrim": 1,
        "hincrby": 1, "llen": 1,
      ])

    try fixture.command("CONFIG", "RESETSTAT")
    _ = try session.write(tasks.map { $0.write(.completed(result: .one)) }, emptied: [1])
    #expect(
      try calls(fixture) == [
        "multi": 1, "rpush": 1, "mset": 1, "eval": 1, "exec": 1, "watch": 1, "get": 1,
        "hdel": 1, "hincrby": 2,
      ])
  }

  @Test("The whole life of a batch of 256 takes twelve commands of its clients")
  func wholeLife() async throws {
    let redis = try RedisServer()
    let proxy = try RedisProxy(redis)
    let fixture = try StoreFixture(on: redis, at: proxy.address)
    let session = try fixture.session()
    fixture.store.note(["work": .init(pending: 0, scheduled: 0)])
    // The connection of the store is busy with the first until all others have come, so that they gather.
    let stored = Monitor(0)
    let gathered = Monitor(false)
    proxy.intercept { request in
      if request.name == "EXEC" { gathered.wait { $0 ? true : nil } }
      return .pass
    }
    _ = proxy.takeLog()
    for _ in 0..<(1 + 2 * 256) {
      fixture.store.submit(Submission(type: "work", params: Array("null".utf8))) { result in
        #expect(throws: Never.self) { try result.get() }
        stored.withLock { $0 += 1 }
        stored.signal()
      }
    }
    gathered.withLock { $0 = true }
    gathered.broadcast()
    stored.wait { $0 == 1 + 2 * 256 ? true : nil }
    proxy.intercept(nil)
    let submitting = proxy.takeLog().requests.map { $0.script?.rawValue ?? $0.name }
    #expect(
      submitting == Array(repeating: ["MULTI", "MSETNX", "RPUSH", "submitted", "EXEC"], count: 3).flatMap(\.self))
    let first = try session.take(1, count: 256)
    _ = proxy.takeLog()
    let taken = try session.exchange(
      writes: first.map { $0.write(.completed(result: .one)) }, emptied: [1],
      takes: [.init(type: "work", queue: .tasks, batch: 2, count: 256)]
    ).taken[0].tasks
    #expect(taken.count == 256)
    let steady = proxy.takeLog().requests.map(\.name)
    #expect(steady == ["MULTI", "RPUSH", "MSET", "EVAL", "EXEC", "WATCH", "EVALSHA"])
  }
}
