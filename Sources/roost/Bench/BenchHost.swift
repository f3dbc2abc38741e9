// SPDX-License-Identifier: Apache-2.0
internal import CSystemShims
internal import Glibc
internal import HTTPClient
internal import Redis
internal import TaskModel
internal import TaskStore
internal import Threading

/// A real host of this program with a config made for one stage, in a directory of its own.
final class BenchHost: Sendable {
  static let type = "echo"
  static let slowType = "slow"
  /// Milliseconds that a task of `slowType` takes.
  static let slowMillis = 50
  /// Milliseconds without any progress after which a stage is given up.
  static let patience: Int32 = 60_000

  let address: RedisAddress
  let prefix: String
  let pid: pid_t
  let workerPids: [pid_t]
  let port: UInt16
  private let url: String
  private let directory: String

  /// Starts it and waits until its workers are ready; `types` run the echo executor.
  init(_ options: BenchOptions, plugin: String, types: [String] = [type]) throws(CommandError) {
    // A host would wait for it to come.
    if let redis = options.redis {
      do throws(RedisError) { _ = try RedisConnection(to: redis, timeout: .seconds(5)) } catch {
        throw .failed(error.description)
      }
    }
    let directory = try BenchDirectory.make()
    let prefix = directory.split(separator: "/").last.map(String.init) ?? "roost-bench"
    self.directory = directory
    self.prefix = prefix
    address = options.redis ?? RedisAddress(endpoint: .unix(path: directory + "/data/redis.sock"))
    // From here on whatever ends this process clears away first.
    Remains.note(directory: directory, keys: options.redis.map { ($0, prefix) })
    do throws(CommandError) {
      let config = BenchConfig(options: options, directory: directory, prefix: prefix, plugin: plugin, types: types)
      try BenchDirectory.write(config.json, to: directory + "/config.json")
      pid = try Self.spawn(directory)
      Remains.note(host: pid)
      url = try Self.listening(directory, pid)
      port = url.split(separator: ":").last.flatMap { UInt16($0) } ?? 0
      workerPids = try Self.ready(url, directory, pid, processes: options.processes)
    } catch {
      Remains.clear()
      throw error
    }
  }

  /// Ends the store of the load, host and workers, deletes what they kept, and removes the directory.
  func end() { Remains.clear() }

  /// Asks the host for something that must work.
  func ask(_ method: String, _ path: String, _ body: [UInt8]? = nil) throws(CommandError) -> HTTPReply {
    do throws(HTTPClientError) {
      let reply = try HTTPClient(url).send(method, path, body: body)
      guard (200..<300).contains(reply.status) else {
        throw .failed(reason: "\(method) \(path) answered \(String(decoding: reply.body, as: UTF8.self))")
      }
      return reply
    } catch {
      throw .failed("the host: \(error.description)\(Self.lastLines(directory))")
    }
  }

  func pause(_ type: String = type) throws(CommandError) { _ = try ask("POST", "/v1/types/\(type)/pause") }
  func resume(_ type: String = type) throws(CommandError) { _ = try ask("POST", "/v1/types/\(type)/resume") }

  // MARK: Starting

