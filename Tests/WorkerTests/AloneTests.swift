// SPDX-License-Identifier: Apache-2.0
import TaskModel
import TaskStore
import TestSupport
import Testing

@testable import Worker

@Suite("A worker for what is to run alone")
struct AloneTests {
  private let alone = WakeProtocol.Source(pool: 0, queue: .alone)

  @Test("It takes from the queue of such tasks and waits for its token, and for nothing else")
  func protocolOfOneQueue() {
    var wake = WakeProtocol(pools: 1, queues: [.alone])
    wake.listenerConnected(1)
    let free: WakeProtocol.Demand = { _ in 1 }
    #expect(wake.roundBegins(free).orders == [.init(source: alone, count: 1)])
    #expect(wake.waitBegins(patience: false, free) == [alone])
    wake.waitEnded()
    let accepted = wake.tokenCame(alone, free)
    #expect(accepted)
    #expect(wake.roundBegins { _ in 0 }.orders.isEmpty)
    #expect(wake.roundBegins(free).orders == [.init(source: alone, count: 1)])
  }

  /// Takes tasks as another worker would, and dies with them as suspects.
  private func suspect(_ ids: [TaskID], of type: String, _ worker: WorkerProcess) throws {
    let other = RandomID.make()
    let session = try WorkerSession(
      to: worker.redis.address, keys: Keys(prefix: "roost"), worker: other, epoch: 1, clock: RedisClock())
    _ = try session.hello(lastBatch: 0, held: [], origins: [])
    let taken = try session.exchange(
      writes: [], emptied: [], takes: [.init(type: type, queue: .tasks, batch: 1, count: 10)]
    ).taken[0]
    #expect(Set(taken.tasks.map(\.id)) == Set(ids))
    let housekeeping = try Housekeeping(to: worker.redis.address, keys: Keys(prefix: "roost"))
    try housekeeping.reap(
      other, WorkerLoss(findings: taken.tasks.map { .init(id: $0.id, take: 1, verdict: .suspect) }, counts: false))
  }

  @Test("It leaves other tasks alone, and runs suspects one after the other, each with its handler call")
  func oneAtATime() async throws {
    let worker = try await WorkerProcess(runsAlone: true) { workbench, _ in
      [workbench.type("echo", threads: 1, callback: "written")]
    }
    var ids: [TaskID] = []
    for number in 1...5 { ids.append(try await worker.submit("echo", "\(number)")) }
    try suspect(ids, of: "echo", worker)
    let other = try await worker.submit("echo", "6")
    for id in ids {
      await worker.store.awaitFinal(id, within: .seconds(20))
      #expect(try await worker.store.record(id)?.status == .completed)
    }
    try await eventually("all handlers were called") { () async in
      worker.text("journal").split(separator: "\n").count == ids.count
    }
    #expect(try worker.state(other) == "P")
    #expect(try worker.redis.cli("llen", "roost:{00}:q:echo") == "1")

    let requests = worker.proxy.takeLog().requests.map {
      (script: $0.script, text: String(decoding: $0.bytes, as: UTF8.self))
    }
    let takes = requests.filter { $0.script == .take }
    #expect(takes.count > ids.count)
    #expect(takes.allSatisfy { $0.text.contains("\r\nsq\r\n") })
    // Outcome and report of the handler are written before the next task is taken.
    let order = requests.compactMap { $0.script == .take ? "t" : $0.script == .complete ? "c" : nil }.joined()
    #expect(order.contains("tcctcctcctcctcc"), "\(order)")
    #expect(requests.allSatisfy { !$0.text.contains("roost:{00}:wake:") && !$0.text.contains("roost:{00}:hwake:") })
    #expect(requests.contains { $0.text.contains("roost:{00}:swake:echo") })
  }
}
