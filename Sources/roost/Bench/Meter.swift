// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import Redis
internal import TaskModel
internal import TaskStore
internal import Threading

/// Reads what host, workers, this process and Redis have used, on a connection of its own.
final class Meter {
  struct Reading {
    let at: Int64
    /// Nanoseconds of CPU.
    let host: Int64
    let workers: Int64
    let own: Int64
    /// Seconds of CPU of Redis' main thread.
    let redis: Double
    /// By command; those of scripts too.
    let calls: [String: Int64]
    /// Commands that this meter sent.
    let asked: Int64
    let memory: Int64
    /// Tasks of the slow type that have completed.
    let slow: Int
  }

  private let host: BenchHost
  private let control: RedisConnection
  private let keys: Keys
  private var asked: Int64 = 0
  /// Nil: not known.
  private var senders: CommandSenders?

  init(_ host: BenchHost) throws(CommandError) {
    self.host = host
    keys = Keys(prefix: host.prefix)
    do throws(RedisError) { control = try RedisConnection(to: host.address, timeout: .seconds(30)) } catch {
      throw .failed(error.description)
    }
  }

  func ask(_ words: RedisCommand) throws(CommandError) -> RedisReply {
    asked += 1
    do throws(RedisError) { return try control.call(words) } catch { throw .failed(error.description) }
  }

  /// A section of INFO by its fields.
  func info(_ section: String) throws(CommandError) -> [Substring: Substring] {
    let text = try ask(RedisCommand(words: "INFO", section)).textValue ?? ""
    let pairs: [(Substring, Substring)] = text.split(whereSeparator: \.isNewline).compactMap { line in
      line.firstIndex(of: ":").map { (line[..<$0], line[$0...].dropFirst()) }
    }
    return Dictionary(pairs) { $1 }
  }

  /// Tasks of a type that ever completed: those that are kept, and those that retention has removed.
  func completed(_ type: String = BenchHost.type) throws(CommandError) -> Int {
    let reply = try ask(RedisCommand(words: "HMGET", keys.counters(type), "COMPLETED", "done"))
    return Int((reply.arrayValue ?? []).compactMap(\.integerValue).reduce(0, +))
  }

  func memory() throws(CommandError) -> Int64 {
    try info("memory")["used_memory"].flatMap { Int64($0) } ?? 0
  }

  /// Seconds of CPU that Redis' main thread has used.
  func redisSeconds() throws(CommandError) -> Double {
    let cpu = try info("cpu")
    return ["used_cpu_sys_main_thread", "used_cpu_user_main_thread"].reduce(0) { sum, name in
      sum + (cpu[name].flatMap { Double($0) } ?? 0)
    }
  }

  func read() throws(CommandError) -> Reading {
    let (redis, stats) = (try redisSeconds(), try info("commandstats"))
    var calls: [String: Int64] = [:]
    for (name, fields) in stats where name.hasPrefix("cmdstat_") && fields.hasPrefix("calls=") {
      let command = String(name.dropFirst("cmdstat_".count).prefix { $0 != "|" })
      calls[command, default: 0] += Int64(fields.dropFirst("calls=".count).prefix { $0.isNumber }) ?? 0
    }
    return Reading(
      at: MonotonicClock.now, host: cpuNanos(of: host.pid),
      workers: host.workerPids.reduce(0) { $0 + cpuNanos(of: $1) },
      own: cpuNanos(of: getpid()), redis: redis, calls: calls, asked: asked, memory: try memory(),
      slow: try completed(BenchHost.slowType))
  }

  /// Learns from a short run which commands come from clients and which from scripts, if Redis tells.
  func learnSenders(_ run: () throws(CommandError) -> Void) throws(CommandError) {
    let monitor = try CommandMonitor(host.address)
    defer { senders = monitor?.end() }
    try run()
  }

  /// What lies between two readings, by task; `countsOwn`: this process does what a host does.
  func figures(_ from: Reading, _ to: Reading, tasks: Int, countsOwn: Bool) -> Figures {
    let count = Double(tasks)
    let seconds = Double(to.at - from.at) / 1e9
    let hosts = Double(to.host - from.host + (countsOwn ? to.own - from.own : 0)) / 1e3 / count
    let workers = Double(to.workers - from.workers) / 1e3 / count
    let all = to.calls.map { ($0.key, $0.value - (from.calls[$0.key] ?? 0)) }
    let calls = senders.map { max(0, $0.sentByClients(all) - Double(to.asked - from.asked)) / count }
    let slow = to.slow > 0 ? [Figure.slowTasksPerSecond: Double(to.slow - from.slow) / seconds] : [:]
    var figures: Figures = [
      .tasks: count, .seconds: seconds, .tasksPerSecond: count / seconds,
      .redisMicrosPerTask: (to.redis - from.redis) * 1e6 / count,
      .hostMicrosPerTask: hosts, .workerMicrosPerTask: workers, .cpuMicrosPerTask: hosts + workers,
    ]
    figures[.redisCallsPerTask] = calls
    return figures.merging(residents()) { $1 }.merging(slow) { $1 }
  }

  /// What host and the largest worker have in memory.
  func residents() -> Figures {
    [
      .hostRSSBytes: Double(residentBytes(of: host.pid)),
      .workerRSSBytes: Double(host.workerPids.map(residentBytes).max() ?? 0),
    ]
  }
}

/// Nanoseconds of CPU that all threads of a process have used; 0 when it is gone.
private func cpuNanos(of pid: pid_t) -> Int64 {
  var clock = clockid_t()
  var time = timespec()
  guard clock_getcpuclockid(pid, &clock) == 0, clock_gettime(clock, &time) == 0 else { return 0 }
  return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
}

/// Bytes of a process that are in memory; 0 when it is gone.
private func residentBytes(of pid: pid_t) -> Int {
  let fields = BenchDirectory.text("/proc/\(pid)/statm").split(separator: " ")
  return fields.count > 1 ? (Int(fields[1]) ?? 0) * sysconf(Int32(_SC_PAGESIZE)) : 0
}
