// SPDX-License-Identifier: Apache-2.0
internal import HTTPClient
internal import TaskModel

/// What a verb does with the FAILED tasks of a type, in place of tasks that it names.
enum FailedTasks {
  static let options = [
    Option(name: "type", value: "TYPE", summary: "In place of IDs: all FAILED tasks of this type; prints how many"),
    Option(name: "kind", value: "KIND", summary: "With --type: only those whose error is of this kind, as in timeout"),
  ]

  /// Posts to the path if the words choose a type; false if they name tasks.
  static func act(_ path: String, _ arguments: Arguments) throws(CommandError) -> Bool {
    guard let type = arguments.value("type") else {
      if arguments.has("kind") { throw .usage("--kind goes with --type", verb: arguments.verb) }
      if arguments.positionals.isEmpty { throw .usage("name tasks by ID, or a type by --type", verb: arguments.verb) }
      return false
    }
    guard arguments.positionals.isEmpty else {
      throw .usage("IDs and --type exclude each other", verb: arguments.verb)
    }
    var writer = JSONWriter()
    writer.beginObject()
    writer.member("type", type)
    if let kind = arguments.value("kind") { writer.member("kind", kind) }
    writer.endObject()
    let reply = try Client(arguments).send("POST", path, body: writer.bytes)
    guard let count = Document(reply.body)?["count"]?.number else {
      throw .failed("the host's answer says not how many")
    }
    if arguments.has("json") { try Terminal.write(reply.body + [0x0a]) } else { try Terminal.line("\(Int(count))") }
    return true
  }
}
