// SPDX-License-Identifier: Apache-2.0
import FlightBoard
import Foundation
import TaskModel
import TestSupport
import Testing

@testable import Worker

@Suite("What a worker has under way stands on its flight board")
struct FlightTests {
  @Test("From the start of the code to its outcome, also while no thread runs it", arguments: ["gate", "pend"])
  func attempts(_ executor: String) async throws {
    let worker = try WorkerFixture(executor)
    let ids = [try await worker.submit(#""wait""#), try await worker.submit(#""wait""#)]
    try await eventually("both have begun") { () async in
      ids.allSatisfy { worker.journal.contains("\(executor) \($0)") }
    }
    let flights = worker.board.flights
    #expect(Set(flights.map(\.task)) == Set(ids))
    #expect(flights.allSatisfy { $0.kind == .attempt && $0.take == 1 && $0.type == 0 && $0.startedAt > 0 })
    try Data().write(to: URL(fileURLWithPath: worker.redis.directory.path + "/journal.open"))
    for id in ids { #expect(try await worker.final(id)?.status == .completed) }
    try await eventually("nothing is under way") { () async in worker.board.flights.isEmpty }
  }

  @Test("Slots are used again, however many tasks come")
  func again() async throws {
    let worker = try WorkerFixture()
    var ids: [TaskID] = []
    for number in 0..<200 { ids.append(try await worker.submit("\(number)")) }
    for id in ids { #expect(try await worker.final(id)?.status == .completed) }
    try worker.leavesNothingBehind()
    #expect(worker.board.flights.isEmpty)
    #expect(worker.core.pools[0].attempts.finished == 200)
  }
}
