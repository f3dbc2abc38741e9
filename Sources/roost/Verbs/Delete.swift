// SPDX-License-Identifier: Apache-2.0

extension Verb {
  /// Removes tasks.
  static let delete = Verb(
    name: "delete", positionals: "ID…", count: 1...100_000,
    summary: "Remove a final task with all that belongs to it, printing nothing; any other ends with 1",
    options: Option.client,
    run: { arguments throws(CommandError) in try TaskAction(method: "DELETE", suffix: "").run(arguments) })
}
