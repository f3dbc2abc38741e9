// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import HTTPClient
internal import TaskModel

extension Verb {
  /// Hands a task to the host.
  static let submit = Verb(
    name: "submit", positionals: "TYPE [PARAMS]", count: 1...2,
    summary: "Submit a task and print its id; PARAMS is JSON, @FILE or - for standard input, absent: null",
    options: [Option(name: "wait", value: nil, summary: "Wait until the task is final and print its result")]
      + Option.client,
    run: runSubmit)
}

private func runSubmit(_ arguments: Arguments) throws(CommandError) -> ExitCode {
  let client = try Client(arguments)
  var writer = JSONWriter()
  writer.beginObject()
  writer.member("type", arguments.positionals[0])
  if arguments.positionals.count > 1 {
    writer.key("params")
    writer.raw(try params(arguments.positionals[1], arguments.verb))
  }
  writer.endObject()
  let reply = try client.send("POST", "/v1/tasks", body: writer.bytes)
  guard let id = Document(reply.body)?["id"]?.string else {
    throw .failed("the host's answer to a submission has no id")
  }
  if arguments.has("wait") { return try wait(for: id, client, json: arguments.has("json")) }
  if arguments.has("json") { try Terminal.write(reply.body + [0x0a]) } else { try Terminal.line(id) }
  return .ok
}

/// Waits as long as it takes and prints the result, or with `json` the record.
private func wait(for id: String, _ client: Client, json: Bool) throws(CommandError) -> ExitCode {
  do throws(CommandError) {
    var record = try client.record(id, wait: 30)
    while !record.status.isFinal { record = try client.record(id, wait: 30) }
    if json {
      try Terminal.write(record.document.bytes + [0x0a])
    } else if record.status == .completed {
      try Terminal.write(record.result + [0x0a])
    }
    if let outcome = record.outcome { throw outcome }
    return .ok
  } catch {
    // The id is printed nowhere else, and the task goes on without us.
    guard !error.message.contains(id) else { throw error }
    throw CommandError(exitCode: error.exitCode, message: "\(error.message) (while waiting for task \(id))")
  }
}

/// PARAMS as the bytes of one JSON value.
private func params(_ word: String, _ verb: Verb) throws(CommandError) -> [UInt8] {
  let bytes: [UInt8]
  let place: String
  if word == "-" {
    (bytes, place) = (try contents(of: STDIN_FILENO, "standard input"), "standard input")
  } else if word.hasPrefix("@") {
    place = String(word.dropFirst())
    let descriptor = open(place, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw .usage("\(place): \(String(cString: strerror(errno)))", verb: verb) }
    defer { close(descriptor) }
    bytes = try contents(of: descriptor, place)
  } else {
    (bytes, place) = (Array(word.utf8), "PARAMS")
  }
  do throws(JSONSyntaxError) {
    try JSONScanner.validate(bytes)
    return bytes
  } catch {
    throw .usage("\(place) is not JSON: \(error)", verb: verb)
  }
}

private func contents(of descriptor: Int32, _ place: String) throws(CommandError) -> [UInt8] {
  var bytes: [UInt8] = []
  var buffer = [UInt8](repeating: 0, count: 1 << 16)
  while true {
    let count = read(descriptor, &buffer, buffer.count)
    if count < 0, errno == EINTR { continue }
    guard count >= 0 else { throw .failed("\(place): \(String(cString: strerror(errno)))") }
    if count == 0 { return bytes }
    bytes += buffer[..<count]
  }
}
