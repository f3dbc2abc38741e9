// SPDX-License-Identifier: Apache-2.0
import Redis
import TaskModel
import TaskStore
import TestSupport
import Testing

@Suite("Tasks that have ended")
struct FinishedTaskTests {
  /// Fails `count` tasks, every second of them by a timeout.
  private func fail(_ count: Int, _ fixture: StoreFixture, type: String = "work") async throws -> [TaskID] {
    var ids: [TaskID] = []
    for _ in 0..<count { ids.append(try await fixture.submit(type: type)) }
    let session = try fixture.session()
    var batch: Int64 = 0
    repeat {
      batch += 1
      let taken = try session.take(batch, count: 256, type: type)
      if taken.isEmpty {
        try fixture.housekeeping().reap(session.worker)
        return ids
      }
      let writes = taken.map { task in
        let isLate = (ids.firstIndex(of: task.id) ?? 0) % 2 == 0
        return task.write(
          .failed(TaskError(kind: isLate ? .timeout : .exception, message: "no")), callsHandler: type == "telling")
      }
      _ = try session.write(writes, emptied: type == "telling" ? [] : [batch])
    } while true
  }

  @Test("Failed tasks of a type are retried by the kind of their error, however many")
  func retryByKind() async throws {
    let fixture = try StoreFixture()
    let ids = try await fail(600, fixture)
    let cancelled = try await fixture.submit()
    _ = try await fixture.store.cancel(cancelled)
    #expect(try await fixture.store.retry(.failed(type: "work", kind: .timeout)) == 300)
    #expect(try await fixture.store.retry(.failed(type: "work", kind: .timeout)) == 0)
    let statuses = try await fixture.store.getStatusMap(ids)
    for (index, id) in ids.enumerated() { #expect(statuses[id] == (index % 2 == 0 ? .pending : .failed)) }
    #expect(try await fixture.store.retry(.failed(type: "work", kind: nil)) == 300)
    #expect(try await fixture.store.getStatus(cancelled) == .cancelled)
    #expect(try fixture.keyspace().differences() == [])
  }

  @Test("Failed tasks of a type are deleted by the kind of their error, and leave nothing behind")
  func deleteByKind() async throws {
    let fixture = try StoreFixture()
    let ids = try await fail(600, fixture)
    #expect(try await fixture.store.delete(.failed(type: "work", kind: .exception)) == 300)
    #expect(try await fixture.store.delete(.tasks([ids[0], ids[1], ids[0]])) == 1)
    #expect(try await fixture.store.delete(.failed(type: "work", kind: nil)) == 299)
    // The entries of what was deleted go with the next round of retention, although no task is too old or too much.
    let housekeeping = try fixture.housekeeping()
    let report = try housekeeping.beat(host: fixture.store.hostID, types: ["work"], workers: [])
    let list = try #require(report.finished.first { $0.name == "dead" })
    #expect(list.oldest == nil && list.count == 0)
    while try housekeeping.retain(type: "work", list: "dead", count: 1000, before: Timestamp(millis: 0)) {}
    #expect(try fixture.keyspace().ofTasks == [])
  }

  @Test("A task's log lines keep their order and the last hundred, over all attempts, and go with the task")
  func log() async throws {
    let fixture = try StoreFixture()
    let id = try await fixture.submit()
    let session = try fixture.session()
    func lines(_ numbers: Range<Int>) -> [[UInt8]] { numbers.map { Array(#"{"message":"\#($0)"}"#.utf8) } }
    let taken = try session.take(1)
    let first = taken[0].write(.log(lines(0..<70)))
    #expect(try session.write([first]) == [.written])
    #expect(try session.write([first]) == [.written], "a repeat of a call whose answer was lost adds nothing")
    let again = TaskWrite.Operation.retry(.broken, at: Timestamp(millis: 1000))
    _ = try session.write([taken[0].write(.log(lines(70..<90))), taken[0].write(again)], emptied: [1])
    _ = try fixture.housekeeping().beat(host: fixture.store.hostID, types: ["work"], workers: [])
    let second = try session.take(2)
    _ = try session.write(
      [second[0].write(.log(lines(90..<130))), second[0].write(.completed(result: .one))], emptied: [2])
    #expect(try session.write([second[0].write(.log(lines(0..<1)))]) == [.refused], "it is over")
    let record = try #require(try await fixture.store.record(id))
    #expect(record.log == lines(30..<130))
    #expect(record.status == .completed)
    #expect(try await fixture.store.records([id], parts: [.result])[0]?.log == [])
    try await fixture.store.delete(id)
    #expect(try fixture.keyspace().ofTasks.filter { $0.hasPrefix("l:") } == [])
  }

  @Test("A handler that was given up is called again, with all its tries, and lists show which were")
  func recall() async throws {
    let fixture = try StoreFixture(types: [StoreFixture.type, StoreFixture.telling])
    let store = fixture.store
    let ids = try await fail(4, fixture, type: "telling")
    await #expect(throws: TaskStoreError.handlerPending(ids[0])) { _ = try await store.callHandler(ids[0]) }
    let worker = try TestWorker(fixture)
    try worker.take("telling", handlers: true)
    try worker.write { $0.task.id == ids[3] ? .handlerDelivered : .handlerFailed("no answer") }
    var query = TaskQuery()
    query.onlyFailedHandlers = true
    #expect(try await store.page(query)?.records.map(\.id) == [ids[2], ids[1], ids[0]])
    #expect(try await store.callHandler(ids[1]) == .failed)
    #expect(try await store.callHandler(ids[3]) == .failed, "a delivered one, too")
    #expect(try await store.page(query)?.records.map(\.id) == [ids[2], ids[0]])
    let calls = try worker.take("telling", handlers: true)
    #expect(calls.map(\.id) == [ids[1], ids[3]])
    #expect(calls[0].record.handlerAttempts == 0)
    try worker.write { _ in .handlerDelivered }
    #expect(try await store.record(ids[1])?.handler.phase == .delivered)
    let plain = try await fail(1, fixture)
    await #expect(throws: TaskStoreError.noHandler(plain[0], status: .failed)) {
      _ = try await store.callHandler(plain[0])
    }
    let waiting = try await fixture.submit()
    await #expect(throws: TaskStoreError.forbidden(waiting, status: .pending)) {
      _ = try await store.callHandler(waiting)
    }
  }

  @Test("A page and the counts are one round trip each, whatever the filter")
  func oneRoundTrip() async throws {
    let redis = try RedisServer()
    let proxy = try RedisProxy(redis)
    let fixture = try StoreFixture(on: redis, at: proxy.address, types: [StoreFixture.type, StoreFixture.telling])
    _ = try await fail(20, fixture)
    for priority in [TaskPriority.high, .normal, .low] { _ = try await fixture.submit { $0.priority = priority } }
    // Where tasks ran is learnt once.
    _ = try await fixture.store.page(TaskQuery())
    for status in [nil, TaskStatus.failed, .pending, .scheduled, .completed] {
      var query = TaskQuery()
      query.status = status
      _ = proxy.takeLog()
      let page = try #require(try await fixture.store.page(query))
      #expect(proxy.takeLog().requests.count == 1, "\(status as Any)")
      #expect(page.records.count == (status == nil ? 23 : status == .failed ? 20 : status == .pending ? 3 : 0))
    }
    _ = proxy.takeLog()
    _ = try await fixture.store.states(of: ["work"])
    #expect(proxy.takeLog().requests.count == 2, "HMGET and HEXISTS, sent together")
  }
}
