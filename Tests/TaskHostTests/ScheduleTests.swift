// SPDX-License-Identifier: Apache-2.0
import Config
import Foundation
import HTTPClient
import Redis
@testable import TaskHost
import TaskModel
import TaskStore
import TestSupport
import Testing

/// The loops of several hosts on one Redis, at times that the test chooses.
private final class Hosts {
  let redis: RedisServer
  let store: TaskStore
  let schedules: [Schedule]

  init(_ schedules: String, capacity: Int = 100) throws {
    let config = try Config.parse(
      Array(
        """
        {"plugins": {"p": {"path": "p.so"}},
         "types": {"work": {"executor": "p/run", "queueCapacity": \(capacity)}}, "schedules": \(schedules)}
        """.utf8), file: "config.json", directory: "/", environment: [:])
    self.schedules = Schedule.all(of: config)
    redis = try RedisServer()
    store = TaskStore(address: redis.address, prefix: "roost", name: "test")
    store.start(types: config.definitions)
    try eventually("the store is connected") { store.isConnected }
  }

  deinit {
    store.close()
  }

  func housekeeping() throws -> Housekeeping { try Housekeeping(to: redis.address, keys: store.keys) }

  func loop(start: Timestamp) -> ScheduleLoop { ScheduleLoop(schedules, start: start) }

  func tasks() async throws -> [TaskRecord] {
    var query = TaskQuery()
    query.parts = .params
    return try #require(try await store.page(query)).records
  }
}

extension Timestamp {
  fileprivate init(_ text: String) throws { self = try #require(Timestamp(rfc3339: text)) }
}

@Suite("Schedules")
struct ScheduleTests {
  private static let nightly = #"{"nightly": {"type": "work", "cron": "0 3 * * *", "params": {"n": 1.0}}}"#

  @Test("However many hosts there are, each due time makes one task")
  func once() async throws {
    let hosts = try Hosts(Self.nightly)
    let redis = try hosts.housekeeping()
    let start = try Timestamp("2026-11-24T02:59:00Z")
    var loops = (0..<3).map { _ in hosts.loop(start: start) }
    for index in loops.indices {
      try loops[index].run(redis, now: start)
      #expect(loops[index].nextDue == (try Timestamp("2026-11-24T03:00:00Z")))
    }
    for index in loops.indices { try loops[index].run(redis, now: try Timestamp("2026-11-24T03:00:00.010Z")) }
    // One whose connection broke asks anew.
    loops[1].forget()
    for index in loops.indices { try loops[index].run(redis, now: try Timestamp("2026-11-24T03:00:05Z")) }
    let tasks = try await hosts.tasks()
    #expect(tasks.map(\.status) == [.pending])
    #expect(tasks.first?.params == Array(#"{"n": 1.0}"#.utf8))
    #expect(loops[2].nextDue == (try Timestamp("2026-11-25T03:00:00Z")))
    #expect(try await hosts.store.lastFired(hosts.schedules.map(\.field)) == [try Timestamp("2026-11-24T03:00:00Z")])
    try loops[2].run(redis, now: try Timestamp("2026-11-25T03:00:00Z"))
    #expect(try await hosts.tasks().count == 2)
  }

