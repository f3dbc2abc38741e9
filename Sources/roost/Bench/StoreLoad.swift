// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import Redis
internal import Synchronization
internal import TaskModel
internal import TaskStore
internal import Threading

/// Submits through the store, as a host does for its clients: this process is a host of its own without workers.
final class StoreLoad {
  /// Submissions without an answer, or tasks under way, at most: enough that batches fill.
  static let window = 8192

  let store: TaskStore
  private let meter: Meter
  private let answers = Answers()

  /// Shared with the store's thread.
  private final class Answers: Sendable {
    let stored = Atomic<Int>(0)
    let failed = Atomic<Int>(0)
    let failure = Lock<TaskStoreError?>(nil)

    var count: Int { stored.load(ordering: .relaxed) + failed.load(ordering: .relaxed) }
  }

  /// The store is closed when the host is ended; `types` and `worker` are those that it is the host of.
  init(
    _ host: BenchHost, _ meter: Meter, types: [TypeDefinition] = [], worker: String? = nil
  ) throws(CommandError) {
    self.meter = meter
    let store = TaskStore(address: host.address, prefix: host.prefix, name: "bench")
    self.store = store
    Remains.note(store: store)
    store.start(types: types)
    let end = MonotonicClock.millis + 10_000
    while !store.isConnected {
      guard MonotonicClock.millis < end else { throw .failed("the store does not connect to Redis") }
      usleep(1000)
    }
    do throws(RedisError) {
      try Remains.begin { () throws(RedisError) in try Heartbeat(store, worker) }
    } catch {
      throw .failed(error.description)
    }
  }

  /// Submits so many tasks and waits until all are stored; `completed`: how many had before, of which at most `window` are
  /// to be under way; nil: they may all wait.
  func submit(_ tasks: Int, _ params: [UInt8], after completed: Int? = nil) throws(CommandError) {
    let answers = answers
    let before = answers.count
    let submission = Submission(type: BenchHost.type, params: params)
    let note: @Sendable (Result<Receipt, TaskStoreError>) -> Void = { result in
      switch result {
      case .success: answers.stored.add(1, ordering: .relaxed)
      case .failure(let error):
        answers.failure.withLock { $0 = error }
        answers.failed.add(1, ordering: .relaxed)
      }
    }
    for index in 0..<tasks {
      if index % 256 == 0 {
        while index - (answers.count - before) > Self.window { usleep(200) }
        if let completed, index > Self.window { try wait(untilCompleted: completed + index - Self.window) }
      }
      store.submit(submission, note)
    }
    while answers.count - before < tasks { usleep(200) }
    if let failure = answers.failure.withLock({ $0 }) {
      throw .failed("\(answers.failed.load(ordering: .relaxed)) submissions failed: \(failure)")
    }
  }

  /// Waits until so many tasks of the type have completed; answers how many have.
  @discardableResult
  func wait(untilCompleted count: Int) throws(CommandError) -> Int {
    var last = (count: -1, at: MonotonicClock.millis)
    while true {
      let done = try meter.completed()
      if done >= count { return done }
      if done != last.count { last = (done, MonotonicClock.millis) }
      guard MonotonicClock.millis - last.at < BenchHost.patience else {
        throw .failed("no task has completed for \(BenchHost.patience / 1000) s; \(count - done) are missing")
      }
      usleep(2000)
    }
  }

  /// Removes all that completed, by the calls with which a host keeps to a type's retention; answers microseconds of Redis' CPU
  /// for each.
  func trim() throws(CommandError) -> Double {
    let (tasks, before) = (try meter.completed(), try meter.redisSeconds())
    do throws(RedisError) {
      let redis = try Housekeeping(to: store.address, keys: store.keys)
      func step() throws(RedisError) -> Bool {
        try redis.retain(type: BenchHost.type, list: "done", count: 0, before: Timestamp(millis: 0))
      }
      while try Remains.write(step) {}
    } catch {
      throw .failed(error.description)
    }
    return (try meter.redisSeconds() - before) * 1e6 / Double(tasks)
  }
}

/// Does every second what a host's heartbeat does for its store: Redis hears that it lives, and it hears how much waits.
final class Heartbeat: Sendable {
  private let isOver = Monitor(false)
  private let thread: NativeThread

  /// The first one is over when it returns: a store that knows of no backlog asks for it with each call.
  init(_ store: TaskStore, _ worker: String?) throws(RedisError) {
    let workers = worker.map { [Housekeeping.Beat(worker: $0, lastBatch: 0, held: [])] } ?? []
    // Handed over to the thread.
    nonisolated(unsafe) let redis = try Housekeeping(to: store.address, keys: store.keys)
    @Sendable func beat() throws(RedisError) {
      store.note(try redis.beat(host: store.hostID, types: [BenchHost.type], workers: workers).backlogs)
    }
    try beat()
    thread = NativeThread(name: "heartbeat") { [isOver] in
      // One that is missed does no harm.
      while isOver.wait(until: MonotonicClock.now + 1_000_000_000, { $0 ? true : nil }) == nil { try? beat() }
    }
  }

  func end() {
    isOver.withLock { $0 = true }
    isOver.signal()
    thread.join()
  }
}
