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
    do {
      let session = try WorkerSession(
        to: host.address, keys: load.store.keys, worker: worker, epoch: 1, clock: load.store.clock)
      _ = try session.hello(lastBatch: 0, held: [], origins: [])
      var batch: Int64 = 0
      func take(_ count: Int) throws {
        var taken = 0
        while taken < count {
          batch += 1
          let order = WorkerSession.Take(
            type: BenchHost.type, queue: .tasks, batch: batch, count: min(WorkerSession.callTasks, count - taken))
          let tasks = try session.exchange(writes: [], emptied: [], takes: [order]).taken[0].tasks.count
          guard tasks > 0 else {
            throw CommandError.failed("\(count - taken) tasks that wait were not given to a worker")
          }
          taken += tasks
        }
      }
      try meter.learnSenders { () throws(CommandError) in
        do { try take(warmUp) } catch { throw .failed("\(error)") }
      }
      let before = try meter.read()
      try take(options.tasks)
      return meter.figures(before, try meter.read(), tasks: options.tasks, countsOwn: true)
    } catch let error as CommandError {
      throw error
    } catch {
      throw .failed("\(error)")
    }
  }

  /// The stage's own host does not run it, or its workers would take, too.
  private static let taken = TypeDefinition(
    name: BenchHost.type, executor: "echo/echo", callback: nil, exceptionHandler: nil, worker: "echo", threads: 1,
    retentionAge: .seconds(86_400), retentionCount: 1_000_000, maxParams: 4 << 20, maxResult: 4 << 20,
    queueCapacity: 1_000_000_000)
}
