// SPDX-License-Identifier: Apache-2.0
import Redis
import TaskModel
import TaskStore
import TestSupport
import Testing
import Threading

/// Counts calls of a completion.
private final class Calls: Sendable {
  private let count = Monitor(0)
  func note() { count.withLock { $0 += 1 } }
  var made: Int { count.withLock { $0 } }
}

private func isWatched(_ id: TaskID, _ fixture: StoreFixture) throws -> Bool {
  try fixture.keyspace().records[id]?.has(.watched) ?? false
}

@Suite("Waiting for a task's end")
struct AwaitFinalTests {
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

@Suite("Submitting a task and waiting for its end in one call")
struct SubmittedAndAwaitedTests {
  private func listens(_ fixture: StoreFixture) throws {
    try eventually("the store listens") {
      try fixture.command("PUBSUB", "NUMSUB", fixture.store.keys.finalChannel).arrayValue?.last == .integer(1)
    }
  }

  /// Submits one; `calls` counts when its end is told.
  private func submit(
    _ fixture: StoreFixture, _ calls: Calls, within limit: Duration = .seconds(600),
    _ more: (inout Submission) -> Void = { _ in }
  ) async throws -> Receipt {
    var submission = Submission(type: "work", params: .one)
    more(&submission)
    return try await withCheckedContinuation { continuation in
      fixture.store.submit(submission, awaitingFinal: limit) {
        continuation.resume(returning: $0)
      } final: {
        calls.note()
      }
    }.get()
  }

  @Test("Its end is told, and neither watch.lua nor complete.lua is called for it")
  func plain() async throws {
    let redis = try RedisServer()
    let proxy = try RedisProxy(redis)
    let fixture = try StoreFixture(on: redis, at: proxy.address)
    fixture.store.note(["work": .init(pending: 0, scheduled: 0)])
    let session = try fixture.session()
    try listens(fixture)
    let calls = Calls()
    _ = proxy.takeLog()
    let id = try await submit(fixture, calls).id
    let other = try await fixture.submit()
    let tasks = try session.take(1, count: 2)
    #expect(tasks.map(\.id) == [id, other])
    #expect(calls.made == 0)
    _ = try session.write(tasks.map { $0.write(.completed(result: .one)) }, emptied: [1])
    try eventually("it was told") { calls.made == 1 }
    let commands = proxy.takeLog().requests.map { $0.script?.rawValue ?? $0.name }
    #expect(commands.filter { ["watch", "complete"].contains($0) } == [])
    #expect(commands.filter { $0 == "PUBLISH" }.count == 1, "only one of the two is waited for")
    #expect(try fixture.keyspace().differences() == [])
  }

  @Test("Its end is told also when the worker's transaction is refused and complete.lua writes instead")
  func byScript() async throws {
    let fixture = try StoreFixture()
    try listens(fixture)
    let calls = Calls()
    _ = try await submit(fixture, calls)
    let session = try fixture.session()
    let task = try session.take(1)[0]
    try fixture.command("INCR", fixture.store.keys.fence(of: session.worker))
    #expect(try session.write([task.write(.completed(result: .one))], emptied: [1]) == [.written])
    try eventually("it was told") { calls.made == 1 }
  }

  @Test("A failure, a cancel and a late end are told too", arguments: ["fail", "cancel", "never"])
  func otherEnds(way: String) async throws {
    let fixture = try StoreFixture()
    let calls = Calls()
    let id = try await submit(fixture, calls, within: way == "never" ? .milliseconds(150) : .seconds(600)).id
    switch way {
    case "fail":
      let session = try fixture.session()
      _ = try session.write([try session.take(1)[0].write(.failed(.broken))])
    case "cancel": _ = try await fixture.store.cancel(id)
    default: break
    }
    try eventually("it was told") { calls.made == 1 }
  }

