// SPDX-License-Identifier: Apache-2.0
import Foundation
import HTTPClient
import TaskModel
import TaskStore
import TestSupport
import Testing

@Suite("The end of a host")
struct DrainTests {
  @Test("A task that does not end within drain.stop is given back at no attempt and runs again after the next start")
  func longerThanDrain() async throws {
    let host = try await HostFixture(["drain": #"{"stop": "300ms"}"#])
    let id = try await host.submit("gate", #""wait""#)
    try await eventually("it is shown as running") { try await host.store.record(id)?.status == .inProgress }
    let workers = try host.workerPids()
    #expect(try await host.stop() == 1)
    #expect(!workers.contains(where: isAlive))
    #expect(host.lines(containing: "the time to drain is over").count == 1)
    try host.openGate()
    try await host.start()
    let record = try #require(try await host.final(id))
    #expect(record.status == .completed)
    #expect(record.attempts == 1)
    #expect(host.count("gate \(id)") == 2)
    try await eventually("its callback was called") { () async in host.count("completed \(id)") == 1 }
  }

  @Test("A task that heeds the request to go is given back, and the host ends in order")
  func polite() async throws {
    let host = try await HostFixture(["drain": #"{"stop": "5s"}"#])
    let id = try await host.submit("nap", "60000")
    try await eventually("it runs") { () async in host.count("nap \(id)") == 1 }
    #expect(try await host.stop() == 0)
    try await host.start()
    try await eventually("it runs again") { () async in host.count("nap \(id)") == 2 }
    #expect(try await host.store.record(id)?.status.isFinal == false)
    #expect(try await host.store.record(id)?.error == nil)
    #expect(!host.journal.contains { $0.hasPrefix("failed") })
  }

  @Test("However short the drain, what ends within half of it is not asked to go")
  func shortDrain() async throws {
    let host = try await HostFixture(["drain": #"{"stop": "4s"}"#])
    let id = try await host.submit("nap", "300")
    try await eventually("it runs") { () async in host.count("nap \(id)") == 1 }
    #expect(try await host.stop() == 0)
    try await host.start()
    #expect(try await host.final(id)?.status == .completed)
    #expect(host.count("nap \(id)") == 1)
  }

  @Test("A second signal ends the host at once", arguments: [SIGTERM, SIGINT])
  func secondSignal(_ signal: Int32) async throws {
    let host = try await HostFixture(["drain": #"{"stop": "10m"}"#])
    let id = try await host.submit("gate", #""wait""#)
    try await eventually("it runs") { () async in host.count("gate \(id)") == 1 }
    let workers = try host.workerPids()
    kill(host.process.pid, signal)
    try await eventually("the drain has begun") { () async in !host.lines(containing: "taking stops").isEmpty }
    kill(host.process.pid, signal)
    #expect(try await host.process.end() == 1)
    #expect(!workers.contains(where: isAlive))
    try host.openGate()
    try await host.start()
    #expect(try await host.final(id)?.status == .completed)
    #expect(try await host.store.record(id)?.attempts == 1)
  }

  @Test("While it drains the host is not ready, says why, and starts nothing more")
  func draining() async throws {
    let host = try await HostFixture(["drain": #"{"stop": "10m"}"#])
    let id = try await host.submit("gate", #""wait""#)
    try await eventually("it runs") { () async in host.count("gate \(id)") == 1 }
    kill(host.process.pid, SIGTERM)
    try await eventually("it says that it drains") { () async throws in
      try host.send("GET", "/readyz").body.count > 0 && !host.lines(containing: "taking stops").isEmpty
    }
    let answer = try host.send("GET", "/readyz")
    #expect(answer.status == 503)
    #expect(answer.text.contains("the host is draining"))
    let late = try await host.submit("echo", "1")
    try host.openGate()
    #expect(try await host.process.end() == 0)
    try await host.start()
    for id in [id, late] { #expect(try await host.final(id)?.status == .completed) }
    #expect(host.count("gate \(id)") == 1)
  }

  @Test("A host that is killed takes its workers and its Redis with it")
  func killedHost() async throws {
    let host = try await HostFixture(workers: 1)
    let id = try await host.submit("gate", #""wait""#)
    try await eventually("it runs") { () async in host.count("gate \(id)") == 1 }
    let workers = try host.workerPids()
    let redis = try #require(try host.redisPid())
    #expect(workers.count == 1)
    #expect(try await host.stop(SIGKILL) == 128 + SIGKILL)
    try await eventually("they are gone") { () async in !(workers + [redis]).contains(where: isAlive) }
    try host.openGate()
    try await host.start()
    #expect(try await host.final(id)?.status == .completed)
    #expect(try await host.store.record(id)?.attempts == 1)
  }
}
