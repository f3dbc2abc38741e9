// SPDX-License-Identifier: Apache-2.0
internal import CSystemShims
internal import Glibc
internal import PluginFiles
package import TaskModel
internal import TaskStore
internal import Threading

/// Loads a plugin in a process that is thrown away, so that one that crashes or hangs while loading hurts nobody.
package enum PluginProber {
  /// What a plugin said of itself.
  package struct Answer: Sendable {
    package let version: String
    /// `sha256:` and the digest of the file that was loaded, in hex.
    package let build: String
    /// In the order in which they were registered.
    package let exports: [(name: String, kind: PluginExportKind)]
    /// The whole description as JSON.
    package let json: [UInt8]

    /// The names of one kind.
    package func names(_ kind: PluginExportKind) -> Set<String> {
      Set(exports.lazy.filter { $0.kind == kind }.map(\.name))
    }
  }

  package struct Failure: Error, Sendable {
    /// Names the kind of failure for programs, as in `PLUGIN_CRASH`; empty: the machine gave no process.
    package let code: String
    package let message: String
  }

  /// The program whose verb `probe` loads plugins, if not another one is named.
  package static let ownProgram = "/proc/self/exe"
  /// Milliseconds until a plugin that hangs while loading is given up.
  static let patience: Int64 = 10_000
  /// Bytes of the longest answer that is read.
  private static let answerLimit = 16 << 20

  /// Checks one file and asks it for its exports; with `copy` that file is loaded, and messages name `path`.
  ///
  /// Blocks until it has answered. May be called from any thread, at once for several plugins.
  package static func probe(
    name: String, path: String, copy: String? = nil, directory: String? = nil, program: String = ownProgram
  ) throws(Failure) -> Answer {
    let place = PluginPlace(name: name, path: path)
    var ends: [Int32] = [0, 0]
    guard roost_pipe(&ends) == 0 else { throw Failure(code: "", message: "no descriptor is left") }
    defer { close(ends[0]) }
    // So that what it leaves behind can be told.
    let mark = "probe-\(RandomID.make())"
    var environment = WorkerPlan.environment(of: nil, from: ChildProcess.ownEnvironment)
    environment[Orphans.mark] = mark
    let process: ChildProcess
    do throws(HostError) {
      process = try Orphans.sparing { () throws(HostError) -> ChildProcess in
        try ChildProcess.start(
          program, ["roost", "probe", path, "--name", name] + (copy.map { ["--copy", $0] } ?? []),
          ChildProcess.Setting(
            environment: environment, directory: directory,
            descriptors: [-1, 2, 2, ends[1]]))
      }
    } catch {
      close(ends[1])
      throw Failure(code: "", message: error.description)
    }
    close(ends[1])
    let deadline = MonotonicClock.now + patience * 1_000_000
    let output = readAll(ends[0], until: deadline)
    let isOver = isReadable(process.pidfd, until: deadline)
    // The whole group, because a plugin may have started something.
    kill(-process.pid, SIGKILL)
    let end = process.reap()
    Orphans.unspare(process.pid)
    Orphans.kill(of: mark, group: process.pid)
    guard let output, let node = try? JSONNode.parse(output) else {
      throw Failure(
        isOver
          ? PluginError.crashed(place, end: end.description)
          : PluginError.hangs(place, seconds: Int(patience / 1000)))
    }
    if let message = node["error"]?.text { throw Failure(code: node["code"]?.text ?? "", message: message) }
    return Answer(node, output)
  }

  /// What comes until the other side is closed; nil when that is not in time, or too much.
  private static func readAll(_ descriptor: Int32, until deadline: Int64) -> [UInt8]? {
    var output: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 65_536)
    while isReadable(descriptor, until: deadline), output.count <= answerLimit {
      let count = read(descriptor, &buffer, buffer.count)
      if count <= 0 { return output }
      output.append(contentsOf: buffer[..<count])
    }
    return nil
  }

  private static func isReadable(_ descriptor: Int32, until deadline: Int64) -> Bool {
    while true {
      let left = max(0, Int32((deadline - MonotonicClock.now) / 1_000_000))
      var poll = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
      let count = Glibc.poll(&poll, 1, left)
      if count >= 0 || errno != EINTR { return count > 0 }
    }
  }
}

extension PluginProber.Answer {
  fileprivate init(_ node: JSONNode, _ json: [UInt8]) {
    version = node["version"]?.text ?? ""
    build = node["build"]?.text ?? ""
    exports = (node["exports"]?.elements ?? []).compactMap { export in
      guard let name = export["name"]?.text, let kind = export["kind"]?.text.flatMap(PluginExportKind.init(rawValue:))
      else { return nil }
      return (name, kind)
    }
    self.json = json
  }
}

extension PluginProber.Failure {
  init(_ error: PluginError) {
    self.init(code: error.code, message: error.message)
  }
}
