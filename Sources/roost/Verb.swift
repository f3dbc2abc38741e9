// SPDX-License-Identifier: Apache-2.0

/// One thing the program can do; each has a file in Verbs/.
struct Verb: Sendable {
  let name: String
  /// The positionals as help shows them, as in `TYPE [PARAMS]`.
  let positionals: String
  /// How many positionals it takes.
  let count: ClosedRange<Int>
  let summary: String
  let options: [Option]
  /// What help says besides, two columns a line.
  var details: [[String]] = []
  /// Started by the host alone: no help, and every word after the verb is passed on as it is.
  var isHidden = false
  let run: @Sendable (Arguments) throws(CommandError) -> ExitCode

  static let all: [Verb] = [
    .serve, .check, .reload, .submit, .status, .result, .watch, .list, .cancel, .retry, .delete, .pause, .resume,
    .schedules,
    .workers, .inspect, .bench, .worker, .probe,
  ]

  /// What `roost --help` prints.
  static var overview: String {
    let rows = all.filter { !$0.isHidden }.map { [Verb.usage($0), $0.summary] }
    return """
      Roost, an asynchronous task host.

      Usage: roost VERB [OPTIONS]

      \(aligned(rows))

      roost VERB --help says more; roost --version prints the version.
      Exit codes: 0 ok, 1 failed, 2 usage, 3 not found, 4 host unreachable.
      """
  }

  /// What `roost VERB --help` prints.
  var help: String {
    let rows = (options + [.help]).map { [$0.usage, $0.summary] }
    return """
      \(summary)

      Usage: roost \(Verb.usage(self)) [OPTIONS]

      \(aligned(rows))\(details.isEmpty ? "" : "\n\n" + aligned(details))
      """
  }

  private static func usage(_ verb: Verb) -> String {
    verb.positionals.isEmpty ? verb.name : "\(verb.name) \(verb.positionals)"
  }
}

/// One option of a verb.
struct Option: Sendable {
  let name: String
  /// What stands for the value in help; nil: a flag.
  let value: String?
  let summary: String

  var usage: String { "--\(name)\(value.map { " \($0)" } ?? "")" }

  static let help = Option(name: "help", value: nil, summary: "Print this text")
  static let json = Option(name: "json", value: nil, summary: "Print JSON")
  static let config = Option(
    name: "config", value: "FILE", summary: "The config; default: ROOST_CONFIG, then ./config.json")
  /// Of every verb that asks a running host.
  static let client = [
    Option(name: "url", value: "URL", summary: "The host; default: ROOST_URL, then \(Client.defaultURL)"),
    Option(name: "token", value: "TOKEN", summary: "The token for the host; default: ROOST_TOKEN"),
    json,
  ]
}

private func aligned(_ rows: [[String]]) -> String {
  let width = rows.map { $0[0].count }.max() ?? 0
  return rows.map { row in
    "  \(row[0])\(String(repeating: " ", count: width - row[0].count + 2))\(row[1])"
  }.joined(separator: "\n")
}
