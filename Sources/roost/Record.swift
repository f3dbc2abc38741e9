// SPDX-License-Identifier: Apache-2.0
internal import TaskModel

/// What the verbs show of a task's record.
struct Record {
  let document: Document
  let id: String
  let type: String
  let status: TaskStatus

  init(_ text: [UInt8]) throws(CommandError) {
    guard let document = Document(text), let record = Record(document) else {
      throw .failed("the host's answer is not a task's record")
    }
    self = record
  }

  init?(_ document: Document) {
    guard let id = document["id"]?.string, let type = document["type"]?.string,
      let status = document["status"]?.string.flatMap(TaskStatus.init(rawValue:))
    else { return nil }
    self.document = document
    self.id = id
    self.type = type
    self.status = status
  }

  /// From 0 to 1; nil when the executor reported none.
  var fraction: Double? { (document["progress"]?["fraction"]?.number).map { min(1, max(0, $0)) } }

  /// What the executor said last.
  var note: String { document["progress"]?["note"]?.string ?? "" }

  /// `kind: message` of the error; empty when there is none.
  var failure: String {
    guard let error = document["error"] else { return "" }
    let parts = [error["kind"]?.string, error["signal"]?.string, error["message"]?.string]
    return parts.compactMap { $0 }.filter { !$0.isEmpty }.joined(separator: ": ")
  }

  /// When a SCHEDULED task will be due.
  var due: String? { status == .scheduled ? document["dueAt"]?.string : nil }

  /// `name: error` of the callback or exception handler that was given up; empty when there is none.
  var handlerFailure: String {
    guard let callback = document["callback"], callback["status"]?.string == "failed" else { return "" }
    return [callback["name"]?.string, callback["lastError"]?.string].compactMap { $0 }.joined(separator: ": ")
  }

  /// The result's own bytes; a COMPLETED task without one has the result null.
  var result: [UInt8] { document["result"]?.bytes ?? Array("null".utf8) }

  /// Nil when the task is COMPLETED, else what to tell the shell.
  var outcome: CommandError? {
    guard status != .completed else { return nil }
    return .failed("task \(id) is \(status.rawValue)\(failure.isEmpty ? "" : ": \(failure)")")
  }
}
