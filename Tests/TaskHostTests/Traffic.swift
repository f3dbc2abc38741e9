// SPDX-License-Identifier: Apache-2.0
import Foundation
import TaskStore
import TestSupport

/// Every command that clients send to a Redis, as `redis-cli MONITOR` tells them; those inside scripts are left out.
final class Traffic: @unchecked Sendable {  // @unchecked: one test owns it
  private let pid: pid_t
  private let file: String
  private let scripts: [String: String]

  /// Listens to the Redis behind the socket.
  init(socket: String, in directory: TemporaryDirectory) async throws {
    var scripts: [String: String] = [:]
    for script in Script.allCases {
      let digest = try run("/usr/bin/redis-cli", ["-s", socket, "script", "load", script.text]).output
      scripts[digest.trimmingCharacters(in: .newlines)] = script.rawValue
    }
    self.scripts = scripts
    let file = try directory.write("traffic", "")
    self.file = file
    let output = open(file, O_WRONLY | O_APPEND | O_CLOEXEC)
    defer { close(output) }
    pid = try spawn("/usr/bin/redis-cli", ["redis-cli", "-s", socket, "monitor"], descriptors: [-1, output, 2])
    try await eventually("the monitor listens") { () async throws in
      try String(contentsOfFile: file, encoding: .utf8).hasPrefix("OK\n")
    }
  }

  deinit {
    kill(pid, SIGKILL)
    waitpid(pid, nil, 0)
  }

  /// Each call so far by its name: a script's name, or the command's in capitals.
  var calls: [String] {
    get throws {
      try String(contentsOfFile: file, encoding: .utf8).split(separator: "\n").dropFirst().compactMap { line in
        guard !line.contains(" lua] "), let start = line.firstIndex(of: "\"") else { return nil }
        let words = line[start...].split(separator: " ").map { $0.trimmingCharacters(in: ["\""]) }
        return words[0].uppercased() == "EVALSHA" ? scripts[words[1]] ?? words[1] : words[0].uppercased()
      }
    }
  }

  /// The calls without what a host does once in a while, whether it has tasks or not.
  var ofTasks: [String] {
    get throws { try calls.filter { !["heartbeat", "HGETALL", "ZRANGE", "HVALS"].contains($0) } }
  }
}
