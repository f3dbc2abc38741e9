// SPDX-License-Identifier: Apache-2.0
internal import HTTPClient

extension Verb {
  /// Has the host apply its config file as it is now.
  static let reload = Verb(
    name: "reload", positionals: "", count: 0...0,
    summary: "Let the host apply its changed config and plugins; without success everything goes on as it was",
    options: Option.client, run: runReload)
}

/// New workers load all plugins before they take over, which may take long.
private let patience = Duration.seconds(600)

private func runReload(_ arguments: Arguments) throws(CommandError) -> ExitCode {
  let client = try Client(arguments)
  let reply = try client.exchange("POST", "/v1/reload", timeout: patience)
  let answer = Document(reply.body)
  guard (200..<300).contains(reply.status) else {
    var refusal = client.refusal(reply)
    if arguments.has("json"), answer?["code"] != nil {
      try Terminal.write(reply.body + [0x0a])
      return refusal.exitCode
    }
    refusal.notes += (answer?["errors"]?.elements ?? []).map(line)
    throw refusal
  }
  guard let generation = answer?["generation"]?.number else {
    throw .failed("the host's answer says not which generation serves")
  }
  if arguments.has("json") {
    try Terminal.write(reply.body + [0x0a])
    return .ok
  }
  try Terminal.line("generation \(Int(generation))")
  for path in (answer?["restartNeeded"]?.elements ?? []).compactMap(\.string) {
    try Terminal.line("\(Terminal.printable(path)) waits for a restart")
  }
  return .ok
}

/// `path: message` of one thing that is wrong.
private func line(_ error: Document) -> String {
  let parts = [error["path"]?.string, error["message"]?.string].compactMap { $0 }.filter { !$0.isEmpty }
  return Terminal.printable(parts.joined(separator: ": "))
}
