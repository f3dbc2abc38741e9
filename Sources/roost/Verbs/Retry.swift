// SPDX-License-Identifier: Apache-2.0

extension Verb {
  /// Lets tasks start anew.
  static let retry = Verb(
    name: "retry", positionals: "[ID…]", count: 0...100_000,
    summary: "Let a FAILED or CANCELLED task start anew and print its status; any other ends with 1",
    options: FailedTasks.options + Option.client,
    run: { arguments throws(CommandError) in
      if try FailedTasks.act("/v1/tasks/retry", arguments) { return .ok }
      return try TaskAction(method: "POST", suffix: "/retry").run(arguments)
    })
}
