// SPDX-License-Identifier: Apache-2.0
import Redis
import TaskModel
import TaskStore
import TestSupport
import Testing

@Suite("What finished tasks leave in memory", .serialized)
struct FootprintTests {
  private static let kept = 1000

  private func memory(_ fixture: StoreFixture) throws -> Int {
    let text = try fixture.command("INFO", "memory").textValue ?? ""
    let line = try #require(text.split(whereSeparator: \.isNewline).first { $0.hasPrefix("used_memory:") })
    return try #require(Int(line.dropFirst("used_memory:".count)))
  }

  /// Submits tasks and ends them, some with a key, a log, progress, or a large result, as a worker would.
  private func finish(_ count: Int, _ fixture: StoreFixture, _ session: WorkerSession, batch: inout Int64) async throws
  {
    let params = [UInt8].text(100)
    let round = batch
    try await withThrowingTaskGroup(of: Void.self) { group in
      for number in 0..<count {
        group.addTask {
          var submission = Submission(type: "work", params: params)
          if number % 50 == 0 { submission.key = "key \(round) \(number)" }
          _ = try await fixture.store.submit(submission)
        }
      }
      try await group.waitForAll()
    }
    while true {
      batch += 1
      let taken = try session.take(batch, count: 256)
      if taken.isEmpty { return }
      let extra = taken.prefix(5).flatMap { task in
        [
          task.write(.log([Array(#"{"message":"a line"}"#.utf8)])),
          task.write(.progress(Progress(fraction: 0.5, note: "half"))),
        ]
      }
      let ends = taken.enumerated().map { index, task in
        task.write(index == 7 ? .completed(result: .text(2000)) : .completed(result: params))
      }
      _ = try session.write(extra + ends, emptied: [batch])
    }
  }

  /// Commands that a page and the counts make, each with how often.
  private func cost(of fixture: StoreFixture) async throws -> [String] {
    // Where tasks ran is learnt once.
    _ = try await fixture.store.page(TaskQuery())
    try fixture.command("CONFIG", "RESETSTAT")
    let page = try #require(try await fixture.store.page(TaskQuery()))
    #expect(page.records.count == 50)
    _ = try await fixture.store.states(of: ["work"])
    let stats = try fixture.command("INFO", "commandstats").textValue ?? ""
    // Progress stands in keys of its own; how many of the fifty have some is up to chance.
    return stats.split(whereSeparator: \.isNewline).filter { !$0.hasPrefix("cmdstat_get:") }.compactMap {
      $0.split(separator: ",").first.map(String.init)
    }
    .sorted()
  }

  private func trim(_ housekeeping: Housekeeping) throws {
    while try housekeeping.retain(type: "work", list: "done", count: Self.kept, before: Timestamp(millis: 0)) {}
  }

  @Test("After 200,000 finished tasks with a retention of 1,000 Redis is back at the footprint of 1,000")
  func retention() async throws {
    var type = StoreFixture.type
    type.queueCapacity = 1_000_000
    let fixture = try StoreFixture(types: [type])
    let (session, housekeeping) = (try fixture.session(), try fixture.housekeeping())
    var batch: Int64 = 0
    // Twice, so that buffers of connections and scripts are there when it is measured.
    for _ in 0..<2 {
      try await finish(Self.kept, fixture, session, batch: &batch)
      try trim(housekeeping)
    }
    let before = try memory(fixture)
    let cost = try await cost(of: fixture)
    for _ in 0..<20 { try await finish(10_000, fixture, session, batch: &batch) }
    #expect(try await fixture.store.states(of: ["work"])["work"]?.counts[.completed] == 200_000 + Self.kept)
    let full = try memory(fixture)

    // A page and the counts read as much as they did with a thousand.
    #expect(try await self.cost(of: fixture) == cost)

    try trim(housekeeping)
    var after = full
    // Redis shrinks its table of keys by and by.
    try? await eventually(within: .seconds(20), "the footprint is small again") { () async throws in
      after = try memory(fixture)
      return after < before + before / 10
    }
    #expect(after < before + before / 10, "before \(before), full \(full), after \(after)")
    #expect(full > 10 * before)
    let keyspace = try fixture.keyspace()
    #expect(keyspace.records.count == Self.kept)
    #expect(keyspace.differences() == [])
    print("footprint: \(before) bytes with 1,000, \(full) with 201,000, \(after) after trimming")
  }
}
