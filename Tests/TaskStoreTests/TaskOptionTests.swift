// SPDX-License-Identifier: Apache-2.0
import Redis
import TaskModel
import TaskStore
import TestSupport
import Testing
import Synchronization
import Threading

@Suite("What a submission may ask for")
struct TaskOptionTests {
  private let past = Timestamp(millis: 1000)

  private func receipt(_ fixture: StoreFixture, type: String = "work", key: String) async throws -> Receipt {
    var submission = Submission(type: type, params: .one)
    submission.key = key
    return try await fixture.store.submit(submission)
  }

  private func beat(_ fixture: StoreFixture) throws -> Housekeeping.Report {
    try fixture.housekeeping().beat(
      host: fixture.store.hostID, types: fixture.types.map(\.name), workers: [])
  }

  // MARK: Later

  @Test("A delayed task is SCHEDULED until it is due, and the heartbeat says when the next one is")
  func delay() async throws {
    let fixture = try StoreFixture()
    let session = try fixture.session()
    var submission = Submission(type: "work", params: .one)
    submission.due = .after(.seconds(1))
    let receipt = try await fixture.store.submit(submission)
    #expect(receipt.status == .scheduled && receipt.isNew)
    submission.due = .at(Timestamp(millis: 4_000_000_000_000))
    let far = try await fixture.store.submit(submission)
    #expect(try session.take(1).isEmpty)
    let record = try #require(try await fixture.store.record(receipt.id))
    let due = try #require(record.dueAt)
    #expect(record.status == .scheduled && due.millis == record.createdAt.millis + 1000)
    #expect(try beat(fixture).nextDue == due)
    try eventually("it is due") { try fixture.now() >= due }
    #expect(try beat(fixture).nextDue == Timestamp(millis: 4_000_000_000_000))
    #expect(try session.take(2).map(\.id) == [receipt.id])
    #expect(try await fixture.store.cancel(far.id) == .cancelled)
    #expect(try beat(fixture).nextDue == nil)
  }

  @Test("What is due in the past waits like any other task")
  func dueInThePast() async throws {
    let fixture = try StoreFixture()
    var submission = Submission(type: "work", params: .one)
    submission.due = .at(past)
    let receipt = try await fixture.store.submit(submission)
    #expect(receipt.status == .pending)
    #expect(try fixture.session().take(1).map(\.id) == [receipt.id])
  }

  @Test("Whoever looks after what is due is told at once of what comes before its next look")
  func soon() async throws {
    let fixture = try StoreFixture()
    let notices = Lock<[Int64]>([])
    fixture.store.whenDueSoon { millis in notices.withLock { $0.append(millis) } }
    _ = try await fixture.submit()
    _ = try await fixture.submit { $0.due = .after(.seconds(60)) }
    _ = try await fixture.submit { $0.expires = .after(.seconds(60)) }
    #expect(notices.withLock { $0 } == [])
    _ = try await fixture.submit { $0.due = .after(.milliseconds(300)) }
    _ = try await fixture.submit { $0.expires = .after(.milliseconds(200)) }
    _ = try await fixture.submit {
      $0.due = .after(.milliseconds(100))
      $0.expires = .after(.seconds(60))
    }
    let told = notices.withLock { $0 }
    #expect(told.count == 3 && zip(told, [300, 200, 100]).allSatisfy { $0 <= $1 }, "\(told)")
  }

  // MARK: Expiry

  @Test(
    "A task that was not started in time is FAILED(expired), whether a worker or the heartbeat meets it first",
    arguments: ["take", "heartbeat", "scheduled", "given back"])
  func expires(how: String) async throws {
    let fixture = try StoreFixture()
    let session = try fixture.session()
    let id = try await fixture.submit {
      $0.expires = .after(.milliseconds(how == "given back" ? 1000 : 1))
      if how == "scheduled" { $0.due = .after(.seconds(60)) }
    }
    if how == "given back" {
      let taken = try session.take(1)
      try #require(taken.map(\.id) == [id])
      try eventually("its time is over") { try fixture.now().millis > taken[0].record.createdAt.millis + 1000 }
      _ = try beat(fixture)
      #expect(try await fixture.store.getStatus(id) == .pending, "a worker has it")
      _ = try session.write([taken[0].write(.givenBack)], emptied: [1])
    }
    try fixture.nextMillisecond()
    if how == "take" {
      let taken = try session.take(2)
      #expect(try session.write(taken.map { $0.write(.expired) }, emptied: [2]) == [.written])
    } else {
      _ = try beat(fixture)
    }
    let record = try #require(try await fixture.store.record(id))
    #expect(record.status == .failed)
    #expect(try JSONNode.parse(record.error ?? [])["kind"]?.text == "expired")
    #expect(try session.take(3).isEmpty)
    #expect(try fixture.keyspace().differences() == [])
    // A user may start it anew, and then it does not expire.
    try await fixture.store.retry(id)
    #expect(try session.take(4).map(\.id) == [id])
  }

