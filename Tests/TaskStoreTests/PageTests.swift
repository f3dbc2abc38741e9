// SPDX-License-Identifier: Apache-2.0
import Redis
import TaskModel
import TaskStore
import TestSupport
import Testing

@Suite("Lists of tasks")
struct PageTests {
  private static let other: TypeDefinition = {
    var type = StoreFixture.type
    type.name = "other"
    return type
  }()
  private let future = Timestamp(millis: 4_000_000_000_000)

  private func fixture() throws -> StoreFixture { try StoreFixture(types: [StoreFixture.type, Self.other]) }

  private func pages(
    _ fixture: StoreFixture, limit: Int, status: TaskStatus? = nil, type: String? = nil,
    between: (Int) async throws -> Void = { _ in }
  ) async throws -> [[TaskID]] {
    var query = TaskQuery()
    query.limit = limit
    query.status = status
    query.type = type
    var pages: [[TaskID]] = []
    repeat {
      let page = try #require(try await fixture.store.page(query))
      #expect(page.records.count <= limit)
      pages.append(page.records.map(\.id))
      query.cursor = page.cursor
      try await between(pages.count)
    } while query.cursor != nil && pages.count < 200
    #expect(query.cursor == nil)
    return pages
  }

  /// Tasks of both types in turn.
  private func submit(_ count: Int, _ fixture: StoreFixture) async throws -> [TaskID] {
    var ids: [TaskID] = []
    for number in 0..<count { ids.append(try await fixture.submit(type: number % 2 == 0 ? "work" : "other")) }
    return ids
  }

  @Test("A cursor of another list is none of this one")
  func cursorOfAnotherList() async throws {
    let fixture = try fixture()
    for _ in 0..<40 { _ = try await fixture.store.cancel(try await fixture.submit()) }
    var query = TaskQuery()
    (query.type, query.status, query.limit) = ("work", .cancelled, 5)
    query.cursor = try #require(try await fixture.store.page(query)?.cursor)
    #expect(try await fixture.store.page(query) != nil)
    query.type = "other"
    #expect(try await fixture.store.page(query) == nil)
    (query.type, query.status) = ("work", .completed)
    #expect(try await fixture.store.page(query) == nil)
    (query.type, query.status) = (nil, .failed)
    #expect(try await fixture.store.page(query) != nil, "those stand in the same lists")
  }

  @Test(
    "Very many tasks that are due at once are listed at a cost that does not grow with the page",
    arguments: [false, true])
  func equalDueTimes(isGone: Bool) async throws {
    let fixture = try fixture()
    let ids = try await withThrowingTaskGroup(of: TaskID.self) { group in
      for _ in 0..<3000 { group.addTask { try await fixture.submit { $0.due = .at(self.future) } } }
      return try await group.reduce(into: []) { $0.append($1) }
    }
    var query = TaskQuery()
    query.limit = 100
    query.status = .scheduled
    var seen: [TaskID] = []
    var costs: [Int] = []
    repeat {
      try fixture.command("CONFIG", "RESETSTAT")
      let page = try #require(try await fixture.store.page(query))
      costs.append(try calls(fixture))
      seen += page.records.map(\.id)
      query.cursor = page.cursor
      // The entry that the cursor stands on goes away.
      if isGone, let last = page.records.last { _ = try await fixture.store.cancel(last.id) }
    } while query.cursor != nil
    #expect(seen == ids.sorted())
    #expect(costs.allSatisfy { $0 < 60 }, "\(costs)")
  }

  /// Commands inside scripts and outside, since the last `CONFIG RESETSTAT`.
  private func calls(_ fixture: StoreFixture) throws -> Int {
    let text = try fixture.command("INFO", "commandstats").textValue ?? ""
    return text.split(whereSeparator: \.isNewline).reduce(0) { sum, line in
      sum + (line.split(separator: "calls=").last?.split(separator: ",").first.flatMap { Int($0) } ?? 0)
    }
  }

