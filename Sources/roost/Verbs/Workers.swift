// SPDX-License-Identifier: Apache-2.0
internal import HTTPClient

extension Verb {
  /// Prints the worker processes of the host.
  static let workers = Verb(
    name: "workers", positionals: "", count: 0...0,
    summary: "List the host's worker processes: which generation each is of and how many tasks of which types it runs",
    options: Option.client, run: runWorkers)
}

private func runWorkers(_ arguments: Arguments) throws(CommandError) -> ExitCode {
  let reply = try Client(arguments).send("GET", "/v1/workers")
  guard let workers = Document(reply.body)?["workers"]?.elements else {
    throw .failed("the host's answer is no list of workers")
  }
  if arguments.has("json") {
    try Terminal.write(reply.body + [0x0a])
    return .ok
  }
  var table = Table(["NAME", "PID", "GENERATION", "RUNS"])
  for worker in workers {
    table.add([
      worker["name"]?.string ?? "-", number(worker["pid"]), number(worker["generation"]),
      load(worker["threads"]?.elements ?? []),
    ])
  }
  try Terminal.line(table.lines(limit: Terminal.isInteractive ? Terminal.width : nil).joined(separator: "\n"))
  return .ok
}

private func number(_ document: Document?) -> String {
  document?.number.map { "\(Int($0))" } ?? "-"
}

/// As in `echo 3, nap 1`.
private func load(_ threads: [Document]) -> String {
  let counts = Dictionary(threads.compactMap { $0["type"]?.string }.map { ($0, 1) }, uniquingKeysWith: +)
  return counts.isEmpty
    ? "-" : counts.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }.joined(separator: ", ")
}
