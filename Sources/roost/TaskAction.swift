// SPDX-License-Identifier: Apache-2.0
internal import HTTPClient
internal import TaskModel

/// What a verb does with each task that it names, by one request each.
struct TaskAction {
  let method: String
  /// Behind the path of the task.
  let suffix: String
  /// Gets id and status of what was done, as far as there is an answer.
  var afterwards: (_ id: String, _ status: TaskStatus) throws(CommandError) -> Void = { _, _ throws(CommandError) in }

  /// Acts on each; what goes wrong with one stops none of the others, and the first such exit code is the verb's.
  func run(_ arguments: Arguments) throws(CommandError) -> ExitCode {
    let client = try Client(arguments)
    var exitCode = ExitCode.ok
    for id in arguments.positionals {
      do throws(CommandError) {
        try act(on: id, client, arguments)
      } catch {
        if error.exitCode == .unreachable { throw error }
        try Terminal.error("roost: \(Terminal.printable(error.message))")
        if exitCode == .ok { exitCode = error.exitCode }
      }
    }
    return exitCode
  }

  private func act(on id: String, _ client: Client, _ arguments: Arguments) throws(CommandError) {
    let reply = try client.send(method, "/v1/tasks/\(encoded(id))\(suffix)")
    guard let name = Document(reply.body)?["status"]?.string else { return }
    if arguments.has("json") {
      try Terminal.write(reply.body + [0x0a])
    } else {
      let shown = Terminal.coloured(name, as: name)
      try Terminal.line(arguments.positionals.count == 1 ? shown : "\(id) \(shown)")
    }
    if let status = TaskStatus(rawValue: name) { try afterwards(id, status) }
  }
}
