// SPDX-License-Identifier: Apache-2.0
import Foundation
import TaskModel
import TaskStore
import TestSupport
import Testing

@Suite("Ten thousand tasks")
struct TenThousandTests {
  @Test("The host is killed three times on the way, and every task ends with its own result and its callback")
  func killedThrice() async throws {
    let holder = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    let port = try boundPort(holder)
    close(holder)
    let types =
      #"{"echo": {"executor": "workbench/echo", "callback": "workbench/written", "retention": {"age": "24h", "count": 1000000}}}"#
    let host = try await HostFixture(["http": #"{"listen": "127.0.0.1:\#(port)"}"#, "types": types])
    let client = Submitter(count: 10_000) { ["http://127.0.0.1:\(port)"] }
    for threshold in [1500, 4500, 7500] {
      try await eventually(within: .seconds(60), "\(threshold) are submitted") { () async in
        client.submitted.count >= threshold
      }
      #expect(try await host.stop(SIGKILL) == 128 + SIGKILL)
      try await host.start()
    }
    try await eventually(within: .seconds(60), "all are submitted") { () async in client.submitted.count == 10_000 }
    #expect(client.surprises == [])

    let tasks = client.submitted
    let ids = Array(tasks.keys)
    #expect(Set(tasks.values).count == 10_000)
    try await eventually("nothing is left to do") { () async throws in
      let counts = try await host.store.states(of: ["echo"])["echo"]?.counts ?? [:]
      return counts[.pending] == 0 && counts[.inProgress] == 0 && (counts[.completed] ?? 0) >= 10_000
    }
    try await eventually("no handler call is left over") { () async throws in try leftOver(host) == [] }
    let called = Set(host.journal)
    for start in stride(from: 0, to: ids.count, by: 500) {
      let chunk = Array(ids[start..<min(start + 500, ids.count)])
      for (id, record) in zip(chunk, try await host.store.records(chunk, parts: .all)) {
        let number = try #require(tasks[id])
        guard record?.status == .completed, record?.result == Array(Submitter.params(number).utf8),
          record?.attempts == 1,
          record?.handler.phase == .delivered, called.contains("completed \(id)")
        else {
          Issue.record("task \(id) of \(number): \(String(describing: record))")
          continue
        }
      }
    }
  }

  /// Keys that no finished task and no living host explains.
  private func leftOver(_ host: HostFixture) throws -> [String] {
    let explained = [
      "t:", "p:", "r:", "n", "done:", "types", "seen", "hosts", "beats", "leases", "submits", "origins", "format",
    ]
    let fences = try host.redis("hkeys", "roost:{00}:leases").split(separator: "\n").map { "fence:\($0)" }
    return try host.redis("keys", "*").split(separator: "\n").map { String($0.dropFirst("roost:{00}:".count)) }
      .filter { key in !fences.contains(key) && !explained.contains { key == $0 || key.hasPrefix($0) } }
  }
}
