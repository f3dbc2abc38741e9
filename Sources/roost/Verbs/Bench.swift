// SPDX-License-Identifier: Apache-2.0
internal import Redis
internal import Synchronization
internal import TaskModel
internal import TaskStore
internal import Threading

extension Verb {
  /// Measures how many tasks a running host carries.
  static let bench = Verb(
    name: "bench", positionals: "TYPE", count: 1...1,
    summary: "Submit tasks of a type straight into the store while a host runs them, and print how fast it went",
    options: [
      Option(name: "redis", value: "URL", summary: "The Redis of the host, as in unix:///path/data/redis.sock"),
      Option(name: "prefix", value: "PREFIX", summary: "The host's redis.prefix; default: roost"),
      Option(name: "tasks", value: "N", summary: "How many tasks; default: 200000"),
      Option.json,
    ], run: runBench)
}

private func runBench(_ arguments: Arguments) throws(CommandError) -> ExitCode {
  guard let url = arguments.value("redis") else { throw .usage("--redis is missing", verb: .bench) }
  let count = arguments.value("tasks").map { Int($0) } ?? 200_000
  guard let count, count > 0 else { throw .usage("--tasks must be a number above 0", verb: .bench) }
  let address: RedisAddress
  do throws(RedisAddressError) { address = try RedisAddress(url) } catch {
    throw .usage(error.description, verb: .bench)
  }
  let bench = StoreBench(address, prefix: arguments.value("prefix") ?? "roost", type: arguments.positionals[0])
  let report: StoreBench.Report
  do throws(RedisError) { report = try bench.run(tasks: count) } catch { throw .failed(error.description) }
  if arguments.has("json") { try Terminal.write(report.json + [0x0a]) } else { try Terminal.line(report.text) }
  return .ok
}

/// One run: submitting and executing at once.
private struct StoreBench {
  struct Report {
    let tasks: Int
    let seconds: Double
    let redisMicros: Double
    let scriptCalls: Int64

    var perSecond: Double { Double(tasks) / seconds }
    var redisMicrosPerTask: Double { redisMicros / Double(tasks) }
    var callsPerTask: Double { Double(scriptCalls) / Double(tasks) }

    var text: String {
      "\(tasks) tasks in \(rounded(seconds)) s: \(Int(perSecond)) tasks/s, Redis \(rounded(redisMicrosPerTask)) µs a task, "
        + "\(rounded(callsPerTask, 10_000)) script calls a task"
    }

    var json: [UInt8] {
      var writer = JSONWriter()
      writer.beginObject()
      writer.member("tasks", Int64(tasks))
      writer.key("tasksPerSecond")
      writer.number(perSecond.rounded())
      writer.key("redisMicrosPerTask")
      writer.number(redisMicrosPerTask)
      writer.key("redisCallsPerTask")
      writer.number(callsPerTask)
      writer.endObject()
      return writer.bytes
    }

    private func rounded(_ value: Double, _ steps: Double = 100) -> Double { (value * steps).rounded() / steps }
  }

  /// Tasks under way at most: enough that batches fill, few enough that the queue stays short.
  static let window = 8192

  let address: RedisAddress
  let prefix: String
  let type: String

  init(_ address: RedisAddress, prefix: String, type: String) {
    self.address = address
    self.prefix = prefix
    self.type = type
  }

  func run(tasks: Int) throws(RedisError) -> Report {
    let store = TaskStore(address: address, prefix: prefix, name: "bench")
    store.start(types: [])
    defer { store.close() }
    let control = try RedisConnection(to: address, timeout: .seconds(10))
    while !store.isConnected { pause(1) }

    let params = Array("{\"text\":\"\(String(repeating: "x", count: 88))\"}".utf8)
    let first = try completed(control, store.keys)
    let (cpu, calls) = try usage(control)
    let began = MonotonicClock.now
    let failed = Atomic<Int>(0)
    try submit(tasks, params, store, control, first, failed)
    while try completed(control, store.keys) - first < Int64(tasks - failed.load(ordering: .relaxed)) { pause(1) }
    let seconds = Double(MonotonicClock.now - began) / 1e9
    let (cpuAfter, callsAfter) = try usage(control)
    guard failed.load(ordering: .relaxed) == 0 else {
      throw .refused("\(failed.load(ordering: .relaxed)) of \(tasks) submissions failed; does a host run \(type)?")
    }
    return Report(tasks: tasks, seconds: seconds, redisMicros: (cpuAfter - cpu) * 1e6, scriptCalls: callsAfter - calls)
  }

  private func submit(
    _ tasks: Int, _ params: [UInt8], _ store: TaskStore, _ control: RedisConnection, _ first: Int64,
    _ failed: borrowing Atomic<Int>
  ) throws(RedisError) {
    let progress = Monitor((stored: 0, failed: 0))
    var done: Int64 = 0
    for index in 0..<tasks {
      if index % 256 == 0 {
        while Int64(index) - done > Int64(Self.window) {
          done = try completed(control, store.keys) - first
          if Int64(index) - done > Int64(Self.window) { pause(2) }
        }
      }
      store.submit(Submission(type: type, params: params)) { result in
        progress.withLock { if case .success = result { $0.stored += 1 } else { $0.failed += 1 } }
        progress.signal()
      }
    }
    let total = progress.wait { $0.stored + $0.failed == tasks ? $0 : nil }
    failed.store(total?.failed ?? 0, ordering: .relaxed)
  }

  /// Tasks of the type that ever completed: those that are kept, and those that retention has removed.
  private func completed(_ control: RedisConnection, _ keys: Keys) throws(RedisError) -> Int64 {
    let reply = try control.call(RedisCommand(words: "HMGET", keys.counters(type), "COMPLETED", "done"))
    return (reply.arrayValue ?? []).compactMap(\.integerValue).reduce(0, +)
  }

  /// Seconds of CPU that Redis' main thread has used, and scripts it was asked to run.
  private func usage(_ control: RedisConnection) throws(RedisError) -> (cpu: Double, calls: Int64) {
    let cpu = try control.call(RedisCommand(words: "INFO", "cpu")).textValue ?? ""
    let stats = try control.call(RedisCommand(words: "INFO", "commandstats")).textValue ?? ""
    func field(_ text: String, _ name: String) -> Substring? {
      text.split(whereSeparator: \.isNewline).first { $0.hasPrefix(name) }?.dropFirst(name.utf8.count)
    }
    let seconds = ["used_cpu_sys_main_thread:", "used_cpu_user_main_thread:"].compactMap {
      field(cpu, $0).flatMap { Double($0) }
    }
    let calls = field(stats, "cmdstat_evalsha:calls=")?.prefix { $0.isNumber }
    return (seconds.reduce(0, +), calls.flatMap { Int64($0) } ?? 0)
  }

  private func pause(_ millis: Double) {
    let nobody = Monitor(false)
    let end = MonotonicClock.now + Int64(millis * 1e6)
    nobody.wait(until: end) { _ -> Bool? in nil }
  }
}
