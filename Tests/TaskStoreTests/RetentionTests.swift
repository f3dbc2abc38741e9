// SPDX-License-Identifier: Apache-2.0
import TaskModel
import TaskStore
import TestSupport
import Testing

@Suite("Retention")
struct RetentionTests {
  private let never = Timestamp(millis: 0)

  /// Completes as many tasks as there are ids, one after the other.
  private func finish(
    _ count: Int, _ fixture: StoreFixture, _ operation: TaskWrite.Operation, type: String = "work"
  ) async throws -> [TaskID] {
    var ids: [TaskID] = []
    for _ in 0..<count { ids.append(try await fixture.submit(type: type)) }
    let session = try fixture.session()
    let taken = try session.take(1, count: 256, type: type)
    _ = try session.write(taken.map { $0.write(operation, callsHandler: type == "telling") }, emptied: [1])
    return ids
  }

  private func kept(_ ids: [TaskID], _ fixture: StoreFixture) async throws -> [TaskID] {
    zip(ids, try await fixture.store.statuses(ids)).filter { $0.1 != nil }.map(\.0)
  }

  @Test("Of too many tasks the oldest go, of completed ones and of the others each by itself")
  func byCount() async throws {
    let fixture = try StoreFixture()
    let done = try await finish(5, fixture, .completed(result: .one))
    let dead = try await finish(3, fixture, .failed(.broken))
    let housekeeping = try fixture.housekeeping()
    #expect(try housekeeping.retain(type: "work", list: "done", count: 2, before: never) == false)
    #expect(try housekeeping.retain(type: "work", list: "dead", count: 2, before: never) == false)
    #expect(try await kept(done, fixture) == Array(done.suffix(2)))
    #expect(try await kept(dead, fixture) == Array(dead.suffix(2)))
    #expect(try fixture.keyspace().differences() == [])
  }

  @Test("Tasks that finished before the time go, those after it stay")
  func byAge() async throws {
    let fixture = try StoreFixture()
    let old = try await finish(3, fixture, .completed(result: .one))
    let finishedAt = try #require(try await fixture.store.record(old[2])?.finishedAt)
    let border = Timestamp(millis: finishedAt.millis + 1)
    try fixture.nextMillisecond()
    let new = try await finish(2, fixture, .completed(result: .one))
    _ = try fixture.housekeeping().retain(type: "work", list: "done", count: 100, before: border)
    #expect(try await kept(old + new, fixture) == new)
  }

  @Test("A task whose handler is still to be called stays, and so does its entry")
  func pendingHandler() async throws {
    let fixture = try StoreFixture(types: [StoreFixture.telling])
    let ids = try await finish(2, fixture, .completed(result: .one), type: "telling")
    let housekeeping = try fixture.housekeeping()
    // The batch was named as emptied, but its calls are pending: a comparison moves them to the handler queue.
    #expect(try housekeeping.retain(type: "telling", list: "done", count: 0, before: never) == false)
    #expect(try await kept(ids, fixture) == ids)
    #expect(try fixture.keyspace().lost() == [])
    let finisher = try TestWorker(fixture)
    try fixture.finishAll(finisher, gone: Array(fixture.keyspace().leases.keys.filter { $0 != finisher.id }))
    _ = try housekeeping.retain(type: "telling", list: "done", count: 0, before: never)
    #expect(try fixture.keyspace().ofTasks == [])
  }

  @Test("Very many tasks with pending handlers are not moved round for ever")
  func manyPending() async throws {
    let fixture = try StoreFixture(types: [StoreFixture.telling])
    for _ in 0..<2 { _ = try await finish(256, fixture, .completed(result: .one), type: "telling") }
    let housekeeping = try fixture.housekeeping()
    var rounds = 0
    while try housekeeping.retain(type: "telling", list: "done", count: 0, before: never), rounds < 10 { rounds += 1 }
    #expect(rounds < 10)
    #expect(try fixture.keyspace().lost() == [])
  }

  @Test("The entry of an earlier life of a task removes nothing but itself")
  func manualRetry() async throws {
    let fixture = try StoreFixture()
    let ids = try await finish(1, fixture, .failed(.broken))
    try await fixture.store.retry(ids[0])
    let housekeeping = try fixture.housekeeping()
    _ = try housekeeping.retain(type: "work", list: "dead", count: 0, before: never)
    #expect(try await fixture.store.getStatus(ids[0]) == .pending)
    let session = try fixture.session()
    let taken = try session.take(1)
    _ = try session.write([taken[0].write(.failed(.broken))], emptied: [1])
    #expect(try fixture.keyspace().lost() == [])
    try await fixture.store.retry(ids[0])
    let again = try session.take(2)
    _ = try session.write([again[0].write(.failed(.broken))], emptied: [2])
    // Of its three lives only the last one's entry counts.
    #expect(try fixture.keyspace().finished.map(\.round) == [1, 2])
    _ = try housekeeping.retain(type: "work", list: "dead", count: 1, before: never)
    #expect(try await fixture.store.getStatus(ids[0]) == .failed)
    _ = try housekeeping.retain(type: "work", list: "dead", count: 0, before: never)
    #expect(try fixture.keyspace().ofTasks == [])
  }

  @Test("Deleted tasks do not count: as many as configured stay")
  func deletedDoNotCount() async throws {
    let fixture = try StoreFixture()
    let ids = try await finish(10, fixture, .completed(result: .one))
    for id in ids.suffix(6) { try await fixture.store.delete(id) }
    let housekeeping = try fixture.housekeeping()
    _ = try housekeeping.retain(type: "work", list: "done", count: 5, before: never)
    #expect(try await kept(ids, fixture) == Array(ids.prefix(4)))
    let report = try housekeeping.beat(host: fixture.store.hostID, types: ["work"], workers: [])
    #expect(report.finished.first { $0.name == "done" }?.count == 4)
    #expect(report.finished.first { $0.name == "done" }?.oldest != nil)
  }

  @Test("More than one call may remove goes in several")
  func manySteps() async throws {
    let fixture = try StoreFixture()
    for _ in 0..<3 { _ = try await finish(200, fixture, .completed(result: .one)) }
    let housekeeping = try fixture.housekeeping()
    var calls = 1
    while try housekeeping.retain(type: "work", list: "done", count: 0, before: never) { calls += 1 }
    #expect(calls == 3)
    #expect(try fixture.keyspace().ofTasks == [])
  }
}
