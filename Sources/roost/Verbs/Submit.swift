// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import HTTPClient
internal import TaskModel

extension Verb {
  /// Hands a task to the host.
  static let submit = Verb(
    name: "submit", positionals: "TYPE [PARAMS]", count: 1...2,
    summary: "Submit a task and print its id; PARAMS is JSON, @FILE or - for standard input, absent: null",
    options: [
      Option(name: "wait", value: nil, summary: "Wait until the task is final and print its result"),
      Option(name: "delay", value: "DURATION", summary: "Run it so much later, as in 500ms, 10s, 5m, 24h, 7d"),
      Option(
        name: "at", value: "TIME", summary: "Run it at this time, as in 2026-11-24T10:00:00Z or ...T18:00:00+08:00"),
      Option(
        name: "expires", value: "WHEN", summary: "Let it fail if it was not started by then; a duration or a time"),
      Option(
        name: "timeout", value: "DURATION", summary: "How long an attempt may take, in place of the type's timeout"),
      Option(
        name: "priority", value: "PRIORITY",
        summary: "Whether it goes before others of its type: "
          + TaskPriority.allCases.map(\.name).joined(separator: ", ")),
      Option(name: "key", value: "KEY", summary: "Submit it once: the same key again prints the first task's id"),
      Option(
        name: "batch", value: nil, summary: "PARAMS has the params of one task on each line; print an id for each"),
      Option(name: "tenant", value: "TENANT", summary: "Not supported yet"),
    ] + Option.client,
    run: runSubmit)
}

private func runSubmit(_ arguments: Arguments) throws(CommandError) -> ExitCode {
  let client = try Client(arguments)
  let head = try submissionHead(arguments)
  if arguments.has("batch") { return try submitBatch(arguments, head, client) }
  var body = head
  if arguments.positionals.count > 1 { body += Array(#","params":"#.utf8) + (try params(arguments)) }
  let reply = try client.send("POST", "/v1/tasks", body: body + [UInt8(ascii: "}")])
  guard let id = Document(reply.body)?["id"]?.string else {
    throw .failed("the host's answer to a submission has no id")
  }
  if arguments.has("wait") { return try wait(for: id, client, json: arguments.has("json")) }
  if arguments.has("json") { try Terminal.write(reply.body + [0x0a]) } else { try Terminal.line(id) }
  return .ok
}

/// A submission with all that the options say, not closed yet: params may follow.
private func submissionHead(_ arguments: Arguments) throws(CommandError) -> [UInt8] {
  if arguments.has("tenant") { throw .usage("--tenant is not supported yet", verb: arguments.verb) }
  if arguments.has("delay"), arguments.has("at") {
    throw .usage("--delay and --at exclude each other; give one", verb: arguments.verb)
  }
  var writer = JSONWriter()
  writer.beginObject()
  writer.member("type", arguments.positionals[0])
  for (option, member) in [
    ("delay", "delay"), ("at", "runAt"), ("expires", "expires"), ("timeout", "timeout"), ("priority", "priority"),
    ("key", "key"),
  ] {
    if let value = arguments.value(option) { writer.member(member, value) }
  }
  return writer.bytes
}

/// Waits as long as it takes and prints the result, or with `json` the record.
private func wait(for id: String, _ client: Client, json: Bool) throws(CommandError) -> ExitCode {
  let record = try client.finalRecord(id)
  if json {
    try Terminal.write(record.document.bytes + [0x0a])
  } else if record.status == .completed {
    try Terminal.write(record.result + [0x0a])
  }
  if let outcome = record.outcome { throw outcome }
  return .ok
}

/// PARAMS as the bytes of one JSON value.
private func params(_ arguments: Arguments) throws(CommandError) -> [UInt8] {
  let (bytes, place) = try input(arguments.positionals[1], arguments.verb)
  do throws(JSONSyntaxError) {
    try JSONScanner.validate(bytes)
    return bytes
  } catch {
    throw .usage("\(place) is not JSON: \(error)", verb: arguments.verb)
  }
}

/// What PARAMS stands for, itself or what it names, and what that is called.
func input(_ word: String, _ verb: Verb) throws(CommandError) -> (bytes: [UInt8], place: String) {
  if word == "-" { return (try contents(of: STDIN_FILENO, "standard input", verb), "standard input") }
  guard word.hasPrefix("@") else { return (Array(word.utf8), "PARAMS") }
  let place = String(word.dropFirst())
  let descriptor = open(place, O_RDONLY | O_CLOEXEC)
  guard descriptor >= 0 else { throw .usage("\(place): \(String(cString: strerror(errno)))", verb: verb) }
  defer { close(descriptor) }
  return (try contents(of: descriptor, place, verb), place)
}

private func contents(of descriptor: Int32, _ place: String, _ verb: Verb) throws(CommandError) -> [UInt8] {
  var bytes: [UInt8] = []
  var buffer = [UInt8](repeating: 0, count: 1 << 16)
  while true {
    let count = read(descriptor, &buffer, buffer.count)
    if count < 0, errno == EINTR { continue }
    guard count >= 0 else { throw .usage("\(place): \(String(cString: strerror(errno)))", verb: verb) }
    if count == 0 { return bytes }
    bytes += buffer[..<count]
  }
}
