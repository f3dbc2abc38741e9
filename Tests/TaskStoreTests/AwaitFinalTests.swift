// SPDX-License-Identifier: Apache-2.0
import Redis
import TaskModel
import TaskStore
import TestSupport
import Testing
import Threading

@Suite("Waiting for a task's end")
struct AwaitFinalTests {
  /// Counts calls of a completion.
  private final class Calls: Sendable {
    private let count = Monitor(0)
    func note() { count.withLock { $0 += 1 } }
    var made: Int { count.withLock { $0 } }
  }

  private func isWatched(_ id: TaskID, _ fixture: StoreFixture) throws -> Bool {
    try fixture.keyspace().records[id]?.has(.watched) ?? false
  }

  @Test("It fires when the task is completed, and not before")
  func onCompletion() async throws {
    let fixture = try StoreFixture()
    let id = try await fixture.submit()
    let calls = Calls()
    for _ in 0..<3 { fixture.store.awaitFinal(id, within: .seconds(60)) { calls.note() } }
    try eventually("the task is watched") { try isWatched(id, fixture) }
    let session = try fixture.session()
    let taken = try session.take(1)
    _ = try session.write([taken[0].write(.running(deadline: nil))])
    #expect(calls.made == 0)
    _ = try session.write([taken[0].write(.completed(result: .one))], emptied: [1])
    try eventually("all were told") { calls.made == 3 }
  }

  @Test("It fires for every way to an end", arguments: ["cancel", "settle", "timeout", "fail"])
  func everyEnd(way: String) async throws {
    let fixture = try StoreFixture()
    let id = try await fixture.submit()
    let calls = Calls()
    fixture.store.awaitFinal(id, within: .seconds(60)) { calls.note() }
    try eventually("the task is watched") { try isWatched(id, fixture) }
    let session = try fixture.session()
    switch way {
    case "cancel": _ = try await fixture.store.cancel(id)
    case "fail": _ = try session.write([try session.take(1)[0].write(.failed(.broken))])
    default:
      _ = try session.write([try session.take(1)[0].write(.detached(deadline: Timestamp(millis: 1000)))], emptied: [1])
      if way == "settle" { _ = try await fixture.store.settle(id, .completed(result: .one)) }
      _ = try fixture.housekeeping().beat(host: fixture.store.hostID, types: ["work"], workers: [])
    }
    try eventually("it was told") { calls.made == 1 }
  }

  @Test("It fires at once when the task is final or unknown, and after the limit when nothing happens")
  func atOnceOrLate() async throws {
    let fixture = try StoreFixture()
    let id = try await fixture.submit()
    await fixture.store.awaitFinal(id, within: .milliseconds(150))
    #expect(try await fixture.store.getStatus(id) == .pending)
    _ = try await fixture.store.cancel(id)
    await fixture.store.awaitFinal(id, within: .seconds(600))
    await fixture.store.awaitFinal(TaskID(high: 1, low: 0), within: .seconds(600))
  }

  @Test("It fires although the connection that carries the news broke, even if the task ended meanwhile")
  func afterBrokenConnection() async throws {
    let fixture = try StoreFixture()
    let ids = [try await fixture.submit(), try await fixture.submit()]
    let calls = Calls()
    for id in ids { fixture.store.awaitFinal(id, within: .seconds(600)) { calls.note() } }
    for id in ids { try eventually("the task is watched") { try isWatched(id, fixture) } }
    let session = try fixture.session()
    let taken = try session.take(1)
    try fixture.command("CLIENT", "KILL", "TYPE", "pubsub")
    _ = try session.write([taken[0].write(.completed(result: .one))])
    try eventually("the first was told") { calls.made == 1 }
    try eventually("the store listens again") {
      try fixture.command("PUBSUB", "NUMSUB", fixture.store.keys.finalChannel).arrayValue?.last == .integer(1)
    }
    _ = try session.write([taken[1].write(.completed(result: .one))], emptied: [1])
    try eventually("the second was told") { calls.made == 2 }
  }

  @Test("It fires when the store is closed")
  func onClose() async throws {
    let fixture = try StoreFixture()
    let id = try await fixture.submit()
    let calls = Calls()
    fixture.store.awaitFinal(id, within: .seconds(600)) { calls.note() }
    fixture.store.close()
    #expect(calls.made == 1)
    fixture.store.awaitFinal(id, within: .seconds(600)) { calls.note() }
    #expect(calls.made == 2)
  }
}
