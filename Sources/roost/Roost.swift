// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import TaskModel

/// The command line: finds the verb, runs it and turns what it throws into a message and an exit code.
@main
struct Roost {
  static func main() {
    exit(run(Array(CommandLine.arguments.dropFirst())).rawValue)
  }

  private static func run(_ words: [String]) -> ExitCode {
    do throws(CommandError) {
      return try dispatch(words)
    } catch {
      // Nothing may leave main: a thrown error there is a trap, not an exit code.
      let message = Terminal.printable(error.message)
      let prefix = message.isEmpty ? [] : ["roost: \(message)"]
      try? Terminal.error((prefix + error.notes).joined(separator: "\n"))
      return error.exitCode
    }
  }

  private static func dispatch(_ words: [String]) throws(CommandError) -> ExitCode {
    guard let first = words.first else {
      throw .usage("a verb is missing", verb: nil)
    }
    switch first {
    case "--version":
      try Terminal.line("roost \(version)")
      return .ok
    case "--help", "-h", "help":
      try Terminal.line(Verb.overview)
      return .ok
    default: break
    }
    let names = Verb.all.filter { !$0.isHidden }.map(\.name)
    guard let verb = Verb.all.first(where: { $0.name == first }) else {
      let what = first.hasPrefix("-") ? "option" : "verb"
      throw .usage(
        "unknown \(what) \"\(first)\"\(didYouMean(first, among: names + ["--help", "--version"]))", verb: nil)
    }
    let arguments = try Arguments(Array(words.dropFirst()), for: verb)
    if arguments.has("help") {
      try Terminal.line(verb.help)
      return .ok
    }
    return try verb.run(arguments)
  }
}

/// The version of the program, as `--version` shows it.
let version = "0.1.0"
