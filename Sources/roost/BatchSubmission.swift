// SPDX-License-Identifier: Apache-2.0
internal import HTTPClient
internal import TaskModel

/// `submit --batch`: a task for each line of params; `head` is a submission without its params and its end.
func submitBatch(_ arguments: Arguments, _ head: [UInt8], _ client: Client) throws(CommandError) -> ExitCode {
  guard arguments.positionals.count > 1 else {
    throw .usage("--batch needs PARAMS: @FILE or - with the params of one task on each line", verb: arguments.verb)
  }
  guard !arguments.has("key") else { throw .usage("--key is for one task, not for a batch", verb: arguments.verb) }
  let lines = try input(arguments.positionals[1], arguments.verb).bytes
  var submission = BatchSubmission(
    client: client, head: head + Array(#","params":"#.utf8), json: arguments.has("json"), waits: arguments.has("wait"))
  for (index, line) in lines.split(separator: 0x0a, omittingEmptySubsequences: false).enumerated() {
    try submission.add(line, number: index + 1)
  }
  try submission.send()
  try submission.printOutcomes()
  return submission.hasFailures ? .failed : .ok
}

private struct BatchSubmission {
  /// Tasks of one request, and the bytes after which it is sent with less: the host takes 32 MiB by default.
  private static let tasks = 1000
  private static let bytes = 4 << 20

  let client: Client
  let head: [UInt8]
  let json: Bool
  let waits: Bool
  private(set) var hasFailures = false
  /// Lines that are not sent yet, those that cannot be sent with the reason.
  private var lines: [(number: Int, refusal: String?)] = []
  private var body: [UInt8] = []
  /// What is waited for.
  private var accepted: [(line: Int, id: String)] = []

  init(client: Client, head: [UInt8], json: Bool, waits: Bool) {
    self.client = client
    self.head = head
    self.json = json
    self.waits = waits
  }

  mutating func add(_ line: ArraySlice<UInt8>, number: Int) throws(CommandError) {
    guard line.contains(where: { ![0x20, 0x09, 0x0d].contains($0) }) else { return }
    do throws(JSONSyntaxError) {
      // Here, not by the host: what is no value could end the submission that it stands in and go on with another member.
      try JSONScanner.validate(Array(line))
      lines.append((number, nil))
      body += head + line + [UInt8(ascii: "}"), 0x0a]
    } catch {
      lines.append((number, "not JSON: \(error)"))
    }
    if lines.count == Self.tasks || body.count >= Self.bytes { try send() }
  }

  /// Sends what has gathered, and prints ids and refusals in the order of the lines.
  mutating func send() throws(CommandError) {
    var results = try answers()[...]
    var output: [UInt8] = []
    for (number, refusal) in lines {
      if let refusal {
        if json, !waits { output += refused(refusal) + [0x0a] }
        try fail(number, refusal)
      } else if let result = results.popFirst() {
        if json, !waits { output += oneLine(result.bytes) + [0x0a] }
        if let id = result["id"]?.string {
          if waits { accepted.append((number, id)) } else if !json { output += Array(id.utf8) + [0x0a] }
        } else {
          try fail(number, result["error"]?["detail"]?.string ?? "refused")
        }
      }
    }
    try Terminal.write(output)
    lines = []
    body = []
  }

  private func answers() throws(CommandError) -> [Document] {
    guard !body.isEmpty, let first = lines.first?.number, let last = lines.last?.number else { return [] }
    do throws(CommandError) {
      let reply = try client.send("POST", "/v1/tasks/batch", body: body)
      let results = Document(reply.body)?["results"]?.elements ?? []
      guard results.count == lines.count(where: { $0.refusal == nil }) else {
        throw .failed("the host's answer to a batch has another number of results")
      }
      return results
    } catch {
      throw CommandError(
        exitCode: error.exitCode, message: "\(error.message) (while submitting lines \(first) to \(last))",
        notes: error.notes)
    }
  }

  /// Prints the results of what was accepted, or the records, in the order of the lines.
  mutating func printOutcomes() throws(CommandError) {
    for (line, id) in accepted {
      let record = try client.finalRecord(id)
      if json {
        try Terminal.write(oneLine(record.document.bytes) + [0x0a])
      } else if record.status == .completed {
        try Terminal.write(oneLine(record.result) + [0x0a])
      }
      if let outcome = record.outcome { try fail(line, outcome.message) }
    }
  }

  private mutating func fail(_ line: Int, _ message: String) throws(CommandError) {
    hasFailures = true
    try Terminal.error("roost: line \(line): \(Terminal.printable(message))")
  }

  /// An error of this program in the form of the host's.
  private func refused(_ message: String) -> [UInt8] {
    var writer = JSONWriter()
    writer.beginObject()
    writer.key("error")
    writer.beginObject()
    writer.member("detail", message)
    writer.member("code", "bad_json")
    writer.endObject()
    writer.endObject()
    return writer.bytes
  }
}

/// JSON without line breaks, which can only stand between its tokens.
private func oneLine(_ json: [UInt8]) -> [UInt8] {
  json.map { $0 == 0x0a || $0 == 0x0d ? 0x20 : $0 }
}
