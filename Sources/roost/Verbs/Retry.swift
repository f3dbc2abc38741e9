// SPDX-License-Identifier: Apache-2.0

extension Verb {
  /// Lets tasks start anew.
  static let retry = Verb(
    name: "retry", positionals: "ID…", count: 1...100_000,
    summary: "Let a FAILED or CANCELLED task start anew and print its status; any other ends with 1",
    options: Option.client,
    run: { arguments throws(CommandError) in try TaskAction(method: "POST", suffix: "/retry").run(arguments) })
}
