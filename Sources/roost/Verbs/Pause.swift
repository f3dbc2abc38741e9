// SPDX-License-Identifier: Apache-2.0
internal import HTTPClient
internal import TaskModel

extension Verb {
  /// Stops a type, on all hosts.
  static let pause = Verb(
    name: "pause", positionals: "TYPE", count: 1...1,
    summary: "Start no task of the type any more, on any host, until it is resumed; submissions wait",
    options: Option.client, run: { arguments throws(CommandError) in try change("pause", arguments) })

  /// Lets a paused type go on.
  static let resume = Verb(
    name: "resume", positionals: "TYPE", count: 1...1, summary: "Start tasks of a paused type again",
    options: Option.client, run: { arguments throws(CommandError) in try change("resume", arguments) })
}

private func change(_ action: String, _ arguments: Arguments) throws(CommandError) -> ExitCode {
  let client = try Client(arguments)
  let name = arguments.positionals[0]
  let reply = try client.send("POST", "/v1/types/\(encoded(name))/\(action)")
  if arguments.has("json") {
    try Terminal.write(reply.body + [0x0a])
    return .ok
  }
  guard let counts = Document(reply.body)?["counts"] else { throw .failed("the host's answer is not a type") }
  let open = [TaskStatus.pending, .scheduled, .inProgress].map(\.rawValue).map { status in
    "\(Int(counts[status]?.number ?? 0)) \(status)"
  }
  try Terminal.line("\(name) is \(action)d: \(open.joined(separator: ", "))")
  return .ok
}
