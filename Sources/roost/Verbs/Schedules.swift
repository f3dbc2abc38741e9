// SPDX-License-Identifier: Apache-2.0
internal import HTTPClient

extension Verb {
  /// Prints the schedules of the host's config.
  static let schedules = Verb(
    name: "schedules", positionals: "", count: 0...0,
    summary: "List the schedules: when each last made a task and when it is due next, in UTC",
    options: Option.client, run: runSchedules)
}

private func runSchedules(_ arguments: Arguments) throws(CommandError) -> ExitCode {
  let reply = try Client(arguments).send("GET", "/v1/schedules")
  guard let schedules = Document(reply.body)?["schedules"]?.elements else {
    throw .failed("the host's answer is no list of schedules")
  }
  if arguments.has("json") {
    try Terminal.write(reply.body + [0x0a])
    return .ok
  }
  var table = Table(["NAME", "TYPE", "CRON", "TIMEZONE", "LAST", "NEXT"])
  for schedule in schedules {
    table.add(
      ["name", "type", "cron", "timezone", "lastAt", "nextAt"].map { schedule[$0]?.string ?? "-" })
  }
  try Terminal.line(table.lines(limit: Terminal.isInteractive ? Terminal.width : nil).joined(separator: "\n"))
  return .ok
}
