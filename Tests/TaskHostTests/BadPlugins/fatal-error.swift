// SPDX-License-Identifier: Apache-2.0
// A failed precondition in Swift, in a plugin of the SDK.
internal import Glibc
public import RoostPlugin

struct Settings: Decodable, Sendable {
  /// The file that takes the pid of the process that must be gone.
  var pids: String
}

struct FatalError: TaskExecutor {
  let settings: Settings

  func execute(_ params: String?, context: TaskContext) throws -> String {
    let file = open(settings.pids, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
    let line = Array("\(getpid())\n".utf8)
    write(file, line, line.count)
    close(file)
    fatalError("last words of fatal-error")
  }
}

@c(roost_plugin_v1) public func plugin(_ host: RoostHost) -> RoostPluginDescriptor {
  Plugin("bad", version: "1.0.0") {
    Executor("run") { FatalError(settings: $0) }
  }.export(to: host)
}