  @Test("Running ones come first and longest first, then pending newest, scheduled soonest, final latest")
  func order() async throws {
    let fixture = try fixture()
    let session = try fixture.session()
    var taken: [TakenTask] = []
    _ = try await submit(8, fixture)
    taken += try session.take(1)
    taken += try session.take(2, type: "other")
    func time(_ millis: Int64) -> Timestamp { Timestamp(millis: future.millis + millis) }
    var running = taken[0].write(.running(deadline: nil))
    running.startedAt = Timestamp(millis: 2000)
    var earlier = taken[4].write(.running(deadline: nil))
    earlier.startedAt = Timestamp(millis: 1000)
    _ = try session.write([running, earlier])
    _ = try session.write([
      taken[1].write(.retry(.broken, at: time(5))), taken[5].write(.retry(.broken, at: time(3))),
      taken[2].write(.retry(.broken, at: time(7))),
    ])
    let finals = [taken[6], taken[3], taken[7]]
    for task in finals {
      _ = try session.write([task.write(task.id == taken[3].id ? .failed(.broken) : .completed(result: .one))])
      try fixture.nextMillisecond()
    }
    var pending: [TaskID] = []
    for number in 0..<3 {
      pending.append(try await fixture.submit(type: number == 1 ? "other" : "work"))
      try fixture.nextMillisecond()
    }
    let expected =
      [taken[4].id, taken[0].id] + pending.reversed() + [taken[5].id, taken[1].id, taken[2].id]
      + finals.reversed().map(\.id)
    for limit in [1, 2, 3, 5, 50] {
      #expect(try await pages(fixture, limit: limit).flatMap { $0 } == expected, "limit \(limit)")
    }
    #expect(try await pages(fixture, limit: 2, status: .pending).flatMap { $0 } == pending.reversed())
    #expect(try await pages(fixture, limit: 2, status: .failed).flatMap { $0 } == [taken[3].id])
    #expect(
      try await pages(fixture, limit: 2, status: .scheduled, type: "work").flatMap { $0 } == [taken[1].id, taken[2].id])
    #expect(try await pages(fixture, limit: 1, type: "other").flatMap { $0 }.count == 5)
  }

  @Test("Tasks of several types that finished in the same millisecond come once each, at any limit")
  func ties() async throws {
    let fixture = try fixture()
    let ids = try await submit(40, fixture)
    let session = try fixture.session()
    let taken = try session.take(1, count: 100) + session.take(2, count: 100, type: "other")
    _ = try session.write(
      taken.enumerated().map { $1.write($0 % 3 == 0 ? .failed(.broken) : .completed(result: .one)) }, emptied: [1, 2])
    for limit in [1, 3, 7, 40, 50] {
      let found = try await pages(fixture, limit: limit).flatMap { $0 }
      #expect(found.count == 40)
      #expect(Set(found) == Set(ids), "limit \(limit)")
    }
    let due = try await submit(20, fixture)
    let scheduled = try session.take(3, count: 100) + session.take(4, count: 100, type: "other")
    _ = try session.write(scheduled.map { $0.write(.retry(.broken, at: future)) }, emptied: [3, 4])
    for limit in [1, 3, 7] {
      let found = try await pages(fixture, limit: limit, status: .scheduled).flatMap { $0 }
      #expect(found.count == 20)
      #expect(Set(found) == Set(due), "limit \(limit)")
    }
  }

  @Test("While tasks finish and are taken, none that stays as it is gets skipped or comes twice")
  func whilePaging() async throws {
    let fixture = try fixture()
    let session = try fixture.session()
    let old = try await submit(30, fixture)
    let first = try session.take(1, count: 100) + session.take(2, count: 100, type: "other")
    _ = try session.write(first.map { $0.write(.completed(result: .one)) }, emptied: [1, 2])
    let stay = try await submit(30, fixture)
    let found = try await pages(fixture, limit: 4) { page in
      guard page < 5 else { return }
      // Some of the oldest pending ones are taken and finish; new ones arrive.
      let batch = try session.take(Int64(10 + page), count: 2)
      _ = try session.write(batch.map { $0.write(.completed(result: .one)) }, emptied: [Int64(10 + page)])
      _ = try await submit(2, fixture)
    }.flatMap { $0 }
    #expect(found.filter(Set(old).contains).count == 30, "each finished one once")
    let untouched = try await fixture.store.statuses(stay)
    for (id, status) in zip(stay, untouched) where status == .pending {
      #expect(found.filter { $0 == id }.count == 1)
    }
  }

  @Test("What was cancelled or deleted leaves gaps that pages step over in order")
  func gaps() async throws {
    let fixture = try fixture()
    let ids = try await submit(80, fixture)
    var kept: [TaskID] = []
    for (index, id) in ids.enumerated() {
      // Of one type nearly all are gone, so that its list says little about where the page stands in the other.
      if index % 2 == 0 && index != 0 { _ = try await fixture.store.cancel(id) } else { kept.append(id) }
    }
    for limit in [1, 2, 5] {
      #expect(
        try await pages(fixture, limit: limit, status: .pending).flatMap { $0 } == kept.reversed(), "limit \(limit)")
    }
    for id in ids where !kept.contains(id) { try await fixture.store.delete(id) }
    #expect(try await pages(fixture, limit: 3).flatMap { $0 } == kept.reversed())
  }

  @Test("Behind many that are gone the next one still comes in its turn")
  func turnBehindGap() async throws {
    let fixture = try fixture()
    var kept: [TaskID] = []
    for _ in 0..<6 { kept.append(try await fixture.submit(type: "other")) }
    try fixture.nextMillisecond()
    kept.append(try await fixture.submit())
    for _ in 0..<40 { _ = try await fixture.store.cancel(try await fixture.submit()) }
    for limit in [1, 2, 5, 50] {
      #expect(
        try await pages(fixture, limit: limit, status: .pending).flatMap { $0 } == kept.reversed(), "limit \(limit)")
    }
  }

  @Test("A task that was cancelled and retried stands in a page once")
  func retriedOnce() async throws {
    let fixture = try fixture()
    let id = try await fixture.submit()
    _ = try await fixture.store.cancel(id)
    try await fixture.store.retry(id)
    #expect(try await pages(fixture, limit: 10).flatMap { $0 } == [id])
  }

  @Test(
    "A cursor that is not from here gives nothing, and harms nobody",
    arguments: [
      "", "x", "!!", "cQ", text("nowhere"), text("q\nq:work"), text("q\nq:work\tnan"), text("q\nq:work\t1.5"),
      text("q\nq:work\t1e99"), text("q\nq:work\t99999999999999999999"), text("due\ndue:work\t5"),
      text("due\ndue:work\tx y"), text("due\ndue:work\tnan key"), text("q\nq:work\t5 key"),
    ])
  func foreignCursor(cursor: String) async throws {
    let fixture = try fixture()
    _ = try await submit(2, fixture)
    var query = TaskQuery()
    query.cursor = cursor
    let page = try await fixture.store.page(query)
    // "cQ" is the beginning of the pending ones, which is a place one can be at.
    #expect((page == nil) == (cursor != "cQ"))
    #expect(fixture.store.isConnected)
  }

  /// As cursors are written (RFC 4648 section 5).
  private static func text(_ text: String) -> String {
    let digits = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
    var bits = text.utf8.flatMap { byte in (0..<8).map { byte >> (7 - $0) & 1 } }
    while bits.count % 6 != 0 { bits.append(0) }
    return String(
      stride(from: 0, to: bits.count, by: 6).map { start in
        digits[bits[start..<start + 6].reduce(0) { $0 * 2 + Int($1) }]
      })
  }

  @Test("Bodies that stand in keys of their own come only when asked for")
  func parts() async throws {
    let fixture = try fixture()
    let id = try await fixture.submit(String(decoding: [UInt8].text(3000), as: UTF8.self))
    let session = try fixture.session()
    _ = try session.write([try session.take(1)[0].write(.completed(result: .text(4000)))], emptied: [1])
    var query = TaskQuery()
    let bare = try #require(try await fixture.store.page(query)?.records.first)
    #expect(bare.id == id && bare.params.isEmpty && bare.result == nil)
    query.parts = .all
    let whole = try #require(try await fixture.store.page(query)?.records.first)
    #expect(whole.params == .text(3000) && whole.result == .text(4000))
  }
}
