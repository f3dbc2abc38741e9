// SPDX-License-Identifier: Apache-2.0
internal import HTTPClient
internal import TaskModel

extension Verb {
  /// Prints what tasks are doing.
  static let status = Verb(
    name: "status", positionals: "ID…", count: 1...100_000,
    summary: "Print the status of a task; of several tasks one line each, the id first",
    options: Option.client, run: runStatus)
}

private func runStatus(_ arguments: Arguments) throws(CommandError) -> ExitCode {
  let client = try Client(arguments)
  let ids = arguments.positionals
  var statuses: [String: String] = [:]
  // The host answers for at most 1,000 ids a request.
  for start in stride(from: 0, to: ids.count, by: 1000) {
    let reply = try client.send("POST", "/v1/tasks/status", body: request(ids[start..<min(start + 1000, ids.count)]))
    for (id, status) in Document(reply.body)?["statuses"]?.members ?? [] { statuses[id] = status.string }
  }
  if arguments.has("json") {
    try Terminal.write(report(ids, statuses))
  } else {
    for id in ids {
      guard let status = statuses[id] else { continue }
      let shown = Terminal.coloured(status, as: status) + (try due(id, status, client))
      try Terminal.line(ids.count == 1 ? shown : "\(id) \(shown)")
    }
  }
  let unknown = ids.filter { statuses[$0] == nil }
  guard unknown.isEmpty else {
    throw .notFound("unknown task\(unknown.count > 1 ? "s" : "") \(unknown.joined(separator: ", "))")
  }
  return .ok
}

/// When a SCHEDULED task is due, for people only: programs compare the line with the name of a status.
private func due(_ id: String, _ status: String, _ client: Client) throws(CommandError) -> String {
  guard Terminal.isInteractive, status == TaskStatus.scheduled.rawValue else { return "" }
  return try client.record(id).due.map { " due \($0)" } ?? ""
}

private func request(_ ids: ArraySlice<String>) -> [UInt8] {
  var writer = JSONWriter()
  writer.beginObject()
  writer.key("ids")
  writer.beginArray()
  for id in ids { writer.string(id) }
  writer.endArray()
  writer.endObject()
  return writer.bytes
}

private func report(_ ids: [String], _ statuses: [String: String]) -> [UInt8] {
  var writer = JSONWriter()
  writer.beginObject()
  writer.key("statuses")
  writer.beginObject()
  for id in ids {
    writer.key(id)
    if let status = statuses[id] { writer.string(status) } else { writer.null() }
  }
  writer.endObject()
  writer.endObject()
  return writer.bytes + [0x0a]
}
