// SPDX-License-Identifier: Apache-2.0
import FlightBoard
import Foundation
import TaskModel
import TaskStore
import TestSupport
import Testing
import WorkerControl

@Suite("A worker process and its host")
struct WorkerProcessTests {
  private func hasLease(_ worker: WorkerProcess) throws -> Bool {
    try worker.redis.cli("hexists", "roost:{00}:leases", worker.id) == "1"
  }

  @Test("It has nothing to do with Redis before it is told to begin, and a drain before that ends it")
  func begin() async throws {
    let worker = try await WorkerProcess(begins: false) { workbench, _ in [workbench.type("echo")] }
    #expect(worker.proxy.takeLog().requests.isEmpty)
    worker.tell(.drain(withinMillis: 1000))
    #expect(try await worker.end() == 0)
    #expect(worker.messages == [.loaded, .drained])
    #expect(worker.proxy.takeLog().requests.isEmpty)

    let other = try await WorkerProcess { workbench, _ in [workbench.type("echo")] }
    #expect(try hasLease(other))
  }

  @Test("A drain ends it also while it cannot reach Redis")
  func drainWithoutRedis() async throws {
    let worker = try await WorkerProcess(begins: false) { workbench, _ in [workbench.type("echo")] }
    worker.proxy.intercept { _ in .loseRequest }
    worker.tell(.begin)
    try await eventually("it has tried") { () async in !worker.proxy.takeLog().requests.isEmpty }
    worker.tell(.drain(withinMillis: 1000))
    #expect(try await worker.end() == 0)
    #expect(worker.messages.last == .drained)
  }

  @Test("A second drain shortens the time of the first")
  func secondDrain() async throws {
    let worker = try await WorkerProcess { workbench, _ in [workbench.type("nap")] }
    let id = try await worker.run("nap", "120000")
    worker.tell(.drain(withinMillis: 120_000))
    worker.tell(.drain(withinMillis: 200))
    #expect(try await worker.end() == 0)
    #expect(worker.messages.last == .drained)
    #expect(try worker.state(id) == "P")
  }

  @Test("Heartbeats count the attempts that have ended")
  func finished() async throws {
    let worker = try await WorkerProcess { workbench, _ in [workbench.type("echo"), workbench.type("fail")] }
    for type in ["echo", "echo", "fail"] { _ = try await worker.submit(type) }
    try await worker.hears("three have ended") { if case .beat(_, _, _, _, 3) = $0 { true } else { false } }
  }

  @Test("Its log goes to the host's, standard output and error are the plugins', and what they start inherits neither")
  func descriptors() async throws {
    let worker = try await WorkerProcess { _, crasher in [crasher.type("descriptors"), crasher.type("takeover")] }
    let id = try await worker.submit("descriptors")
    await worker.store.awaitFinal(id, within: .seconds(20))
    #expect(try await worker.store.record(id)?.result == Array("[false,false,false]".utf8))
    _ = try await worker.submit("takeover")
    try await eventually("it tells of the handler") { () async in
      worker.text("log").split(separator: "\n").contains {
        $0.hasPrefix("{") && $0.contains("has taken over signal 11")
      }
    }
    #expect(worker.text("output").isEmpty)
  }

  @Test("A crash is marked as its task's", arguments: [("segv", SIGSEGV), ("overflow", SIGSEGV), ("leave", 0)])
  func crash(_ executor: String, _ signal: Int32) async throws {
    let worker = try await WorkerProcess { workbench, crasher in [workbench.type("pend"), crasher.type(executor)] }
    let neighbour = try await worker.run("pend")
    let culprit = try await worker.submit(executor)
    #expect(try await worker.end() == (signal == 0 ? 3 : 128 + signal))
    let crash = try #require(worker.board.crash)
    #expect(crash.signal == signal)
    #expect(crash.flight?.task == culprit)
    #expect(crash.flight?.type == 1)
    #expect(Set(worker.board.flights.map(\.task)) == [neighbour, culprit])
  }

  @Test("A crash of a handler is marked as its call's")
  func handlerCrash() async throws {
    let worker = try await WorkerProcess { _, crasher in
      [crasher.type("descriptors", name: "other"), crasher.type("descriptors", callback: "burst")]
    }
    let id = try await worker.submit("descriptors")
    #expect(try await worker.end() == 128 + SIGSEGV)
    let flight = try #require(worker.board.crash?.flight)
    #expect(flight.kind == .handler)
    #expect(flight.task == id)
    #expect(flight.type == 1)
    #expect(flight.take == 1)
    #expect(try worker.state(id) == "C")
  }

  @Test("A crash of a cancel function is marked as that task's")
  func cancelCrash() async throws {
    let worker = try await WorkerProcess { workbench, crasher in [workbench.type("pend"), crasher.type("patient")] }
    _ = try await worker.run("pend")
    let culprit = try await worker.run("patient")
    _ = try await worker.store.cancel(culprit)
    #expect(try await worker.end() == 128 + SIGSEGV)
    #expect(worker.board.crash?.flight?.task == culprit)
  }

  @Test("A crash is marked before a handler that a plugin has installed since gets it")
  func takenOver() async throws {
    let worker = try await WorkerProcess { _, crasher in [crasher.type("takeover"), crasher.type("segv")] }
    _ = try await worker.submit("takeover")
    try await eventually("it is noticed") { () async in worker.text("log").contains("has taken over") }
    let culprit = try await worker.submit("segv")
    #expect(try await worker.end() == 77)
    #expect(worker.board.crash?.flight?.task == culprit)
  }
}
