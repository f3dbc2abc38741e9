// SPDX-License-Identifier: Apache-2.0
import Foundation
import TaskModel
import TaskStore
import TestSupport
import Testing

@Suite("Everything at once")
struct ChaosTests {
  @Test("Hosts, workers and Redis are killed and stopped in any order, and every task ends once with its own result")
  func chaos() async throws {
    // A killed Redis keeps all that it acknowledged only in this way.
    let redis = try RedisServer(["--appendfsync", "always"])
    let changes = [
      "lease": #""1s""#, "workers": #"{"workbench": {"processes": 2}}"#,
      "types": HostFixture.types(["echo"], extra: #", "retention": {"age": "24h", "count": 1000000}"#),
    ]
    var hosts: [HostFixture] = []
    for name in ["one", "two"] {
      hosts.append(try await HostFixture(changes.merging(["name": "\"\(name)\""]) { $1 }, redis: redis, workers: 2))
    }
    let all = hosts
    let client = Submitter(count: 6000) { all.compactMap(\.process.url) }
    var generator = SystemRandomNumberGenerator()
    var story: [String] = []
    for round in 0..<12 {
      let before = client.submitted.count
      try await eventually(within: .seconds(60), "submissions go on after \(story)") { () async in
        client.submitted.count >= min(6000, before + 300)
      }
      let host = hosts[Int.random(in: 0..<2, using: &generator)]
      switch round % 4 {
      case 0:
        story.append("a worker killed")
        if let pid = try host.workerPids().randomElement(using: &generator) { kill(pid, SIGKILL) }
      case 1:
        story.append("Redis killed")
        redis.stop(SIGKILL)
        try redis.start()
      case 2:
        story.append("a host killed")
        try await host.stop(SIGKILL)
        try host.process.launch()
      default:
        story.append("a worker stopped")
        if let pid = try host.workerPids().randomElement(using: &generator) { kill(pid, SIGSTOP) }
      }
    }
    try await eventually(within: .seconds(60), "all are submitted") { () async in client.submitted.count == 6000 }
    #expect(client.surprises == [])
    let store = hosts[0].store
    try await eventually(within: .seconds(60), "nothing is left to do after \(story)") { () async in
      let counts = (try? await store.states(of: ["echo"]))?["echo"]?.counts ?? [:]
      return counts[.pending] == 0 && counts[.inProgress] == 0 && (counts[.completed] ?? 0) >= 6000
    }
    let tasks = client.submitted
    try await eventually(within: .seconds(60), "every callback was called and reported") { () async throws in
      try !redis.keys().contains { key in
        [":hq:", ":hdue:", ":flight:", ":q:", ":run:"].contains { key.contains($0) }
      }
    }
    let called = Set(hosts.flatMap(\.journal))
    let ids = Array(tasks.keys)
    for start in stride(from: 0, to: ids.count, by: 500) {
      let chunk = Array(ids[start..<min(start + 500, ids.count)])
      for (id, record) in zip(chunk, try await store.records(chunk, parts: .all)) {
        let number = try #require(tasks[id])
        if record?.status != .completed || record?.result != Array(Submitter.params(number).utf8)
          || record?.attempts != 1 || record?.handler.phase != .delivered || !called.contains("completed \(id)")
        {
          Issue.record("task \(id) of \(number) after \(story): \(String(describing: record))")
        }
      }
    }
    // Submissions whose answer was lost may stand there twice, but each record has ended once.
    let records = try redis.keys().count { $0.hasPrefix("roost:{00}:t:") }
    #expect(try redis.cli("llen", "roost:{00}:done:echo") == "\(records)")
    #expect(try redis.cli("hget", "roost:{00}:n:echo", "COMPLETED") == "\(records)")
  }
}