  @Test("A schedule that nobody knew before has missed nothing", arguments: ["skip", "runOnce"])
  func unknown(missed: String) async throws {
    let hosts = try Hosts(#"{"s": {"type": "work", "cron": "0 3 * * *", "missed": "\#(missed)"}}"#)
    let now = try Timestamp("2026-11-24T12:00:00Z")
    var loop = hosts.loop(start: now)
    try loop.run(try hosts.housekeeping(), now: now)
    #expect(try await hosts.tasks().isEmpty)
    #expect(try await hosts.store.lastFired(hosts.schedules.map(\.field)) == [nil])
  }

  @Test(
    "Due times at which no host was there are skipped, or the last of them is made up for",
    arguments: [("skip", 0), ("runOnce", 1)])
  func missed(policy: String, made: Int) async throws {
    let hosts = try Hosts(#"{"s": {"type": "work", "cron": "*/10 * * * *", "missed": "\#(policy)"}}"#)
    let redis = try hosts.housekeeping()
    let first = try Timestamp("2026-11-24T12:01:00Z")
    var loop = hosts.loop(start: first)
    try loop.run(redis, now: first)
    // The next host starts two hours later, and a few seconds after a due time.
    let second = try Timestamp("2026-11-24T14:00:07Z")
    var later = hosts.loop(start: second)
    try later.run(redis, now: second)
    #expect(try await hosts.tasks().count == made)
    try later.run(redis, now: second)
    #expect(try await hosts.tasks().count == made)
    if made > 0 {
      #expect(try await hosts.store.lastFired(hosts.schedules.map(\.field)) == [try Timestamp("2026-11-24T14:00:00Z")])
    }
  }

  @Test(
    "A host that could not reach Redis for a moment is late, for longer it has missed", arguments: [(30, 1), (90, 0)])
  func late(seconds: Int64, made: Int) async throws {
    let hosts = try Hosts(Self.nightly)
    let redis = try hosts.housekeeping()
    let start = try Timestamp("2026-11-24T02:00:00Z")
    var loop = hosts.loop(start: start)
    try loop.run(redis, now: start)
    loop.forget()
    try loop.run(redis, now: Timestamp(millis: try Timestamp("2026-11-24T03:00:00Z").millis + seconds * 1000))
    #expect(try await hosts.tasks().count == made)
  }

  @Test("A schedule with new times has missed none of them")
  func changed() async throws {
    let hosts = try Hosts(Self.nightly)
    let redis = try hosts.housekeeping()
    var loop = hosts.loop(start: try Timestamp("2026-11-24T02:00:00Z"))
    try loop.run(redis, now: try Timestamp("2026-11-24T02:00:00Z"))
    let other = try Config.parse(
      Array(
        """
        {"plugins": {"p": {"path": "p.so"}}, "types": {"work": {"executor": "p/run"}},
         "schedules": {"nightly": {"type": "work", "cron": "0 4 * * *", "missed": "runOnce"}}}
        """.utf8), file: "config.json", directory: "/", environment: [:])
    var changed = ScheduleLoop(Schedule.all(of: other), start: try Timestamp("2026-11-24T10:00:00Z"))
    try changed.run(redis, now: try Timestamp("2026-11-24T10:00:00Z"))
    #expect(try await hosts.tasks().isEmpty)
  }

  @Test("While as many tasks wait as may, a schedule makes none, and goes on with its next due time")
  func full() async throws {
    let hosts = try Hosts(#"{"s": {"type": "work", "cron": "* * * * *"}}"#, capacity: 1)
    let redis = try hosts.housekeeping()
    let start = try Timestamp("2026-11-24T12:00:30Z")
    var loop = hosts.loop(start: start)
    for minute in Int64(0)...3 { try loop.run(redis, now: Timestamp(millis: start.millis + minute * 60_000)) }
    let tasks = try await hosts.tasks()
    #expect(tasks.count == 1)
    #expect(try await hosts.store.lastFired(hosts.schedules.map(\.field)) == [try Timestamp("2026-11-24T12:01:00Z")])
    _ = try await hosts.store.cancel(tasks[0].id)
    try loop.run(redis, now: Timestamp(millis: start.millis + 240_000))
    #expect(try await hosts.tasks().count { $0.status == .pending } == 1)
  }

  @Test("While Redis has no memory a due time waits, and nothing else does", arguments: [10, 3000])
  func outOfMemory(size: Int) async throws {
    let params = "\"" + String(repeating: "p", count: size) + "\""
    let hosts = try Hosts(#"{"s": {"type": "work", "cron": "0 3 * * *", "params": \#(params)}}"#)
    let redis = try hosts.housekeeping()
    let start = try Timestamp("2026-11-24T02:00:00Z")
    var loop = hosts.loop(start: start)
    try loop.run(redis, now: start)
    let connection = try RedisConnection(to: hosts.redis.address, timeout: .seconds(5))
    _ = try connection.call(RedisCommand(words: "CONFIG", "SET", "maxmemory", "1"))
    let due = try Timestamp("2026-11-24T03:00:00Z")
    try loop.run(redis, now: due)
    #expect(loop.nextDue == Timestamp(millis: due.millis + 1000))
    _ = try redis.beat(host: hosts.store.hostID, types: ["work"], workers: [])
    _ = try connection.call(RedisCommand(words: "CONFIG", "SET", "maxmemory", "0"))
    let later = Timestamp(millis: due.millis + 1000)
    try loop.run(redis, now: later)
    let tasks = try await hosts.tasks()
    #expect(tasks.map(\.params) == [Array(params.utf8)])
    #expect(tasks.map(\.createdAt) == [later], "made when it was made")
    #expect(loop.nextDue == (try Timestamp("2026-11-25T03:00:00Z")))
  }

  @Test(
    "Two hosts on one Redis run the task of a real minute once, and say when the next one is", .timeLimit(.minutes(3)))
  func realMinute() async throws {
    let redis = try RedisServer()
    let config = ["schedules": #"{"each-minute": {"type": "echo", "cron": "* * * * *", "params": {"by": "clock"}}}"#]
    let first = try await HostFixture(config, redis: redis)
    let second = try await HostFixture(config, redis: redis)
    func made() async throws -> [TaskRecord] {
      var query = TaskQuery()
      query.type = "echo"
      query.parts = .params
      return try #require(try await first.store.page(query)).records
    }
    try await eventually(within: .seconds(90), "the minute has come, and its task has run") { () async throws in
      try await made().first?.status == .completed
    }
    let task = try #require(try await made().first)
    #expect(try await first.final(task.id)?.params == Array(#"{"by": "clock"}"#.utf8))
    for host in [first, second] {
      let reply = try host.send("GET", "/v1/schedules")
      let schedule = try #require(try JSONNode.parse(reply.body)["schedules"]?.elements?.first)
      let last = try #require(schedule["lastAt"]?.text.flatMap { Timestamp(rfc3339: $0) })
      let next = try #require(schedule["nextAt"]?.text.flatMap { Timestamp(rfc3339: $0) })
      #expect(last.millis % 60_000 == 0 && next.millis - last.millis == 60_000)
      #expect(abs(task.createdAt.millis - last.millis) < 5_000)
    }
    #expect(try await made().count == 1)
  }
}
