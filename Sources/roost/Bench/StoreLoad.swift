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
  private let heartbeat: Heartbeat
  private let answers = Answers()

  /// Shared with the store's thread.
  private final class Answers: Sendable {
    let stored = Atomic<Int>(0)
    let failed = Atomic<Int>(0)
    let failure = Lock<TaskStoreError?>(nil)

    var count: Int { stored.load(ordering: .relaxed) + failed.load(ordering: .relaxed) }
  }

  init(_ host: BenchHost, _ meter: Meter) throws(CommandError) {
    self.meter = meter
    store = TaskStore(address: host.address, prefix: host.prefix, name: "bench")
    store.start(types: [])
    let end = MonotonicClock.millis + 10_000
    while !store.isConnected {
      guard MonotonicClock.millis < end else { throw .failed("the store does not connect to Redis") }
      usleep(1000)
    }
    do throws(RedisError) { heartbeat = try Heartbeat(store) } catch { throw .failed(error.description) }
  }

  func close() {
    heartbeat.end()
    store.close()
  }

  /// Submits so many tasks and waits until all are stored; `mayGoOn` is asked now and then, and waited for.
  func submit(
    _ tasks: Int, _ params: [UInt8], to type: String = BenchHost.type, delay: Duration? = nil,
    mayGoOn: (_ submitted: Int) throws(CommandError) -> Bool = { _ in true }
  ) throws(CommandError) {
    let answers = answers
    let before = answers.count
    var submission = Submission(type: type, params: params)
    submission.due = delay.map { .after($0) }
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
        while try !mayGoOn(index) { usleep(1000) }
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
      guard MonotonicClock.millis - last.at < Self.patience else {
        throw .failed("no task has completed for \(Self.patience / 1000) s; \(count - done) are missing")
      }
      usleep(2000)
    }
  }

  /// Milliseconds without any progress after which a stage is given up.
  private static let patience: Int64 = 60_000
}

/// Does every second what a host's heartbeat does for its store: Redis hears that it lives, and it hears how much waits.
private final class Heartbeat {
  private let isOver = Monitor(false)
  private let thread: NativeThread

  /// The first one is over when it returns: a store that knows of no backlog asks for it with each call.
  init(_ store: TaskStore) throws(RedisError) {
    // Handed over to the thread.
    nonisolated(unsafe) let redis = try Housekeeping(to: store.address, keys: store.keys)
    @Sendable func beat() throws(RedisError) {
      store.note(try redis.beat(host: store.hostID, types: [BenchHost.type], workers: []).backlogs)
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
