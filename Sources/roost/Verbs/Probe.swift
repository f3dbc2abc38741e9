// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import PluginFiles
internal import PluginLoader
internal import TaskModel

extension Verb {
  /// A throw-away process that loads one plugin, started by the host, `check` and `inspect`; it answers at descriptor 3.
  static let probe = Verb(
    name: "probe", positionals: "", count: 0...Int.max, summary: "Load a plugin in a process of its own",
    options: [], isHidden: true, run: runProbe)
}

private func runProbe(_ arguments: Arguments) throws(CommandError) -> ExitCode {
  // What the plugin's constructors start must not hold the pipe that the answer goes through.
  _ = fcntl(3, F_SETFD, FD_CLOEXEC)
  let words = arguments.positionals
  guard words.count == 3 || words.count == 5 && words[3] == "--copy", words[1] == "--name" else {
    throw .usage("probe is started by the host", verb: nil)
  }
  var answer: [UInt8]
  do throws(PluginError) {
    answer = try PluginProbe.inspect(path: words[0], name: words[2], copy: words.count == 5 ? words[4] : nil).json
  } catch {
    var writer = JSONWriter()
    writer.beginObject()
    writer.member("error", error.message)
    writer.member("code", error.code)
    writer.endObject()
    answer = writer.bytes
  }
  while !answer.isEmpty {
    let count = write(3, answer, answer.count)
    if count <= 0 { break }
    answer.removeFirst(count)
  }
  // Not exit(): constructors and destructors of the plugin are not this process's to run.
  _exit(0)
}
