// SPDX-License-Identifier: Apache-2.0
package import Config
internal import CSystemShims
internal import Glibc
package import TaskModel
internal import Threading

/// Loads a plugin in a process that is thrown away, so that one that crashes or hangs while loading hurts nobody.
package enum PluginProber {
  /// What a plugin said of itself.
  package struct Answer: Sendable {
    package let version: String
    package let exports: [String: Set<String>]
    /// The whole description as JSON.
    package let json: [UInt8]

    /// Names by kind (`executor`, `callback`, `exceptionHandler`).
    package func names(_ kind: PluginExportKind) -> Set<String> { exports[kind.rawValue] ?? [] }
  }

  package struct Failure: Error, Sendable {
    package let message: String
  }

  /// Milliseconds until a plugin that hangs while loading is given up.
  static let patience: Int32 = 10_000

  /// Checks one file and asks it for its exports; blocks until it has answered.
  package static func probe(name: String, path: String, directory: String? = nil) throws(Failure) -> Answer {
    var ends: [Int32] = [0, 0]
    guard roost_pipe(&ends) == 0 else { throw Failure(message: "no descriptor is left") }
    defer { close(ends[0]) }
    let process: ChildProcess
    do throws(HostError) {
      process = try ChildProcess.start(
        "/proc/self/exe", ["roost", "probe", path, "--name", name],
        ChildProcess.Setting(
          environment: WorkerPlan.environment(of: nil, from: ChildProcess.ownEnvironment),
          directory: directory, descriptors: [-1, 2, 2, ends[1]]))
    } catch {
      close(ends[1])
      throw Failure(message: error.description)
    }
    close(ends[1])
    let (output, isWhole) = readAll(ends[0])
    if !isWhole { kill(process.pid, SIGKILL) }
    let end = process.reap()
    guard isWhole else {
      throw Failure(message: "plugin \"\(name)\": \(path) did not finish loading within \(patience / 1000) s")
    }
    guard let node = try? JSONNode.parse(output) else {
      throw Failure(
        message:
          "plugin \"\(name)\": \(path) ended the process that loaded it (\(end)); run `roost inspect` on it under gdb")
    }
    if let message = node["error"]?.text { throw Failure(message: message) }
    var exports: [String: Set<String>] = [:]
    for export in node["exports"]?.elements ?? [] {
      if let kind = export["kind"]?.text, let name = export["name"]?.text { exports[kind, default: []].insert(name) }
    }
    return Answer(version: node["version"]?.text ?? "", exports: exports, json: output)
  }

  private static func readAll(_ descriptor: Int32) -> (output: [UInt8], isWhole: Bool) {
    var output: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 65_536)
    let end = MonotonicClock.now + Int64(patience) * 1_000_000
    while true {
      let left = max(0, Int32((end - MonotonicClock.now) / 1_000_000))
      var poll = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
      guard Glibc.poll(&poll, 1, left) > 0 else { return (output, false) }
      let count = read(descriptor, &buffer, buffer.count)
      if count <= 0 { return (output, true) }
      output.append(contentsOf: buffer[..<count])
    }
  }

  /// Probes every plugin of a config and checks that it has what the types name; returns all that is wrong.
  package static func check(_ config: Config) -> [ConfigIssue] {
    var issues: [ConfigIssue] = []
    var answers: [String: Answer] = [:]
    for (name, plugin) in config.plugins.sorted(by: { $0.key < $1.key }) {
      do throws(Failure) {
        answers[name] = try probe(name: name, path: plugin.path, directory: config.directory)
      } catch {
        issues.append(ConfigIssue(path: "plugins.\(name).path", message: error.message))
      }
    }
    for (name, type) in config.types.sorted(by: { $0.key < $1.key }) {
      let references: [(String, ExportRef?, PluginExportKind)] = [
        ("executor", type.executor, .executor), ("callback", type.callback, .callback),
        ("exceptionHandler", type.exceptionHandler, .exceptionHandler),
      ]
      for (field, reference, kind) in references {
        guard let reference, let answer = answers[reference.plugin] else { continue }
        let there = answer.names(kind)
        guard !there.contains(reference.export) else { continue }
        let list = there.isEmpty ? "it has none" : "it has: \(there.sorted().joined(separator: ", "))"
        issues.append(
          ConfigIssue(
            path: "types.\(name).\(field)",
            message: "plugin \"\(reference.plugin)\" has no \(kind.words) \"\(reference.export)\"; \(list)"))
      }
    }
    return issues
  }
}
