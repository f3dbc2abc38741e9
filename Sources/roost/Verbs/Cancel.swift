// SPDX-License-Identifier: Apache-2.0
internal import TaskModel

extension Verb {
  /// Stops tasks.
  static let cancel = Verb(
    name: "cancel", positionals: "ID…", count: 1...100_000,
    summary: "Stop a task and print its status; one that runs is asked to stop, one that is final ends with 1",
    options: Option.client, run: { arguments throws(CommandError) in try action.run(arguments) })

  private static var action: TaskAction {
    TaskAction(method: "POST", suffix: "/cancel") { id, status throws(CommandError) in
      if status == .cancelled { return }
      if status.isFinal { throw .failed("task \(id) is \(status.rawValue): it ended before it could be stopped") }
      try Terminal.error("Task \(id) was asked to stop; roost watch follows it to its end.")
    }
  }
}
