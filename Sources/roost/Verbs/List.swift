// SPDX-License-Identifier: Apache-2.0
internal import HTTPClient
internal import TaskModel

extension Verb {
  /// Prints a page of tasks.
  static let list = Verb(
    name: "list", positionals: "", count: 0...0,
    summary: "List tasks: the running ones first, then those that wait, then the latest finished",
    options: [
      Option(name: "type", value: "TYPE", summary: "Only tasks of this type"),
      Option(
        name: "status", value: "STATUS",
        summary: "Only tasks of this status: " + TaskStatus.allCases.map(\.rawValue).joined(separator: ", ")),
      Option(
        name: "callback", value: "failed", summary: "Only tasks whose callback or exception handler was given up"),
      Option(name: "limit", value: "N", summary: "At most so many, 1 to 500; default: 50"),
      Option(name: "cursor", value: "CURSOR", summary: "Go on where a page ended"),
    ] + Option.client,
    run: runList)
}

private func runList(_ arguments: Arguments) throws(CommandError) -> ExitCode {
  let client = try Client(arguments)
  var cursor = arguments.value("cursor")
  var page: Document
  var tasks: [Document]
  // A page that is filtered may be empty although there are more.
  repeat {
    (page, tasks) = try read(client, try query(arguments, cursor))
    cursor = page["cursor"]?.string
  } while tasks.isEmpty && cursor != nil
  if arguments.has("json") {
    try Terminal.write(page.bytes + [0x0a])
    return .ok
  }
  // Scheduled tasks come in the order in which they are due.
  let showsDue = arguments.value("status")?.uppercased() == TaskStatus.scheduled.rawValue
  var table = Table(["ID", "TYPE", "STATUS", showsDue ? "DUE" : "CREATED", "NOTE"])
  for record in tasks.compactMap(Record.init) { table.add(row(record, showsDue)) }
  let lines = table.lines(limit: Terminal.isInteractive ? Terminal.width : nil) { cell, row, column in
    column == 2 ? Terminal.coloured(cell, as: row[2]) : cell
  }
  try Terminal.line(lines.joined(separator: "\n"))
  if let cursor { try Terminal.error("There are more: go on with --cursor \(Terminal.printable(cursor))") }
  return .ok
}

private func read(_ client: Client, _ query: String) throws(CommandError) -> (page: Document, tasks: [Document]) {
  let reply = try client.send("GET", "/v1/tasks\(query)")
  guard let page = Document(reply.body), let tasks = page["tasks"]?.elements else {
    throw .failed("the host's answer is not a page of tasks")
  }
  return (page, tasks)
}

private func row(_ record: Record, _ showsDue: Bool) -> [String] {
  let time = showsDue ? record.due : record.document["createdAt"]?.string
  let notes = notes(record, showsDue).filter { !$0.isEmpty }
  return [record.id, record.type, record.status.rawValue, time ?? "", notes.joined(separator: " ")]
}

private func notes(_ record: Record, _ showsDue: Bool) -> [String] {
  switch record.status {
  case .completed, .failed, .cancelled: [record.failure, record.handlerFailure]
  case .scheduled: [showsDue ? "" : record.due.map { "due \($0)" } ?? "", record.failure]
  case .pending, .inProgress: [record.fraction.map(ProgressBar.percent) ?? "", record.note]
  }
}

private func query(_ arguments: Arguments, _ cursor: String?) throws(CommandError) -> String {
  var parts: [String] = []
  if let type = arguments.value("type") { parts.append("type=\(encoded(type))") }
  if let text = arguments.value("status") {
    let names = TaskStatus.allCases.map(\.rawValue)
    guard let status = TaskStatus(rawValue: text.uppercased()) else {
      let hint = nearestName(to: text, among: names).map { "; did you mean \"\($0)\"?" }
      throw .usage(
        "there is no status \"\(text)\"\(hint ?? "; there are \(names.joined(separator: ", "))")", verb: arguments.verb)
    }
    parts.append("status=\(status.rawValue)")
  }
  if let text = arguments.value("callback") { parts.append("callback=\(encoded(text))") }
  if let text = arguments.value("limit") {
    guard let limit = Int(text), (1...500).contains(limit) else {
      throw .usage("--limit \(text) is out of range; allowed are 1 to 500", verb: arguments.verb)
    }
    parts.append("limit=\(limit)")
  }
  if let cursor { parts.append("cursor=\(encoded(cursor))") }
  return parts.isEmpty ? "" : "?" + parts.joined(separator: "&")
}