  private static func spawn(_ directory: String) throws(CommandError) -> pid_t {
    let log = open(directory + "/host.log", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
    defer { close(log) }
    let words = ["roost", "serve", "--config", directory + "/config.json"]
    let argv: [UnsafeMutablePointer<CChar>?] = words.map { strdup($0) } + [nil]
    let path = strdup("/proc/self/exe")
    defer { for text in argv + [path] { free(text) } }
    let pid = [-1, log, log].withUnsafeBufferPointer { fds in
      argv.withUnsafeBufferPointer { argv in
        var start = roost_start(
          path: path, argv: argv.baseAddress, envp: environ, directory: nil, fds: fds.baseAddress,
          fd_count: Int32(fds.count), death_signal: SIGTERM, group: 1, cgroup: -1, changes_user: 0, user: 0,
          primary_group: 0, groups: nil, group_count: 0)
        return roost_spawn(&start)
      }
    }
    guard pid > 0 else { throw .failed("cannot start a host: \(String(cString: strerror(-pid)))") }
    return pid
  }

  /// Milliseconds for a host to load its plugins and to be ready.
  private static let startTime: Int64 = 60_000

  private static func listening(_ directory: String, _ pid: pid_t) throws(CommandError) -> String {
    try eventually(directory, pid) {
      let log = BenchDirectory.text(directory + "/host.log")
      guard let start = log.firstRange(of: "listening on http://")?.upperBound else { return nil }
      return "http://" + log[start...].prefix { !$0.isWhitespace && $0 != "\"" }
    }
  }

  private static func ready(
    _ url: String, _ directory: String, _ pid: pid_t, processes: Int
  ) throws(CommandError) -> [pid_t] {
    try eventually(directory, pid) {
      guard let client = try? HTTPClient(url), (try? client.send("GET", "/readyz"))?.status == 200,
        let reply = try? client.send("GET", "/v1/workers")
      else { return nil }
      let workers = Document(reply.body)?["workers"]?.elements ?? []
      let pids = workers.compactMap { $0["pid"]?.number.map { pid_t($0) } }
      return pids.count == processes ? pids : nil
    }
  }

  private static func eventually<Value>(
    _ directory: String, _ pid: pid_t, _ look: () -> Value?
  ) throws(CommandError) -> Value {
    let end = MonotonicClock.millis + startTime
    while MonotonicClock.millis < end {
      if let value = look() { return value }
      if hasEnded(pid) { throw .failed("the host did not start\(lastLines(directory))") }
      usleep(10_000)
    }
    throw .failed("the host was not ready within a minute\(lastLines(directory))")
  }

  /// Looks without waiting for it, which is left to who ends it.
  private static func hasEnded(_ pid: pid_t) -> Bool {
    var info = siginfo_t()
    return waitid(P_PID, id_t(pid), &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_signo == SIGCHLD
  }

  private static func lastLines(_ directory: String) -> String {
    let lines = BenchDirectory.text(directory + "/host.log").split(separator: "\n").suffix(5)
    return lines.isEmpty ? "" : "; its last lines:\n" + lines.joined(separator: "\n")
  }
}

/// The config of a host that is measured.
private struct BenchConfig {
  let options: BenchOptions
  let directory: String
  let prefix: String
  let plugin: String
  let types: [String]

  var json: [UInt8] {
    var writer = JSONWriter()
    func object(_ name: String?, _ body: () -> Void) {
      if let name { writer.key(name) }
      writer.beginObject()
      body()
      writer.endObject()
    }
    object(nil) {
      object("redis") {
        writer.member("prefix", prefix)
        if let url = options.redisURL {
          writer.member("url", escaped(url))
        } else {
          object("embedded") { writer.member("directory", escaped(directory + "/data")) }
        }
      }
      object("http") { writer.member("listen", "127.0.0.1:0") }
      object("plugins") {
        object("echo") {
          writer.member("path", escaped(plugin))
          object("settings") {
            if let result = options.result { writer.member("result", Int64(result)) }
            writer.member("sleep", Int64(BenchHost.slowMillis))
          }
        }
      }
      object("workers") { object("echo") { writer.member("processes", Int64(options.processes)) } }
      object("types") {
        for type in types {
          object(type) {
            writer.member("executor", type == BenchHost.slowType ? "echo/sleep" : "echo/echo")
            if let threads = options.threads { writer.member("threads", Int64(threads)) }
            writer.member("queueCapacity", 1_000_000_000)
            // Nothing is trimmed while it is counted.
            object("retention") { writer.member("count", 1_000_000_000) }
          }
        }
      }
    }
    return writer.bytes
  }

  /// A dollar sign in a config asks for a variable.
  private func escaped(_ text: String) -> String { text.replacing("${", with: "$${") }
}
