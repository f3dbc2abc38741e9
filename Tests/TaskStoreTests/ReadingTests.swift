// SPDX-License-Identifier: Apache-2.0
import Redis
import TaskModel
import TaskStore
import TestSupport
import Testing

private struct Sum: Codable, Equatable, Sendable { var a: Int }

@Suite("Reading and settling tasks")
struct ReadingTests {
  private let unknown = TaskID(high: 1, low: 0)

  @Test("An id that was never stored is nobody's, in every operation")
  func unknownID() async throws {
    let fixture = try StoreFixture()
    let store = fixture.store
    #expect(try await store.record(unknown) == nil)
    #expect(try await store.getStatus(unknown) == nil)
    #expect(try await store.getStatusMap([unknown]) == [:])
    #expect(try await store.getResult(unknown, as: Sum.self) == nil)
    await #expect(throws: TaskStoreError.unknownTask(unknown)) { try await store.resultBytes(unknown) }
    await #expect(throws: TaskStoreError.unknownTask(unknown)) { try await store.cancel(unknown) }
    await #expect(throws: TaskStoreError.unknownTask(unknown)) { try await store.retry(unknown) }
    await #expect(throws: TaskStoreError.unknownTask(unknown)) { try await store.delete(unknown) }
    await #expect(throws: TaskStoreError.unknownTask(unknown)) {
      try await store.updateStatus(unknown, to: .completed, error: nil)
    }
  }

  @Test("A type that nobody runs, and params that are too large, are refused")
  func refusedSubmissions() async throws {
    var small = StoreFixture.type
    small.maxParams = 10
    let fixture = try StoreFixture(types: [small])
    await #expect(throws: TaskStoreError.unknownType("other")) { try await fixture.submit(type: "other") }
    await #expect(throws: TaskStoreError.tooLarge(what: "params", bytes: 12, limit: 10)) {
      try await fixture.submit("\"0123456789\"")
    }
    #expect(try fixture.keyspace().ofTasks == [])
  }

  @Test("Statuses and results of many tasks come in one map, without those that are missing")
  func maps() async throws {
    let fixture = try StoreFixture()
    let store = fixture.store
    var ids: [TaskID] = []
    for number in 0..<3 { ids.append(try await store.asyncExecute("work", params: Sum(a: number))) }
    let session = try fixture.session()
    let taken = try session.take(1, count: 2)
    #expect(taken.map { Array($0.record.params) } == [Array(#"{"a":0}"#.utf8), Array(#"{"a":1}"#.utf8)])
    _ = try session.write(
      [taken[0].write(.completed(result: Array(#"{"a":7}"#.utf8))), taken[1].write(.failed(.broken))], emptied: [1])
    let statuses = try await store.getStatusMap(ids + [unknown])
    #expect(statuses == [ids[0]: .completed, ids[1]: .failed, ids[2]: .pending])
    #expect(try await store.getResultMap(ids + [unknown], as: Sum.self) == [ids[0]: Sum(a: 7)])
    let all = try await store.getAllStatus(after: nil).statuses
    #expect(all == statuses)
    await #expect(throws: TaskStoreError.forbidden(ids[2], status: .pending)) { try await store.resultBytes(ids[2]) }
    await #expect(throws: TaskStoreError.noResult(ids[1], status: .failed, error: TaskError.broken.json)) {
      try await store.resultBytes(ids[1])
    }
  }

  @Test("Only a detached task can be finished from outside; any other is left alone and its status told")
  func settling() async throws {
    let fixture = try StoreFixture(types: [StoreFixture.telling])
    let store = fixture.store
    let id = try await fixture.submit(type: "telling")
    await #expect(throws: TaskStoreError.forbidden(id, status: .pending)) { try await store.settle(id, .cancelled) }
    let session = try fixture.session()
    let taken = try session.take(1, type: "telling")
    _ = try session.write([taken[0].write(.running(deadline: nil))])
    await #expect(throws: TaskStoreError.forbidden(id, status: .inProgress)) {
      try await store.saveResult(id, Sum(a: 1))
    }
    _ = try session.write([taken[0].write(.detached(deadline: Timestamp(millis: 4_000_000_000_000)))], emptied: [1])
    let detached = try #require(try await store.record(id))
    #expect(detached.isDetached && detached.status == .inProgress)
    #expect(detached.deadline == Timestamp(millis: 4_000_000_000_000))
    try await store.saveResult(id, Sum(a: 1))
    #expect(try await store.getResult(id, as: Sum.self) == Sum(a: 1))
    #expect(try await store.record(id)?.handler.phase == .pending, "its callback is to be called")
    await #expect(throws: TaskStoreError.forbidden(id, status: .completed)) {
      try await store.updateStatus(id, to: .failed, error: nil)
    }
    #expect(try session.take(2, type: "telling", handlers: true).map(\.id) == [id])
    #expect(try fixture.keyspace().differences() == [])
  }

  @Test(
    "A detached task that nobody finishes fails with a timeout, and its exception handler is called",
    arguments: [true, false])
  func deadline(hasHandler: Bool) async throws {
    let type = hasHandler ? StoreFixture.telling : StoreFixture.type
    let fixture = try StoreFixture(types: [type])
    let id = try await fixture.submit(type: type.name)
    let session = try fixture.session()
    let taken = try session.take(1, type: type.name)
    _ = try session.write([taken[0].write(.detached(deadline: Timestamp(millis: 1000)))], emptied: [1])
    _ = try fixture.housekeeping().beat(host: fixture.store.hostID, types: [type.name], workers: [])
    let record = try #require(try await fixture.store.record(id))
    #expect(record.status == .failed)
    let error = try JSONNode.parse(try #require(record.error))
    #expect(error["kind"]?.text == "timeout")
    #expect(record.handler.phase == (hasHandler ? .pending : .none))
    #expect(try session.take(2, type: type.name, handlers: true).map(\.id) == (hasHandler ? [id] : []))
    #expect(try fixture.keyspace().lost() == [])
    #expect(try fixture.keyspace().differences() == [])
  }

  @Test("A retry keeps the error until the next attempt ends, and a manual retry starts from nothing")
  func retries() async throws {
    let fixture = try StoreFixture()
    let store = fixture.store
    let id = try await fixture.submit()
    let session = try fixture.session()
    var taken = try session.take(1)
    _ = try session.write([taken[0].write(.retry(.broken, at: Timestamp(millis: 1000)))], emptied: [1])
    #expect(try await store.getStatus(id) == .scheduled)
    #expect(try await store.record(id)?.dueAt == Timestamp(millis: 1000))
    let housekeeping = try fixture.housekeeping()
    _ = try housekeeping.beat(host: store.hostID, types: ["work"], workers: [])
    #expect(try await store.getStatus(id) == .pending)
    taken = try session.take(2)
    #expect(taken[0].record.attempts == 1)
    #expect(try await store.record(id)?.error == TaskError.broken.json)
    _ = try session.write([taken[0].write(.progress(Progress(fraction: 0.5, note: "half")))])
    #expect(try await store.record(id)?.progress?.fraction == 0.5)
    _ = try session.write([taken[0].write(.failed(.broken))], emptied: [2])
    let failed = try #require(try await store.record(id))
    #expect(failed.status == .failed && failed.attempts == 2 && failed.finishedAt != nil)
    try await store.retry(id)
    let fresh = try #require(try await store.record(id))
    #expect(fresh.status == .pending && fresh.attempts == 0 && fresh.error == nil && fresh.progress == nil)
    #expect(fresh.finishedAt == nil && fresh.startedAt == nil)
    #expect(fresh.createdAt == failed.createdAt)
    await #expect(throws: TaskStoreError.forbidden(id, status: .pending)) { try await store.retry(id) }
  }

  @Test("A cancel that is asked for is told in the record and obeyed by whoever lets go of the task")
  func cancelIsObeyed() async throws {
    let fixture = try StoreFixture()
    let store = fixture.store
    for _ in 0..<4 { _ = try await fixture.submit() }
    let worker = RandomID.make()
    let session = try fixture.session(worker)
    let taken = try session.take(1)
    for task in taken { #expect(try await store.cancel(task.id, within: .zero) == .pending) }
    #expect(try await store.record(taken[0].id)?.cancelRequestedAt != nil)
    let writes: [TaskWrite.Operation] = [
      .givenBack, .failed(.broken), .retry(.broken, at: Timestamp(millis: 1000)),
    ]
    _ = try session.write(zip(taken, writes).map { $0.write($1) })
    try fixture.housekeeping().reap(worker)
    for task in taken { #expect(try await store.getStatus(task.id) == .cancelled) }
    #expect(try fixture.keyspace().unfinished == [])
  }

  @Test("Params, result and status can be read without Roost, as docs/store.md says", arguments: [10, 3000])
  func documentedFormat(size: Int) async throws {
    let fixture = try StoreFixture()
    let (params, result) = ([UInt8].text(size), [UInt8].text(size + 1))
    let submission = Submission(
      type: "work", params: params, trace: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
    let id = try await fixture.store.submit(submission).id
    let session = try fixture.session()
    _ = try session.write([try session.take(1)[0].write(.completed(result: result))], emptied: [1])
    func get(_ key: String) throws -> [UInt8] { try #require(try fixture.command("GET", key).bulkValue) }
    func number(_ bytes: ArraySlice<UInt8>) -> Int { bytes.reversed().reduce(0) { $0 << 8 | Int($1) } }
    let record = try get("roost:{00}:t:\(id)")
    #expect(record[0] == UInt8(ascii: "1"))
    #expect(record[1] == UInt8(ascii: "C"))
    let start = 90 + Int(record[50]) + number(record[64..<66])
    let (count, outcomeCount) = (number(record[60..<64]), number(record[16..<20]))
    let outcome = Array(record[(start + count)..<(start + count + outcomeCount)])
    let inline = Array(record[start..<(start + count)])
    #expect(try params == (record[4] & 1 == 0 ? inline : get("roost:{00}:p:\(id)")))
    let name = String(decoding: outcome.prefix { $0 != 32 }, as: UTF8.self)
    #expect(try result == (record[4] & 2 == 0 ? outcome : get("roost:{00}:r:\(id):\(name)")))
    #expect(try number(record[26..<32]) - Int(fixture.now().millis) > -60_000)
  }

  @Test("What a task was run by is told with its record")
  func origin() async throws {
    let fixture = try StoreFixture()
    let id = try await fixture.submit()
    let session = try fixture.session()
    let taken = try session.take(1)
    _ = try session.write([taken[0].write(.running(deadline: nil))])
    let record = try #require(try await fixture.store.record(id))
    #expect(record.origin == StoreFixture.origin)
    #expect(record.status == .inProgress)
    #expect(record.startedAt != nil)
  }
}