  @Test("A task that was started in time does not expire later", arguments: ["retry", "give-back", "lost worker"])
  func startedInTime(how: String) async throws {
    let fixture = try StoreFixture()
    let session = try fixture.session()
    let id = try await fixture.submit { $0.expires = .after(.seconds(1)) }
    let taken = try session.take(1)
    try #require(taken.map(\.id) == [id])
    if how == "retry" {
      _ = try session.write([taken[0].write(.retry(.broken, at: past))], emptied: [1])
    } else {
      _ = try session.write([taken[0].write(.running(deadline: nil))])
    }
    try eventually("its time is over") { try fixture.now().millis > taken[0].record.createdAt.millis + 1000 }
    switch how {
    case "give-back": _ = try session.write([taken[0].write(.givenBack)], emptied: [1])
    case "lost worker": try fixture.housekeeping().reap(session.worker)
    default: break
    }
    _ = try beat(fixture)
    let other = try fixture.session()
    #expect(try other.take(2).map(\.id) == [id])
    #expect(try fixture.keyspace().differences() == [])
  }

  // MARK: Keys

  @Test("A key gives the first task as long as its record is there, whatever its state, and DELETE frees it")
  func key() async throws {
    let fixture = try StoreFixture(types: [StoreFixture.type, StoreFixture.telling])
    let session = try fixture.session()
    let key = "a \"key\" – with \u{0}, é and \n"
    let first = try await receipt(fixture, key: key)
    #expect(first.isNew)
    #expect(try await receipt(fixture, type: "telling", key: key).isNew, "a key belongs to its type")
    #expect(try await receipt(fixture, key: key) == Receipt(id: first.id, status: .pending, isNew: false))
    #expect(try await fixture.store.record(first.id)?.key == key)
    let taken = try session.take(1)
    _ = try session.write([taken[0].write(.completed(result: .one))], emptied: [1])
    #expect(try await receipt(fixture, key: key) == Receipt(id: first.id, status: .completed, isNew: false))
    try await fixture.store.delete(first.id)
    let second = try await receipt(fixture, key: key)
    #expect(second.isNew && second.id != first.id)
  }

  @Test("keyTTL frees a key some time after the end of its task, and a retry of that task is refused then")
  func keyTTL() async throws {
    var type = StoreFixture.type
    type.keyTTL = .milliseconds(50)
    let fixture = try StoreFixture(types: [type])
    let session = try fixture.session()
    let first = try await receipt(fixture, key: "k")
    let taken = try session.take(1)
    _ = try session.write([taken[0].write(.failed(.broken))], emptied: [1])
    #expect(try await receipt(fixture, key: "k").isNew == false)
    let end = try #require(try await fixture.store.record(first.id)?.finishedAt)
    try eventually("the key is free") { try fixture.now().millis > end.millis + 50 }
    let second = try await receipt(fixture, key: "k")
    #expect(second.isNew)
    await #expect(throws: TaskStoreError.keyTaken(first.id)) { try await fixture.store.retry(first.id) }
    #expect(try await fixture.store.retry(.tasks([first.id])) == 0)
    #expect(try await fixture.store.getStatus(first.id) == .failed)
    // The later one keeps its key when the earlier one goes.
    try await fixture.store.delete(first.id)
    #expect(try await receipt(fixture, key: "k") == Receipt(id: second.id, status: .pending, isNew: false))
  }

  @Test("Of many submissions with one key at once, one is stored")
  func keyRace() async throws {
    let fixture = try StoreFixture()
    let receipts = try await withThrowingTaskGroup(of: Receipt.self) { group in
      for _ in 0..<100 { group.addTask { try await self.receipt(fixture, key: "one") } }
      return try await group.reduce(into: []) { $0.append($1) }
    }
    #expect(receipts.count { $0.isNew } == 1)
    #expect(Set(receipts.map(\.id)).count == 1)
  }

  // MARK: Priority

  @Test("High goes first, and low gets its share of every sixteen")
  func priority() async throws {
    let fixture = try StoreFixture()
    let session = try fixture.session()
    for priority in [TaskPriority.low, .normal, .high] {
      for _ in 0..<48 { _ = try await fixture.submit { $0.priority = priority } }
    }
    func take(_ batch: Int64, _ count: Int) throws -> [TaskPriority: Int] {
      Dictionary(grouping: try session.take(batch, count: count), by: \.record.priority).mapValues(\.count)
    }
    #expect(try take(1, 4) == [.high: 4])
    #expect(try take(2, 12) == [.high: 8, .normal: 3, .low: 1])
    var singly: [TaskPriority: Int] = [:]
    for batch in 3..<19 { singly.merge(try take(Int64(batch), 1)) { $0 + $1 } }
    #expect(singly == [.high: 12, .normal: 3, .low: 1], "one at a time, too")
    #expect(try take(19, 256) == [.high: 24, .normal: 42, .low: 46])
    #expect(try fixture.command("HGETALL", fixture.store.keys.control) == .array([]), "nothing is mixed any more")
    _ = try session.write([], emptied: [])
  }

