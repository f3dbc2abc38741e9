// SPDX-License-Identifier: Apache-2.0

extension Verb {
  /// Removes tasks.
  static let delete = Verb(
    name: "delete", positionals: "[ID…]", count: 0...100_000,
    summary: "Remove a final task with all that belongs to it, printing nothing; any other ends with 1",
    options: FailedTasks.options + Option.client,
    run: { arguments throws(CommandError) in
      if try FailedTasks.act("/v1/tasks/delete", arguments) { return .ok }
      return try TaskAction(method: "DELETE", suffix: "").run(arguments)
    })
}