  @Test("It is told although the connection that carries the news broke before, or while it was stored")
  func afterBrokenConnection() async throws {
    let redis = try RedisServer()
    let proxy = try RedisProxy(redis)
    let fixture = try StoreFixture(on: redis, at: proxy.address)
    let session = try fixture.session()
    proxy.intercept { request in
      if request.name == "EXEC" || request.script == .submit {
        _ = try? fixture.command("CLIENT", "KILL", "TYPE", "pubsub")
      }
      return .pass
    }
    let calls = Calls()
    let id = try await submit(fixture, calls).id
    proxy.intercept(nil)
    let task = try session.take(1)[0]
    #expect(task.id == id)
    _ = try session.write([task.write(.completed(result: .one))], emptied: [1])
    try eventually("it was told") { calls.made == 1 }
  }

  @Test(
    "An end that comes before the store knows that the task is stored is told after that", arguments: [false, true])
  func beforeTheReceipt(isMissed: Bool) async throws {
    let fixture = try StoreFixture()
    try listens(fixture)
    let session = try fixture.session()
    // The store's thread tells one after the other: it is held while it tells the first of a call.
    let gate = Monitor(0)
    let submission = Submission(type: "work", params: .one)
    func submitHeld(until step: Int) {
      fixture.store.submit(submission) { _ in gate.wait { $0 >= step ? true : nil } }
    }
    let calls = Calls()
    let isStored = Monitor(false)
    submitHeld(until: 1)
    try eventually("the thread is held") { try fixture.keyspace().records.count == 1 }
    submitHeld(until: 2)
    fixture.store.submit(submission, awaitingFinal: .seconds(600)) { _ in
      isStored.withLock { $0 = true }
    } final: {
      calls.note()
    }
    gate.withLock { $0 = 1 }
    gate.broadcast()
    try eventually("both are stored") { try fixture.keyspace().records.count == 3 }
    let tasks = try session.take(1, count: 3)
    if isMissed { try fixture.command("CLIENT", "KILL", "TYPE", "pubsub") }
    _ = try session.write(tasks.map { $0.write(.completed(result: .one)) }, emptied: [1])
    // A connection that broke was read to its end before the next one listens.
    if !isMissed { try fixture.command("CLIENT", "KILL", "TYPE", "pubsub") }
    try listens(fixture)
    #expect(calls.made == 0)
    #expect(!isStored.withLock { $0 })
    gate.withLock { $0 = 2 }
    gate.broadcast()
    try eventually("it was told") { calls.made == 1 }
    #expect(isStored.withLock { $0 })
  }

  @Test("Large results, callbacks and what is written beside them make no difference")
  func mixed() async throws {
    let fixture = try StoreFixture(types: [StoreFixture.type, StoreFixture.telling])
    try listens(fixture)
    let session = try fixture.session()
    let calls = Calls()
    for _ in 0..<2 { _ = try await submit(fixture, calls) }
    _ = try await submit(fixture, calls) { $0.type = "telling" }
    let (tasks, telling) = (try session.take(1, count: 2), try session.take(2, type: "telling"))
    _ = try session.write(
      [
        tasks[0].write(.completed(result: .text(5000))), tasks[1].write(.failed(.broken)),
        telling[0].write(.completed(result: .one), callsHandler: true),
      ], emptied: [1])
    try eventually("all were told") { calls.made == 3 }
  }

  @Test("Nothing is told of one that was not stored, and of a key that is taken the end of the task that has it")
  func notStored() async throws {
    let fixture = try StoreFixture()
    let calls = Calls()
    await #expect(throws: TaskStoreError.unknownType("nothing")) {
      _ = try await submit(fixture, calls) { $0.type = "nothing" }
    }
    let first = try await fixture.submit { $0.key = "order" }
    #expect(try await submit(fixture, calls) { $0.key = "order" } == Receipt(id: first, status: .pending, isNew: false))
    try eventually("the task is watched") { try isWatched(first, fixture) }
    #expect(calls.made == 0)
    _ = try await fixture.store.cancel(first)
    try eventually("it was told") { calls.made == 1 }
    fixture.store.close()
    #expect(calls.made == 1)
  }

  @Test("Who waits is told when the store is closed")
  func onClose() async throws {
    let fixture = try StoreFixture()
    let calls = Calls()
    _ = try await submit(fixture, calls)
    fixture.store.close()
    #expect(calls.made == 1)
  }
}
