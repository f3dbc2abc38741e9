// SPDX-License-Identifier: Apache-2.0
internal import TaskModel

/// The words after a verb: its options and positionals.
struct Arguments: Sendable {
  let verb: Verb
  private(set) var positionals: [String] = []
  /// Flags have an empty value.
  private var values: [String: String] = [:]

  /// Reads `--option VALUE`, `--option=VALUE`, `--flag` and positionals in any order; after `--` all are positionals.
  init(_ words: [String], for verb: Verb) throws(CommandError) {
    self.verb = verb
    if verb.isHidden {
      positionals = words
      return
    }
    var rest = words[...]
    while let word = rest.popFirst() {
      if word == "--" {
        positionals += rest
        break
      }
      if isOption(word) { try readOption(word, &rest) } else { positionals.append(word) }
    }
    if !has("help") { try checkCount() }
  }

  /// True when the flag or option was given.
  func has(_ name: String) -> Bool { values[name] != nil }

  /// The value of an option; nil when it was not given.
  func value(_ name: String) -> String? { values[name] }

  private mutating func readOption(_ word: String, _ rest: inout ArraySlice<String>) throws(CommandError) {
    let parts = word.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
    let name = word == "-h" ? "help" : String(parts[0].dropFirst(2))
    let options = verb.options + [.help]
    guard let option = options.first(where: { $0.name == name }), word == "-h" || word.hasPrefix("--") else {
      let hint = didYouMean(String(parts[0]), among: options.map { "--\($0.name)" })
      throw .usage("unknown option \"\(parts[0])\"\(hint)", verb: verb)
    }
    if let placeholder = option.value {
      guard let value = parts.count == 2 ? String(parts[1]) : rest.popFirst() else {
        throw .usage("--\(name) needs a value: --\(name) \(placeholder)", verb: verb)
      }
      values[name] = value
    } else {
      guard parts.count == 1 else { throw .usage("--\(name) takes no value", verb: verb) }
      values[name] = ""
    }
  }

  private func checkCount() throws(CommandError) {
    if positionals.count < verb.count.lowerBound {
      throw .usage("something is missing: roost \(verb.name) \(verb.positionals)", verb: verb)
    }
    if positionals.count > verb.count.upperBound {
      throw .usage("unexpected \"\(positionals[verb.count.upperBound])\"", verb: verb)
    }
  }
}

/// A word with a dash is an option, unless it is `-` (standard input) or a number, which may be the params of a task.
private func isOption(_ word: String) -> Bool {
  guard word.hasPrefix("-"), let second = word.utf8.dropFirst().first else { return false }
  return !(0x30...0x39).contains(second)
}