  @Test("A task keeps its priority when it is given back, retried by itself and by a user")
  func priorityStays() async throws {
    let fixture = try StoreFixture()
    let session = try fixture.session()
    let low = try await fixture.submit { $0.priority = .low }
    for batch in Int64(1)...3 {
      let normal = try await fixture.submit()
      let taken = try session.take(2 * batch)
      #expect(taken.map(\.id) == [normal, low], "batch \(batch)")
      _ = try session.write([taken[0].write(.completed(result: .one))])
      switch batch {
      case 1: _ = try session.write([taken[1].write(.givenBack)], emptied: [2])
      case 2:
        _ = try session.write([taken[1].write(.retry(.broken, at: past))], emptied: [4])
        _ = try beat(fixture)
      default:
        _ = try session.write([taken[1].write(.failed(.broken))], emptied: [6])
        try await fixture.store.retry(low)
      }
    }
    #expect(try await fixture.store.record(low)?.priority == .low)
    #expect(try fixture.keyspace().lost() == [])
  }

  // MARK: Capacity

  @Test("Tasks that were cancelled while nothing is taken leave no growing queue behind", arguments: [1, 2])
  func ghosts(kept: Int) async throws {
    let fixture = try StoreFixture()
    try await fixture.store.setPaused("work", true)
    var ids: [TaskID] = []
    for _ in 0..<600 { ids.append(try await fixture.submit()) }
    func length() throws -> Int64? { try fixture.command("LLEN", "roost:{00}:q:work").integerValue }
    if kept == 1 {
      for id in ids.reversed() { _ = try await fixture.store.cancel(id) }
      #expect(try length() == 0, "the newest goes at once")
    } else {
      for id in ids.prefix(550) { _ = try await fixture.store.cancel(id) }
      #expect(try length() == 600)
      for _ in 0..<4 { _ = try beat(fixture) }
      #expect(try length() ?? 0 <= 50 + 256)
      try await fixture.store.setPaused("work", false)
      #expect(try fixture.session().take(1, count: 256).map(\.id) == Array(ids.suffix(50)).prefix(256) + [])
    }
    #expect(try fixture.keyspace().lost() == [])
  }

  @Test("Over its capacity a type refuses submissions, exactly, and retries and give-backs go through")
  func capacity() async throws {
    var type = StoreFixture.type
    type.queueCapacity = 10
    let fixture = try StoreFixture(types: [type])
    let session = try fixture.session()
    let results = await withTaskGroup(of: Result<Receipt, any Error>.self) { group in
      for number in 0..<30 {
        group.addTask {
          var submission = Submission(type: "work", params: .one)
          if number % 3 == 0 { submission.due = .after(.seconds(60)) }
          do { return .success(try await fixture.store.submit(submission)) } catch { return .failure(error) }
        }
      }
      return await group.reduce(into: []) { $0.append($1) }
    }
    var stored = 0
    for result in results {
      switch result {
      case .success: stored += 1
      case .failure(let error): #expect(error as? TaskStoreError == .queueFull(type: "work", limit: 10))
      }
    }
    #expect(stored == 10)
    let waiting = try session.take(1)
    _ = try session.write(waiting.map { $0.write(.failed(.broken)) }, emptied: [1])
    for _ in waiting { _ = try await fixture.submit() }
    #expect(
      try await fixture.store.retry(.tasks(waiting.map(\.id))) == waiting.count, "a manual retry is never refused")
    #expect(try await fixture.store.states(of: ["work"])["work"]?.counts[.pending] == 2 * waiting.count)
  }

  @Test("Large params of a task that is refused, or that is there already, do not stay")
  func refusedParams() async throws {
    var type = StoreFixture.type
    type.queueCapacity = 1
    let fixture = try StoreFixture(types: [type])
    let params: [UInt8] = .text(2000)
    let first = try await fixture.submit { ($0.params, $0.key) = (params, "k") }
    #expect(try await fixture.submit { ($0.params, $0.key) = (params, "k") } == first)
    await #expect(throws: TaskStoreError.self) { try await fixture.submit { $0.params = params } }
    #expect(try fixture.keyspace().everything.keys.filter { $0.hasPrefix("p:") } == ["p:\(first)"])
  }

  @Test("A repeat of a call whose answer was lost says the same of each task")
  func repeated() async throws {
    var type = StoreFixture.type
    type.queueCapacity = 3
    let redis = try RedisServer()
    let proxy = try RedisProxy(redis)
    let fixture = try StoreFixture(on: redis, at: proxy.address, types: [type])
    let first = try await receipt(fixture, key: "k")
    proxy.spoilNext(.submit, .loseAnswer)
    async let again = receipt(fixture, key: "k")
    async let others = withTaskGroup(of: Bool.self) { group in
      for _ in 0..<4 {
        group.addTask { (try? await fixture.submit()) != nil }
      }
      return await group.reduce(into: 0) { $0 += $1 ? 1 : 0 }
    }
    #expect(try await again == Receipt(id: first.id, status: .pending, isNew: false))
    #expect(await others == 2)
    #expect(try await fixture.store.states(of: ["work"])["work"]?.counts[.pending] == 3)
    #expect(try fixture.keyspace().lost() == [])
  }
}
