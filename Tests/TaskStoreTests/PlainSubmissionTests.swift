// SPDX-License-Identifier: Apache-2.0
import Redis
import TaskModel
import TaskStore
import TestSupport
import Testing
import Threading

@Suite("Submissions past the script")
struct PlainSubmissionTests {
  private func proxied() throws -> (proxy: RedisProxy, fixture: StoreFixture) {
    let redis = try RedisServer()
    let proxy = try RedisProxy(redis)
    let fixture = try StoreFixture(on: redis, at: proxy.address, types: [StoreFixture.type, StoreFixture.telling])
    let none = Housekeeping.Backlog(pending: 0, scheduled: 0)
    fixture.store.note(["work": none, "telling": none])
    _ = proxy.takeLog()
    return (proxy, fixture)
  }

  private func names(_ proxy: RedisProxy) -> [String] {
    proxy.takeLog().requests.map { $0.script?.rawValue ?? $0.name }
  }

  private let past = ["MULTI", "MSETNX", "RPUSH", "submitted", "EXEC"]

  /// Every id that was answered is stored and in its queue once, and nothing else is.
  private func check(_ fixture: StoreFixture, _ ids: [TaskID], once: Bool = true) throws {
    let keyspace = try fixture.keyspace()
    let queue = keyspace.places["q"] ?? []
    #expect(Set(keyspace.records.keys) == Set(ids))
    #expect(once ? queue.sorted() == ids.sorted() : Set(queue) == Set(ids))
    #expect(keyspace.lost() == [])
    #expect(keyspace.differences() == [])
    #expect(keyspace.everything.keys.allSatisfy { !$0.hasPrefix("new:") })
  }

  @Test("Plain tasks are stored by a transaction; others, and all where a type may be full, by the script")
  func chooses() async throws {
    let (proxy, fixture) = try proxied()
    var ids = [try await fixture.submit()]
    #expect(names(proxy) == past)
    ids.append(
      try await fixture.submit {
        $0.trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
        $0.timeout = .seconds(1)
      })
    #expect(names(proxy) == past)
    for more: @Sendable (inout Submission) -> Void in [
      { $0.priority = .low }, { $0.key = "k" }, { $0.expires = .after(.seconds(60)) },
      { $0.due = .after(.seconds(60)) },
    ] {
      _ = try await fixture.submit(more)
      #expect(names(proxy) == ["submit"])
    }
    ids.append(try await fixture.submit(String(decoding: [UInt8].text(2000), as: UTF8.self)))
    #expect(names(proxy) == past)
    fixture.store.note(["work": .init(pending: StoreFixture.type.queueCapacity, scheduled: 0)])
    _ = try await fixture.submit()
    #expect(names(proxy) == ["submit"])
    #expect(try fixture.keyspace().lost() == [])
    #expect(try fixture.keyspace().differences() == [])
    let queue = try fixture.keyspace().places["q"] ?? []
    #expect(queue.filter(Set(ids).contains) == ids)
  }

  /// Params that stand in the record, and such that have a key of their own.
  private static let params = ["1", String(decoding: [UInt8].text(2000), as: UTF8.self)]

  @Test(
    "What a transaction has stored is counted and woken for, also when Redis has forgotten the script in it",
    arguments: params)
  func forgotten(_ params: String) async throws {
    let (proxy, fixture) = try proxied()
    try fixture.command("SCRIPT", "FLUSH")
    let id = try await fixture.submit(params)
    #expect(names(proxy) == past)
    try check(fixture, [id])
    #expect(try fixture.command("LLEN", fixture.store.keys.wake("work")) == .integer(1))
    let second = try await fixture.submit()
    try check(fixture, [id, second])
  }

  @Test("When Redis is full, a transaction is refused and leaves nothing", arguments: params)
  func full(_ params: String) async throws {
    let (proxy, fixture) = try proxied()
    try fixture.command("CONFIG", "SET", "maxmemory", "1")
    await #expect(throws: TaskStoreError.outOfMemory) { try await fixture.submit(params) }
    #expect(names(proxy) == past)
    try check(fixture, [])
    try fixture.command("CONFIG", "SET", "maxmemory", "0")
    try check(fixture, [try await fixture.submit()])
  }

  @Test("A host that was forgotten stores its tasks under a new name, and once")
  func forgottenHost() async throws {
    let (proxy, fixture) = try proxied()
    let first = try await fixture.submit()
    try fixture.housekeeping().reap(fixture.store.hostID)
    _ = proxy.takeLog()
    let second = try await fixture.submit()
    #expect(names(proxy).contains("submitted"))
    try check(fixture, [first, second])
  }

