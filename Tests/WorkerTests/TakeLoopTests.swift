// SPDX-License-Identifier: Apache-2.0
import TaskModel
import TaskStore
import TestSupport
import Testing
import Synchronization
import Threading
import WorkerControl

@testable import Worker

@Suite("A worker whose connection breaks")
struct TakeLoopTests {
  @Test("Params that cannot be read give the batch back, and the task runs at its first attempt")
  func brokenRead() async throws {
    let worker = try WorkerFixture()
    let cut = Lock(1)
    worker.proxy.intercept { request in
      guard request.name == "MGET" else { return .pass }
      return cut.withLock { left in
        defer { left -= 1 }
        return left > 0 ? .loseAnswer : .pass
      }
    }
    let params = "\"" + String(repeating: "x", count: 50_000) + "\""
    let id = try await worker.submit(params)
    let record = try await worker.final(id)
    #expect(record?.status == .completed)
    let isWhole = record?.result == Array(params.utf8)
    #expect(isWhole)
    #expect(record?.attempts == 1)
    #expect(cut.withLock { $0 } < 1)
    try worker.leavesNothingBehind()
  }

  @Test("Outcomes whose answer was lost are repeated, and each handler is called once")
  func lostAnswer() async throws {
    let worker = try WorkerFixture()
    worker.proxy.spoilNext(.completed, .loseAnswer)
    var ids: [TaskID] = []
    for number in 0..<20 { ids.append(try await worker.submit("\(number)")) }
    for (number, id) in ids.enumerated() {
      let record = try await worker.final(id)
      #expect(record?.result == Array("\(number)".utf8))
      #expect(record?.attempts == 1)
    }
    try worker.leavesNothingBehind()
    #expect(worker.journal.sorted() == ids.map { "completed \($0)" }.sorted())
  }

  @Test("A batch whose answer was lost is given back and run")
  func lostTake() async throws {
    let worker = try WorkerFixture()
    worker.proxy.spoilNext(.take, .loseAnswer)
    let id = try await worker.submit("1")
    #expect(try await worker.final(id)?.status == .completed)
    try worker.leavesNothingBehind()
    #expect(worker.journal == ["completed \(id)"])
  }
}
