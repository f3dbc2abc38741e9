// SPDX-License-Identifier: Apache-2.0
import CSystemShims
import Foundation
import TaskModel

/// A real `redis-server` of one test, on a Unix socket in a folder of its own; it ends with the test.
// @unchecked: one test owns it; `pid` changes in start and stop only.
public final class RedisServer: @unchecked Sendable {
  package let address: RedisAddress
  public let directory: TemporaryDirectory
  private let arguments: [String]
  private let environment: [String: String]
  private var pid: pid_t = 0

  /// Starts one with further options, as in `["--maxmemory", "4mb"]`.
  ///
  /// `environment` is added to this process' own.
  public init(_ arguments: [String] = [], environment: [String: String] = [:]) throws {
    directory = try TemporaryDirectory()
    address = RedisAddress(endpoint: .unix(path: directory.path + "/redis.sock"))
    self.arguments = arguments
    self.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
    try start()
  }

  deinit {
    stop(SIGKILL)
  }

  /// Starts it (again) on what it has kept, and waits until it answers.
  public func start() throws {
    let words =
      [
        "redis-server", "--port", "0", "--unixsocket", directory.path + "/redis.sock", "--dir", directory.path,
        "--appendonly", "yes", "--save", "", "--loglevel", "warning", "--logfile", directory.path + "/redis.log",
      ] + arguments
    pid = try spawn("/usr/bin/redis-server", words, environment: environment, deathSignal: SIGKILL)
    try eventually("redis-server answers") {
      (try? run("/usr/bin/redis-cli", ["-s", directory.path + "/redis.sock", "ping"]).output) == "PONG\n"
    }
  }

  /// Ends it with the signal and waits until it is gone.
  public func stop(_ signal: Int32 = SIGTERM) {
    guard pid > 0 else { return }
    kill(pid, signal)
    var status: Int32 = 0
    while waitpid(pid, &status, 0) < 0, errno == EINTR {}
    pid = 0
  }

  /// Lets it stand still, or go on.
  public func suspend() { kill(pid, SIGSTOP) }
  public func resume() { kill(pid, SIGCONT) }

  /// What `redis-cli` prints for a command.
  @discardableResult
  public func cli(_ arguments: String...) throws -> String {
    try run("/usr/bin/redis-cli", ["-s", directory.path + "/redis.sock"] + arguments).output
      .trimmingCharacters(in: .newlines)
  }

  /// All keys there are, in order.
  public func keys() throws -> [String] {
    try cli("--raw", "keys", "*").split(separator: "\n").map(String.init).sorted()
  }
}
