// SPDX-License-Identifier: Apache-2.0
internal import Redis
internal import TaskModel
internal import TaskStore

/// `take`: what it costs to give waiting tasks to a worker, and nothing else.
extension Bench {
  func take(_ host: BenchHost, _ meter: Meter) throws(CommandError) -> Figures {
    let worker = RandomID.make()
    let load = try StoreLoad(host, meter, types: [Self.taken], worker: worker)
    try load.submit(options.backlog + warmUp + options.tasks, options.paramsText)
    let taker = try Taker(worker, load.store)
    try meter.learnSenders { () throws(CommandError) in try taker.take(warmUp) }
    let before = try meter.read()
    try taker.take(options.tasks)
    return meter.figures(before, try meter.read(), tasks: options.tasks, countsOwn: true)
  }

  /// The stage's own host does not run it, or its workers would take, too.
  private static let taken = TypeDefinition(
    name: BenchHost.type, executor: "echo/echo", callback: nil, exceptionHandler: nil, worker: "echo", threads: 1,
    retentionAge: .seconds(86_400), retentionCount: 1_000_000, maxParams: 4 << 20, maxResult: 4 << 20,
    queueCapacity: 1_000_000_000)
}

/// A worker that only takes.
private final class Taker {
  private let session: WorkerSession
  private var batch: Int64 = 0

  init(_ worker: String, _ store: TaskStore) throws(CommandError) {
    do {
      session = try WorkerSession(to: store.address, keys: store.keys, worker: worker, epoch: 1, clock: store.clock)
      _ = try session.hello(lastBatch: 0, held: [], origins: [])
    } catch {
      throw .failed("no worker could begin to take: \(error)")
    }
  }

  func take(_ count: Int) throws(CommandError) {
    var left = count
    while left > 0 {
      batch += 1
      let order = WorkerSession.Take(
        type: BenchHost.type, queue: .tasks, batch: batch, count: min(WorkerSession.callTasks, left))
      let taken: Int
      do { taken = try session.exchange(writes: [], emptied: [], takes: [order]).taken[0].tasks.count } catch {
        throw .failed("\(left) of \(count) tasks were not taken: \(error)")
      }
      guard taken > 0 else { throw .failed("\(left) of \(count) tasks were not given to a worker, and wait") }
      left -= taken
    }
  }
}
