// SPDX-License-Identifier: Apache-2.0
internal import Config
internal import CSystemShims
internal import Glibc
internal import Logging
internal import Redis
internal import TaskModel

/// The private Redis of a host: on a Unix socket in a directory of its own, with an append-only file.
///
/// It gets SIGTERM when the thread that started it ends, in whatever way. It holds the lock of the directory as long as it
/// lives, so that no other host starts on files that are still being written.
// @unchecked: after init only the thread that runs the host uses it.
final class EmbeddedRedis: @unchecked Sendable {
  private let config: EmbeddedRedisConfig
  private let program: String
  private let lock: Int32
  private(set) var process: ChildProcess?

  /// How long a start waits for another host to leave the directory, in milliseconds.
  static let lockPatience: Int64 = 10_000
  /// How long a start waits for its first answer, in milliseconds; whoever connects later need not find out by failing.
  static let answerPatience: Int64 = 1000
  /// The longest path that a Unix socket may have.
  static let pathLimit = 107

  static func address(_ config: EmbeddedRedisConfig) -> RedisAddress {
    RedisAddress(endpoint: .unix(path: config.directory + "/redis.sock"))
  }

  /// Finds the program, makes the directory and locks it.
  init(_ config: EmbeddedRedisConfig) throws(HostError) {
    self.config = config
    program = try Self.findProgram(config.server)
    guard "\(config.directory)/redis.sock".utf8.count <= Self.pathLimit else {
      throw .directoryUnusable(
        config.directory,
        reason: "its path is too long for a Unix socket; with redis.sock it may have \(Self.pathLimit) bytes")
    }
    try Self.makeDirectory(config.directory)
    lock = try Self.takeLock(config.directory)
  }

  deinit {
    close(lock)
  }

  func start() throws(HostError) {
    let words = [
      program, "--port", "0", "--unixsocket", "redis.sock", "--unixsocketperm", "700", "--dir", config.directory,
      "--appendonly", "yes", "--appendfsync", config.fsync.rawValue, "--save", "", "--daemonize", "no",
      "--maxmemory-policy", "noeviction", "--logfile", "redis.log", "--loglevel", "notice",
      // Rewriting the append-only file takes a core: seldom, and without compressing what is small already.
      "--auto-aof-rewrite-min-size", "256mb", "--rdbcompression", "no",
    ]
    let process = try ChildProcess.start(
      program, words,
      ChildProcess.Setting(
        environment: ChildProcess.ownEnvironment, directory: config.directory, descriptors: [-1, 2, 2, lock],
        deathSignal: SIGTERM))
    self.process = process
    let end = roost_boottime_millis() + Self.answerPatience
    while !answers, roost_boottime_millis() < end {
      var poll = pollfd(fd: process.pidfd, events: Int16(POLLIN), revents: 0)
      if Glibc.poll(&poll, 1, 2) > 0 { break }
    }
    Log.info("started \(program) in \(config.directory)")
  }

  private var answers: Bool {
    // While it reads its file it refuses everything about keys.
    let connection = try? RedisConnection(to: Self.address(config), timeout: .seconds(1))
    return (try? connection?.call(RedisCommand(words: "EXISTS", "roost"))) != nil
  }

  /// The process has ended; says how.
  func ended() -> String {
    guard let process else { return "it does not run" }
    self.process = nil
    return "\(process.reap()); see \(config.directory)/redis.log"
  }

  /// Asks it to write everything and end; kills it if it does not within the time, in milliseconds.
  func stop(within millis: Int32) {
    guard let process else { return }
    kill(process.pid, SIGTERM)
    if process.reap(within: millis) == nil {
      Log.warning("the embedded Redis does not end; it is killed")
      kill(process.pid, SIGKILL)
      _ = process.reap()
    }
    self.process = nil
  }

  private static func findProgram(_ wanted: String?) throws(HostError) -> String {
    let names = wanted.map { [$0] } ?? ["redis-server", "valkey-server"]
    let path = ChildProcess.ownEnvironment["PATH"] ?? "/usr/local/bin:/usr/bin:/bin"
    for name in names {
      let places = name.utf8.contains(UInt8(ascii: "/")) ? [name] : path.split(separator: ":").map { "\($0)/\(name)" }
      if let found = places.first(where: { access($0, X_OK) == 0 }) { return found }
    }
    throw .redisNotInstalled(looked: names)
  }

  private static func makeDirectory(_ path: String) throws(HostError) {
    var made = ""
    for part in path.split(separator: "/") {
      made += "/" + part
      if mkdir(made, made == path ? 0o700 : 0o755) != 0, errno != EEXIST {
        throw .directoryUnusable(path, reason: String(cString: strerror(errno)))
      }
    }
    var status = stat()
    guard stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFDIR else {
      throw .directoryUnusable(path, reason: "it is not a directory")
    }
    guard status.st_uid == geteuid() else { throw .directoryUnusable(path, reason: "it belongs to another user") }
    guard chmod(path, 0o700) == 0 else { throw .directoryUnusable(path, reason: String(cString: strerror(errno))) }
  }

  private static func takeLock(_ directory: String) throws(HostError) -> Int32 {
    let file = open(directory + "/roost.lock", O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
    guard file >= 0 else { throw .directoryUnusable(directory, reason: String(cString: strerror(errno))) }
    let end = roost_boottime_millis() + lockPatience
    var hasSaid = false
    while flock(file, LOCK_EX | LOCK_NB) != 0 {
      var text = [UInt8](repeating: 0, count: 32)
      let count = pread(file, &text, text.count, 0)
      let pid = String(decoding: text.prefix(max(0, count)).prefix { $0 != 0x0a }, as: UTF8.self)
      guard roost_boottime_millis() < end else {
        close(file)
        throw .directoryInUse(directory, pid: pid)
      }
      guard roost_is_told_to_end() == 0 else {
        close(file)
        throw .stoppedWaiting(directory, pid: pid)
      }
      if !hasSaid { Log.info("waiting for the host with pid \(pid) to leave \(directory)") }
      hasSaid = true
      usleep(100_000)
    }
    let text = "\(getpid())\n"
    ftruncate(file, 0)
    pwrite(file, text, text.utf8.count, 0)
    return file
  }
}