  @Test(
    "Wherever the connection breaks, each task that was answered is stored once", arguments: 0..<5,
    [RedisProxy.Verdict.loseRequest, .loseAnswer, .cutAnswer])
  func breaks(at point: Int, how verdict: RedisProxy.Verdict) async throws {
    let (proxy, fixture) = try proxied()
    let first = try await fixture.submit()
    let count = Monitor(0)
    proxy.intercept { _ in
      let number = count.withLock { count in
        defer { count += 1 }
        return count
      }
      return number == point ? verdict : .pass
    }
    let second = try await fixture.submit(type: "telling")
    proxy.intercept(nil)
    try check(fixture, [first, second])
  }

  /// What becomes of a full call while the next is written already.
  enum Mishap: CaseIterable {
    case none, lostRequest, lostAnswer, forgottenScript
  }

  @Test(
    "A call that was written while another was under way follows it, whatever became of that",
    arguments: Mishap.allCases,
    [TaskPriority.normal, .high])
  func writtenAhead(_ mishap: Mishap, _ priority: TaskPriority) async throws {
    let (proxy, fixture) = try proxied()
    let count = 1 + 3 * 256
    let receipts = Monitor([Int: Result<Receipt, TaskStoreError>]())
    let haveAllCome = Monitor(false)
    let calls = Monitor(0)
    proxy.intercept { request in
      // Plain tasks are stored by a transaction, others by the script.
      guard request.name == "EXEC" || request.script == .submit else { return .pass }
      let number = calls.withLock { calls in
        calls += 1
        return calls
      }
      // Until all have come, so that the calls after the first are full.
      if number == 1 { haveAllCome.wait { $0 ? true : nil } }
      guard number == 2 else { return .pass }
      switch mishap {
      case .none: return .pass
      case .lostRequest: return .loseRequest
      case .lostAnswer: return .loseAnswer
      case .forgottenScript:
        _ = try? fixture.command("SCRIPT", "FLUSH")
        return .pass
      }
    }
    for index in 0..<count {
      var submission = Submission(type: "work", params: Array("\(index)".utf8))
      submission.priority = priority
      fixture.store.submit(submission) { result in
        receipts.withLock { $0[index] = result }
        receipts.signal()
      }
    }
    haveAllCome.withLock { $0 = true }
    haveAllCome.broadcast()
    try eventually("all are stored") { receipts.withLock { $0.count } == count }
    proxy.intercept(nil)
    let ids = (0..<count).map { index in receipts.withLock { try? $0[index]?.get().id } }
    if mishap == .none { #expect(calls.withLock { $0 } == 4, "all but the first are full") }
    let queue = fixture.store.keys.prefix + (priority == .high ? "qh:work" : "q:work")
    let waiting = try #require(try fixture.command("LRANGE", queue, "0", "-1").arrayValue).map(\.textValue)
    let areAllInOrder = waiting == ids.map { $0.map(fixture.store.keys.record) }
    #expect(areAllInOrder)
    let keyspace = try fixture.keyspace()
    #expect(keyspace.records.count == count)
    #expect(keyspace.differences() == [])
  }

  @Test(
    "A transaction that comes after its own repeat stores nothing, even where the task was deleted since",
    arguments: params)
  func late(_ params: String) async throws {
    for isDeleted in [false, true] {
      let (proxy, fixture) = try proxied()
      proxy.spoilNext(.submitted, .delay)
      let id = try await fixture.submit(params)
      if isDeleted {
        _ = try await fixture.store.cancel(id, within: .zero)
        try await fixture.store.delete(id)
        try fixture.retainNothing()
      }
      let answers = try proxy.deliverLate()
      #expect(answers.last?.hasPrefix("*3\r\n:\(isDeleted ? 1 : 0)\r\n") == true, "\(answers)")
      #expect(try fixture.keyspace().records.count == (isDeleted ? 0 : 1))
      #expect(try fixture.keyspace().lost() == [])
      #expect(try fixture.keyspace().differences() == [])
      #expect(try fixture.keyspace().everything.keys.allSatisfy { !$0.hasPrefix("new:") })
      let session = try fixture.session()
      #expect(try session.take(1).map(\.id) == (isDeleted ? [] : [id]))
    }
  }

  @Test("Where a command of the transaction fails, its tasks are not said to be stored")
  func failingCommand() async throws {
    let (_, fixture) = try proxied()
    try fixture.command("SET", "\(fixture.store.keys.prefix)q:work", "not a list")
    await #expect(throws: TaskStoreError.self) { try await fixture.submit() }
    #expect(try fixture.command("HGET", fixture.store.keys.submits, fixture.store.hostID) == .bulk(Array("0".utf8)))
    try fixture.command("DEL", "\(fixture.store.keys.prefix)q:work")
    try eventually("the store is connected again") { fixture.store.isConnected }
    let id = try await fixture.submit()
    #expect(try fixture.session().take(1).map(\.id) == [id])
  }
}
