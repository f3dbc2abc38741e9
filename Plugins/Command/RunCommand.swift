// SPDX-License-Identifier: Apache-2.0
import FoundationEssentials
import RoostPlugin

/// Runs the program that the settings name: params on its standard input, result on its standard output.
struct RunCommand: TaskExecutor {
  struct Settings: Decodable {
    /// The program and its arguments.
    let command: [String]
    /// Whether a program that ended well leaves its task to somebody outside.
    let detach: Bool?
  }

  private let program: Program
  private let detaches: Bool

  init(_ settings: Settings) throws {
    program = try Program(settings.command)
    detaches = settings.detach ?? false
  }

  func execute(_ params: RawJSON, context: TaskContext) throws -> RawJSON {
    try context.checkCancellation()
    let child = try ChildProcess(program, environment: environment(of: context))
    var conversation = Conversation(with: child, input: params.bytes, context: context)
    let ending = conversation.run(keepingGroup: detaches)
    let words = conversation.lastWords

    switch ending {
    case .exited(0):
      if detaches { throw Detached() }
      return try result(of: conversation.output, context: context)
    case .exited(let code):
      throw TaskFailure(words.isEmpty ? "\(program.path) ended with exit code \(code)" : words, code: code)
    case .killed(let signal):
      let what = "\(program.path) was ended by \(name(ofSignal: signal))"
      throw TaskFailure(words.isEmpty ? what : "\(what)\n\(words)")
    case .stopped:
      throw CancellationError()
    case .tooMuchOutput:
      throw TaskFailure("\(program.path) wrote more than \(Conversation.outputLimit >> 20) MiB", retryable: false)
    case .lost:
      throw TaskFailure("how \(program.path) ended is not known: somebody else waited for it")
    }
  }

  private func environment(of context: TaskContext) -> [String: String] {
    var variables = [
      "ROOST_TASK_ID": context.id, "ROOST_TASK_TYPE": context.type, "ROOST_TASK_ATTEMPT": String(context.attempt),
    ]
    // Tells the host to spare what the program leaves behind when this worker ends.
    if detaches { variables["ROOST_DETACHES"] = "1" }
    return variables
  }

  /// JSON stays as it is, other text becomes a JSON string, nothing becomes null.
  private func result(of output: [UInt8], context: TaskContext) throws -> RawJSON {
    guard !output.isEmpty else { return .null }
    let raw = RawJSON(output)
    if context.accepts(raw) { return raw }
    guard var text = String(validating: output, as: UTF8.self) else {
      throw TaskFailure("\(program.path) wrote what is not UTF-8")
    }
    if text.utf8.last == UInt8(ascii: "\n") { text.unicodeScalars.removeLast() }
    return try RawJSON(encoding: text)
  }
}
