// SPDX-License-Identifier: Apache-2.0
internal import TaskModel

extension ConfigDecoder {
  /// A string with its variables replaced; nil when absent or wrong.
  func string(_ key: String) -> String? {
    value(key).flatMap { string($0, at: path(of: key)) }
  }

  /// A string that must be there and not be empty; `what` says what to write.
  func requiredString(_ key: String, _ what: String) -> String? {
    guard let node = value(key) else {
      missing(key, what)
      return nil
    }
    guard let text = string(node, at: path(of: key)) else { return nil }
    if text.isEmpty { refuse(key, "must not be empty; \(what)") }
    return text
  }

  /// A path as it is written; nil when absent or wrong.
  func path(_ key: String) -> String? {
    guard let text = string(key) else { return nil }
    if text.isEmpty { refuse(key, "must not be empty") }
    return text
  }

  /// A whole number within a range.
  func integer(_ key: String, default fallback: Int, in allowed: ClosedRange<Int>) -> Int {
    guard let node = value(key) else { return fallback }
    guard case .number(let text) = node.content else {
      wrongType(node, path(of: key), expected: "a number")
      return fallback
    }
    guard let number = Int(text) else {
      let isWhole = text.utf8.allSatisfy { $0 == UInt8(ascii: "-") || (0x30...0x39).contains($0) }
      refuse(key, isWhole ? outOfRange(text, allowed) : "\(text) is not a whole number")
      return fallback
    }
    guard allowed.contains(number) else {
      refuse(key, outOfRange(text, allowed))
      return fallback
    }
    return number
  }

  /// The same; nil when absent.
  func integer(_ key: String, in allowed: ClosedRange<Int>) -> Int? {
    value(key).map { _ in integer(key, default: allowed.lowerBound, in: allowed) }
  }

  /// A number within a range, fractions allowed; nil when absent or wrong.
  func number(_ key: String, in allowed: ClosedRange<Double>) -> Double? {
    guard let node = value(key) else { return nil }
    guard case .number(let text) = node.content, let number = Double(text) else {
      wrongType(node, path(of: key), expected: "a number")
      return nil
    }
    guard allowed.contains(number) else {
      refuse(key, "\(text) is out of range; allowed are \(short(allowed.lowerBound)) to \(short(allowed.upperBound))")
      return nil
    }
    return number
  }

  /// A duration as in `"10s"`.
  func duration(_ key: String, default fallback: Duration, in allowed: ClosedRange<Duration>) -> Duration {
    quantity(
      key, default: fallback, in: allowed, parse: Quantity.duration, text: Quantity.text,
      expected: "a duration as in \"500ms\", \"10s\", \"5m\", \"24h\" or \"7d\"")
  }

  /// The same; nil when absent.
  func duration(_ key: String, in allowed: ClosedRange<Duration>) -> Duration? {
    value(key).map { _ in duration(key, default: allowed.lowerBound, in: allowed) }
  }

  /// A size in bytes as in `"32MiB"`.
  func byteCount(_ key: String, default fallback: Int, in allowed: ClosedRange<Int>) -> Int {
    quantity(
      key, default: fallback, in: allowed, parse: Quantity.byteCount, text: Quantity.text(byteCount:),
      expected: "a size as in \"512B\", \"64KiB\", \"32MiB\" or \"1GiB\"")
  }

  /// The same; nil when absent.
  func byteCount(_ key: String, in allowed: ClosedRange<Int>) -> Int? {
    value(key).map { _ in byteCount(key, default: allowed.lowerBound, in: allowed) }
  }

  private func quantity<Value: Comparable>(
    _ key: String, default fallback: Value, in allowed: ClosedRange<Value>, parse: (String) -> Value?,
    text: (Value) -> String, expected: String
  ) -> Value {
    guard let node = value(key) else { return fallback }
    guard case .string(let written) = node.content else {
      wrongType(node, path(of: key), expected: expected)
      return fallback
    }
    guard let expanded = string(node, at: path(of: key)) else { return fallback }
    // Messages show what stands in the file: what came from the environment may be secret.
    guard let value = parse(expanded) else {
      refuse(key, "\"\(written)\" is not \(expected)")
      return fallback
    }
    guard allowed.contains(value) else {
      refuse(
        key, "\(written) is out of range; allowed are \(text(allowed.lowerBound)) to \(text(allowed.upperBound))")
      return fallback
    }
    return value
  }

  /// One of a few words.
  func choice<Value: RawRepresentable<String> & CaseIterable>(_ key: String, default fallback: Value) -> Value {
    guard let word = string(key) else { return fallback }
    if let value = Value(rawValue: word) { return value }
    let words = Value.allCases.map(\.rawValue)
    refuse(
      key, "\(shown(key)) is not one of \(words.joined(separator: ", "))\(didYouMean(word, among: words))")
    return fallback
  }

  /// A list of strings, each checked by `problem`, which says what is wrong with it; nil when absent.
  func strings(_ key: String, problem: (String) -> String?) -> [String]? {
    guard let node = value(key) else { return nil }
    guard case .array(let elements) = node.content else {
      wrongType(node, path(of: key), expected: "an array of strings")
      return nil
    }
    return elements.enumerated().compactMap { index, element in
      let place = "\(path(of: key))[\(index)]"
      guard let text = string(element, at: place) else { return nil }
      if let problem = problem(text) { report.add(place, problem, at: element.range.lowerBound) }
      return text
    }
  }

  /// `PLUGIN/EXPORT`, whose plugin must be one of `plugins`; nil when absent or wrong.
  func export(_ key: String, plugins: Set<String>) -> ExportRef? {
    guard let text = string(key) else { return nil }
    let parts = text.split(separator: "/", omittingEmptySubsequences: false)
    guard parts.count == 2, parts.allSatisfy(isValidName) else {
      refuse(key, "\(shown(key)) is not PLUGIN/EXPORT, as in \"notify/log\"")
      return nil
    }
    let plugin = String(parts[0])
    if !plugins.contains(plugin) {
      let hint = nearestName(to: plugin, among: plugins).map { "; did you mean \"\($0)\"?" }
      refuse(key, "there is no plugin \"\(plugin)\"\(hint ?? "; plugins has \(listed(plugins))")")
    }
    return ExportRef(plugin: plugin, export: String(parts[1]))
  }

  /// What stands in the file for a key, in quotes, for messages.
  func shown(_ key: String) -> String {
    guard case .string(let text)? = value(key)?.content else { return key }
    return "\"\(text)\""
  }

  private func string(_ node: JSONNode, at path: String) -> String? {
    guard case .string(let text) = node.content else {
      wrongType(node, path, expected: "a string")
      return nil
    }
    do throws(ExpansionError) {
      let expanded = try expandVariables(in: text, from: report.environment)
      guard expanded.utf8.contains(0) else { return expanded }
      report.add(path, "a NUL character cannot stand here", at: node.range.lowerBound)
      return nil
    } catch {
      report.add(path, error.description, at: node.range.lowerBound)
      return nil
    }
  }

  private func outOfRange(_ text: String, _ allowed: ClosedRange<Int>) -> String {
    "\(text) is out of range; allowed are \(allowed.lowerBound) to \(allowed.upperBound)"
  }
}

/// A number without the fraction that it does not have.
private func short(_ number: Double) -> String { Int(exactly: number).map(String.init) ?? "\(number)" }

/// Names for a message, as in `article, notify`.
func listed(_ names: Set<String>) -> String {
  names.isEmpty ? "none" : names.sorted().joined(separator: ", ")
}
