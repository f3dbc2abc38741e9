// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import TaskModel
internal import TaskStore
internal import Threading

/// `latency`: a steady and light load, each task followed from its submission until it is known to be COMPLETED.
extension Bench {
  /// Seconds of load.
  private static let seconds = 10
  /// Seconds for the last tasks to end.
  private static let patience: Int64 = 30

  private var tasks: Int { max(1, min(options.tasks, options.rate * Self.seconds)) }
  private var interval: Int64 { 1_000_000_000 / Int64(options.rate) }

  func latency(_ host: BenchHost, _ meter: Meter) throws(CommandError) -> (store: Figures, http: Figures) {
    let load = try StoreLoad(host, meter)
    let slow = options.isSlow ? SlowLoad(load.store, host, options) : nil
    defer { slow?.end() }
    try warmUp(load, meter)
    let first = try meter.completed()
    let before = try meter.read()
    let store = try overStore(load.store)
    let between = try meter.read()
    let http = try overHTTP(host)
    let after = try meter.read()
    // Both were told that their tasks are final; they completed if as many did.
    try load.wait(untilCompleted: first + 2 * tasks)
    return (
      meter.figures(before, between, tasks: tasks, countsOwn: true).merging(.percentiles(of: store)) { $1 },
      meter.figures(between, after, tasks: tasks, countsOwn: false).merging(.percentiles(of: http)) { $1 }
    )
  }

  private func overStore(_ store: TaskStore) throws(CommandError) -> [Int64] {
    let state = Monitor((times: [Int64](), failure: TaskStoreError?.none))
    let submission = Submission(type: BenchHost.type, params: options.paramsText)
    let start = MonotonicClock.now
    for index in 0..<tasks {
      sleep(until: start + Int64(index) * interval)
      let began = MonotonicClock.now
      store.submit(submission, awaitingFinal: .seconds(Self.patience)) { result in
        guard case .failure(let error) = result else { return }
        state.withLock { $0.failure = error }
        state.signal()
      } final: {
        state.withLock { $0.times.append(MonotonicClock.now - began) }
        state.signal()
      }
    }
    let end = MonotonicClock.now + (Self.patience + 1) * 1_000_000_000
    let (times, failure) =
      state.wait(until: end) { [tasks] in
        $0.times.count == tasks || $0.failure != nil ? $0 : nil
      } ?? state.withLock { $0 }
    if let failure { throw .failed("a submission failed: \(failure)") }
    guard times.count == tasks else { throw .failed("\(tasks - times.count) of \(tasks) tasks did not end") }
    return times
  }

  private func overHTTP(_ host: BenchHost) throws(CommandError) -> [Int64] {
    let load = try HTTPLoad(port: host.port, connections: options.connections)
    let request = load.request("POST", "/v1/tasks?wait=30s", submission)
    var idle = Array(0..<load.count)
    var starts = [Int64](repeating: 0, count: load.count)
    var times: [Int64] = []
    var sent = 0
    let start = MonotonicClock.now
    while times.count < tasks {
      let now = MonotonicClock.now
      while sent < tasks, start + Int64(sent) * interval <= now, let index = idle.popLast() {
        sent += 1
        starts[index] = MonotonicClock.now
        try load.send(request, on: index)
      }
      guard now - start < (Int64(Self.seconds) + Self.patience) * 1_000_000_000 else {
        throw .failed("\(tasks - times.count) of \(tasks) tasks did not end")
      }
      let next = sent < tasks && !idle.isEmpty ? start + Int64(sent) * interval - now : 1_000_000_000
      try load.receive(within: Int32(clamping: max(0, next + 999_999) / 1_000_000)) {
        index, reply throws(CommandError) in
        guard reply.status == 200 else { throw Self.refused(reply) }
        times.append(reply.receivedAt - starts[index])
        idle.append(index)
      }
    }
    return times
  }

  private func sleep(until time: Int64) {
    var at = timespec(tv_sec: Int(time / 1_000_000_000), tv_nsec: Int(time % 1_000_000_000))
    while clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, nil) == EINTR {}
  }
}
