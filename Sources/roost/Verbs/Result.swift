// SPDX-License-Identifier: Apache-2.0
internal import HTTPClient

extension Verb {
  /// Prints what a task came to.
  static let result = Verb(
    name: "result", positionals: "ID", count: 1...1,
    summary: "Print the result of a COMPLETED task, byte for byte; any other ends with 1",
    options: Option.client, run: runResult)
}

private func runResult(_ arguments: Arguments) throws(CommandError) -> ExitCode {
  let client = try Client(arguments)
  let id = arguments.positionals[0]
  let reply = try client.exchange("GET", "/v1/tasks/\(encoded(id))/result")
  if reply.status == 200 {
    try Terminal.write(reply.body + [0x0a])
    return .ok
  }
  // With --json a program reads why there is none; a person reads it on standard error.
  let refusal = client.refusal(reply)
  if arguments.has("json"), Document(reply.body)?["code"] != nil {
    try Terminal.write(reply.body + [0x0a])
    return refusal.exitCode
  }
  // The record says it best: its status and its error.
  if reply.status == 409 || reply.status == 410, let outcome = try client.record(id).outcome { throw outcome }
  throw refusal
}
