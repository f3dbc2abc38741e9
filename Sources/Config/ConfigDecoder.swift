// SPDX-License-Identifier: Apache-2.0
internal import TaskModel

/// Reads the members of one object of the config; what is wrong goes into the report and a default takes its place.
///
/// An object that is absent is read like an empty one, so that defaults stand in one place: where the key is read.
final class ConfigDecoder {
  let report: ConfigReport
  /// Where the object is, as in `types.article.generate`.
  let path: String
  /// The same with `*` for names that the user chose.
  private let pattern: String
  /// Where issues about the object itself point to.
  private let offset: Int
  private let members: [JSONNode.Member]
  /// False for a value of another type, of which that alone is said.
  private let isObject: Bool
  private var known: Set<String> = []

  /// Starts at `node`; nil stands for an object that is absent.
  init(_ node: JSONNode?, path: String = "", pattern: String = "", offset: Int = 0, report: ConfigReport) {
    self.report = report
    self.path = path
    self.pattern = pattern
    self.offset = node?.range.lowerBound ?? offset
    guard case .object(let members)? = node?.content else {
      if let node { report.add(path, "expected an object, found \(node.kind)", at: node.range.lowerBound) }
      self.members = []
      self.isObject = node == nil
      return
    }
    self.members = members
    self.isObject = true
    reportDuplicates(of: members, at: path, to: report)
  }

  /// Reports members that nobody asked for; call when all keys were read.
  func finish() {
    let later = unsupportedKeys(in: pattern)
    for member in members where !known.contains(member.name) {
      if later.contains(member.name) {
        report.add(path(of: member.name), "not supported yet", at: member.offset)
      } else {
        let hint = didYouMean(member.name, among: known.union(later))
        report.add(path(of: member.name), "unknown key\(hint)", at: member.offset)
      }
    }
  }

  /// The path of a member of this object.
  func path(of key: String) -> String { path.isEmpty ? key : "\(path).\(key)" }

  private func patternOf(_ key: String) -> String { pattern.isEmpty ? key : "\(pattern).\(key)" }

  /// True when the key is written in the file.
  func has(_ key: String) -> Bool { members.contains { $0.name == key } }

  /// The value of a key, which from now on counts as known; nil when absent, the last of duplicates.
  func value(_ key: String) -> JSONNode? {
    known.insert(key)
    report.noteKey(patternOf(key))
    return members.last { $0.name == key }?.value
  }

  /// Reports that a key must be there; `what` says what to write.
  func missing(_ key: String, _ what: String) {
    if isObject { report.add(path(of: key), "missing; \(what)", at: offset) }
  }

  /// Reports an issue at a member's value, or at the object when the member is absent.
  func refuse(_ key: String, _ message: String) {
    report.add(path(of: key), message, at: members.last { $0.name == key }?.value.range.lowerBound ?? offset)
  }

  func wrongType(_ node: JSONNode, _ path: String, expected: String) {
    report.add(path, "expected \(expected), found \(node.kind)", at: node.range.lowerBound)
  }

  /// Reads an object of fixed keys.
  func object<Value>(_ key: String, _ read: (ConfigDecoder) -> Value) -> Value {
    let node = value(key)
    let inner = ConfigDecoder(node, path: path(of: key), pattern: patternOf(key), offset: offset, report: report)
    let result = read(inner)
    inner.finish()
    return result
  }

  /// Reads an object whose keys are names chosen by the user; `what` is what they name, as in `plugin`.
  func map<Value>(_ key: String, of what: String, _ read: (String, ConfigDecoder) -> Value) -> [String: Value] {
    guard let node = value(key) else { return [:] }
    let place = path(of: key)
    guard case .object(let members) = node.content else {
      wrongType(node, place, expected: "an object of \(what)s by name")
      return [:]
    }
    reportDuplicates(of: members, at: place, to: report)
    var result: [String: Value] = [:]
    for member in members {
      if !isValidName(member.name) {
        report.add("\(place).\(member.name)", badName(member.name, of: what), at: member.offset)
      }
      let inner = ConfigDecoder(
        member.value, path: "\(place).\(member.name)", pattern: "\(patternOf(key)).*", report: report)
      result[member.name] = read(member.name, inner)
      inner.finish()
    }
    return result
  }
}

/// What is said of a name that breaks the rule for names.
func badName(_ name: String, of what: String) -> String {
  "\"\(name)\" is not a name for a \(what); names have 1 to 64 characters of A-Z a-z 0-9 . _ - "
    + "and start with a letter or digit"
}

/// Reports each repeated name of an object.
func reportDuplicates(of members: [JSONNode.Member], at path: String, to report: ConfigReport) {
  var seen: [String: Int] = [:]
  for member in members {
    if let first = seen[member.name] {
      let place = path.isEmpty ? member.name : "\(path).\(member.name)"
      report.add(
        place, "duplicate key; it stands in line \(report.position(of: first).line) already", at: member.offset)
    } else {
      seen[member.name] = member.offset
    }
  }
}
