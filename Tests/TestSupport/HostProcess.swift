// SPDX-License-Identifier: Apache-2.0
import Foundation

/// The real `roost serve` with one config, started and ended as often as a test wants; it ends with the test.
// @unchecked: one test owns it; `pid` changes in start and stop only.
public final class HostProcess: @unchecked Sendable {
  public private(set) var pid: pid_t = 0
  private let config: String
  private let environment: [String: String]?
  private let logFile: String
  private let log: Int32

  /// `environment` stands in for this process' own.
  public init(config: String, log logFile: String, environment: [String: String]? = nil) {
    self.config = config
    self.environment = environment
    self.logFile = logFile
    log = open(logFile, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
  }

  deinit {
    close(log)
    guard pid > 0 else { return }
    kill(pid, SIGKILL)
    var status: Int32 = 0
    while waitpid(pid, &status, 0) < 0, errno == EINTR {}
  }

  /// Starts the host and waits until so many workers are ready.
  public func start(workers: Int) async throws {
    let before = lines(containing: "is ready").count
    try launch()
    try await eventually("the host's workers are ready") { () async in
      lines(containing: "is ready").count >= before + workers
    }
  }

  /// Starts the host and waits for nothing.
  public func launch() throws {
    pid = try spawn(
      BuildProducts.roost, ["roost", "serve", "--config", config], environment: environment,
      descriptors: [-1, log, log])
  }

  /// Ends the host with the signal, waits until it is gone and returns its exit status, or 128 and the signal.
  @discardableResult
  public func stop(_ signal: Int32 = SIGTERM, within limit: Duration = .seconds(30)) async throws -> Int32 {
    guard pid > 0 else { return -1 }
    kill(pid, signal)
    return try await end(within: limit)
  }

  /// Waits until the host ends by itself; its exit status as `stop` tells it.
  public func end(within limit: Duration = .seconds(30)) async throws -> Int32 {
    defer { pid = 0 }
    return try await exitStatus(of: pid, within: limit)
  }

  public var logText: String { (try? String(contentsOfFile: logFile, encoding: .utf8)) ?? "" }

  public func lines(containing text: String) -> [String] {
    logText.split(separator: "\n").map(String.init).filter { $0.contains(text) }
  }

  /// Where the host, as it was started last, answers HTTP; nil before it does.
  public var url: String? {
    guard let line = lines(containing: "listening on http://").last,
      let start = line.range(of: "listening on ")?.upperBound
    else { return nil }
    return String(line[start...].prefix { $0 != "\"" })
  }

  /// The worker processes of the host that live now.
  public func workerPids() throws -> [pid_t] {
    try TestSupport.run("/usr/bin/pgrep", ["-P", "\(pid)", "-f", "roost worker"]).output.split(separator: "\n")
      .compactMap { pid_t($0) }
  }
}

/// Waits until a child of this process has ended, and answers its exit status, or 128 and the signal.
public func exitStatus(of pid: pid_t, within limit: Duration) async throws -> Int32 {
  var status: Int32 = 0
  try await eventually(within: limit, "process \(pid) ends") { () async -> Bool in waitpid(pid, &status, WNOHANG) == pid
  }
  return outcome(status)
}

private func outcome(_ status: Int32) -> Int32 {
  status & 0x7f == 0 ? status >> 8 & 0xff : 128 + status & 0x7f
}

/// Whether a process is there and no zombie.
public func isAlive(_ pid: pid_t) -> Bool {
  guard let text = try? String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8) else { return false }
  return text[(text.lastIndex(of: ")") ?? text.startIndex)...].split(separator: " ").dropFirst().first != "Z"
}
