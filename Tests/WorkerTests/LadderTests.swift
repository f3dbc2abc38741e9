// SPDX-License-Identifier: Apache-2.0
import FlightBoard
import Foundation
import TaskModel
import TaskStore
import TestSupport
import Testing
import WorkerControl

@Suite("Code that does not stop when it is told to")
struct LadderTests {
  /// `stuck` does not heed that its time is over; what runs beside it needs `need` at most.
  private func worker(stuck grace: Int64 = 50, need: Int64 = 5000) async throws -> WorkerProcess {
    try await WorkerProcess { workbench, _ in
      [
        workbench.type("gate", name: "stuck", timeoutMillis: 100, graceMillis: grace),
        workbench.type("gate", name: "deaf", graceMillis: need),
        workbench.type("nap", graceMillis: need),
      ]
    }
  }

  @Test("Beyond a deadline: the verdict is written, the host is told, the process ends")
  func deadline() async throws {
    let worker = try await worker()
    let id = try await worker.run("stuck")
    let said = try await worker.overstays()
    #expect(said.map(\.overstay) == [.init(task: id.description, take: 1, reason: .timeout)])
    #expect(said.map(\.millis) == [0])
    #expect(try await worker.end() == 5)
    #expect(try worker.overdueTake(id) == [1, 0, 0, 0])
    #expect(try worker.state(id) == "R")
    #expect(worker.board.flights.map(\.task) == [id])
    #expect(worker.board.crash == nil)
  }

  @Test("After a cancel, too; the record says it already")
  func cancel() async throws {
    let worker = try await worker(need: 50)
    let id = try await worker.run("deaf")
    _ = try await worker.store.cancel(id)
    #expect(try await worker.overstays().map(\.overstay) == [.init(task: id.description, take: 1, reason: .cancel)])
    #expect(try await worker.end() == 5)
    #expect(try worker.overdueTake(id) == [0, 0, 0, 0])
    // Shown as IN_PROGRESS at the latest then, however short it ran.
    #expect(try worker.state(id) == "R")
  }

  @Test(
    "Neighbours that end in time are written, nothing new starts, and the process does not wait longer than for them")
  func neighbours() async throws {
    let worker = try await worker(stuck: 300)
    let stuck = try await worker.run("stuck")
    let nap = try await worker.run("nap", "1200")
    let start = ContinuousClock.now
    let said = try await worker.overstays()
    #expect(said.map(\.overstay.task) == [stuck.description])
    #expect(said.map(\.millis) == [5000])
    let late = try await worker.submit("nap", "1")
    #expect(try await worker.end() == 5)
    #expect(ContinuousClock.now - start < .seconds(4))
    let record = try #require(try await worker.store.record(nap))
    #expect(record.status == .completed)
    #expect(record.result == Array(#""rested""#.utf8))
    #expect(try worker.state(late) == "P")
  }

  @Test("Neighbours that heed being asked are given back at no attempt; those that do not are left to the host")
  func slowNeighbours() async throws {
    let worker = try await worker(stuck: 300, need: 800)
    let stuck = try await worker.run("stuck")
    let nap = try await worker.run("nap", "60000")
    let deaf = try await worker.run("deaf")
    #expect(try await worker.overstays().map(\.millis) == [800])
    #expect(try await worker.end() == 5)
    #expect(try worker.state(nap) == "P")
    #expect(try await worker.store.record(nap)?.attempts == 0)
    #expect(try worker.state(deaf) == "R")
    #expect(Set(worker.board.flights.map(\.task)) == [stuck, deaf])
    let housekeeping = try Housekeeping(to: worker.redis.address, keys: Keys(prefix: "roost"))
    try housekeeping.reap(worker.id, WorkerLoss(counts: false))
    #expect(try worker.state(deaf) == "P")
  }

  @Test("More of them may come while the worker leaves; they get no time of their own")
  func several() async throws {
    let worker = try await WorkerProcess { workbench, _ in
      [
        workbench.type("gate", name: "stuck", timeoutMillis: 100, graceMillis: 300),
        workbench.type("gate", name: "deaf", graceMillis: 100),
        workbench.type("nap", graceMillis: 8000),
      ]
    }
    let second = try await worker.run("deaf")
    let nap = try await worker.run("nap", "2500")
    let first = try await worker.run("stuck")
    #expect(try await worker.overstays().map(\.overstay.task) == [first.description])
    _ = try await worker.store.cancel(second)
    let said = try await worker.overstays(2)
    #expect(said.map(\.overstay.task) == [first.description, second.description])
    #expect(said[0].millis == 8000)
    #expect(said[1].millis < 8000)
    #expect(try await worker.end() == 5)
    #expect(try worker.state(nap) == "C")
  }

  @Test("Code that ends after all before its process does has its outcome written")
  func late() async throws {
    let worker = try await worker(need: 20_000)
    let stuck = try await worker.run("stuck")
    let deaf = try await worker.run("deaf")
    _ = try await worker.overstays()
    try worker.openGate()
    #expect(try await worker.end() == 5)
    #expect(try worker.state(stuck) == "C")
    #expect(try worker.state(deaf) == "C")
    #expect(worker.board.flights.isEmpty)
  }

  @Test("While Redis is away the process ends all the same, two seconds later")
  func redisAway() async throws {
    let worker = try await worker()
    _ = try await worker.run("stuck")
    worker.proxy.intercept { $0.script == nil ? .pass : .loseRequest }
    _ = try await worker.overstays()
    let start = ContinuousClock.now
    #expect(try await worker.end() == 5)
    let time = ContinuousClock.now - start
    #expect(time > .seconds(1) && time < .seconds(15), "\(time)")
  }

  @Test("A worker that drains does the same")
  func draining() async throws {
    let worker = try await worker(need: 50)
    let id = try await worker.run("deaf")
    worker.tell(.drain(withinMillis: 60_000))
    _ = try await worker.store.cancel(id)
    #expect(try await worker.overstays().map(\.overstay.reason) == [.cancel])
    #expect(try await worker.end() == 5)
  }

  @Test("Who was asked to stop only because the worker goes does not overstay")
  func onlyDrain() async throws {
    let worker = try await worker(need: 50)
    let id = try await worker.run("deaf")
    worker.tell(.drain(withinMillis: 300))
    // Long after both times.
    try await worker.hears("many heartbeats") { if case .beat(20, _, _, _, _) = $0 { true } else { false } }
    #expect(!worker.messages.contains { if case .overstayed = $0 { true } else { false } })
    try worker.openGate()
    #expect(try await worker.end() == 0)
    #expect(try worker.state(id) == "C")
  }
}
