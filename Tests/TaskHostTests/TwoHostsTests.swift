// SPDX-License-Identifier: Apache-2.0
import TaskModel
import TaskStore
import TestSupport
import Testing

@Suite("Two hosts on one Redis")
struct TwoHostsTests {
  @Test("Every task runs once and calls its handler once, whatever was asked for it")
  func once() async throws {
    let redis = try RedisServer()
    let hosts = [
      try await HostFixture(redis: redis), try await HostFixture(redis: redis),
    ]
    let store = hosts[0].store
    let ids = try await withThrowingTaskGroup(of: TaskID.self) { group in
      for number in 0..<900 {
        group.addTask {
          var submission = Submission(type: "nap", params: Array("\(number % 7)".utf8))
          submission.priority = [.high, .normal, .low][number % 3]
          if number % 4 == 0 { submission.due = .after(.milliseconds(number % 500)) }
          if number % 5 == 0 { submission.key = "key \(number)" }
          if number % 6 == 0 { submission.expires = .after(.seconds(600)) }
          return try await store.submit(submission).id
        }
      }
      return try await group.reduce(into: []) { $0.append($1) }
    }
    try await eventually(within: .seconds(60), "all are completed and their handlers were called") { () async throws in
      let counts = try await store.states(of: ["nap"])["nap"]?.counts ?? [:]
      return counts[.completed] == ids.count
        && hosts.reduce(0) { $0 + $1.journal.count { $0.hasPrefix("completed ") } } >= ids.count
    }
    for host in hosts { #expect(host.lines(containing: "lease") == [], "no lease was lost") }
    // Both have gone to their end: nothing can run any more.
    for host in hosts { #expect(try await host.stop() == 0) }
    let journal = hosts.flatMap(\.journal)
    #expect(journal.filter { $0.hasPrefix("nap ") }.sorted() == ids.map { "nap \($0)" }.sorted())
    #expect(journal.filter { $0.hasPrefix("completed ") }.sorted() == ids.map { "completed \($0)" }.sorted())
    #expect(hosts.allSatisfy { !$0.journal.isEmpty }, "both hosts had their share")
  }

  @Test("A host that stops in good order leaves nothing of itself in Redis")
  func leaves() async throws {
    let redis = try RedisServer()
    let staying = try await HostFixture(redis: redis)
    func known() throws -> [String] {
      try ["hosts", "submits", "beats", "leases"].flatMap { key in
        try redis.cli("hkeys", "roost:{00}:\(key)").split(separator: "\n").map { "\(key) \($0)" }
      }.sorted()
    }
    let before = try known()
    let leaving = try await HostFixture(redis: redis)
    let store = leaving.store.hostID
    #expect(try known().count > before.count)
    #expect(try await leaving.stop() == 0)
    // The fixture is a host, too, by which the test asks.
    #expect(try known().filter { !$0.hasSuffix(store) } == before)
    withExtendedLifetime(staying) {}
  }
}
