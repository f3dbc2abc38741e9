// SPDX-License-Identifier: Apache-2.0
import Redis
import TaskModel
import TaskStore
import TestSupport
import Testing

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
        "evalsha": 1, "time": 1, "hget": 1, "rpush": 1, "msetnx": 1, "hincrby": 1, "llen": 1, "hset": 1,
      ])
    for _ in 0..<8 { _ = try await fixture.submit() }

    try fixture.command("CONFIG", "RESETSTAT")
    let tasks = try session.take(1, count: 10)
    #expect(tasks.count == 10)
    #expect(
      try calls(fixture) == [
        "evalsha": 1, "time": 1, "hget": 1, "hmget": 1, "lrange": 1, "mget": 1, "hset": 1, "mset": 1, "ltrim": 1,
        "hincrby": 1, "llen": 1,
      ])

    try fixture.command("CONFIG", "RESETSTAT")
    _ = try session.write(tasks.map { $0.write(.completed(result: .one)) }, emptied: [1])
    #expect(
      try calls(fixture) == [
        "evalsha": 1, "time": 1, "hget": 1, "mget": 1, "rpush": 1, "mset": 1, "hdel": 1, "hincrby": 2,
      ])
  }
}
