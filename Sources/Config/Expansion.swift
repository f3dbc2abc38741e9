// SPDX-License-Identifier: Apache-2.0

/// Why the variables of a string cannot be replaced.
enum ExpansionError: Error, Equatable, CustomStringConvertible {
  case unset(String)
  case unterminated
  case badName(String)

  var description: String {
    switch self {
    case .unset(let name): "the environment has no \(name); set it, or give a default as in ${\(name):-text}"
    case .unterminated: "\"${\" has no closing \"}\"; write $${ for a literal ${"
    case .badName(let name):
      "\"${\(name)}\" names no environment variable; write ${NAME} or ${NAME:-text}, and $${ for a literal ${"
    }
  }
}

/// Replaces `${NAME}` and `${NAME:-text}` from the environment and `$${` by a literal `${`.
///
/// As in a shell, the text after `:-` also stands in for a variable that is set and empty.
func expandVariables(in text: String, from environment: [String: String]) throws(ExpansionError) -> String {
  guard text.utf8.contains(UInt8(ascii: "$")) else { return text }
  var result = ""
  var rest = text[...]
  while let dollar = rest.firstIndex(of: "$") {
    result += rest[..<dollar]
    rest = rest[dollar...]
    if rest.hasPrefix("$${") {
      result += "${"
      rest = rest.dropFirst(3)
    } else if rest.hasPrefix("${") {
      guard let close = rest.firstIndex(of: "}") else { throw .unterminated }
      result += try variable(rest[..<close].dropFirst(2), environment)
      rest = rest[close...].dropFirst()
    } else {
      result += "$"
      rest = rest.dropFirst()
    }
  }
  return result + rest
}

private func variable(_ inside: Substring, _ environment: [String: String]) throws(ExpansionError) -> String {
  var name = inside
  var fallback: Substring?
  if let colon = inside.firstIndex(of: ":"), inside[colon...].hasPrefix(":-") {
    name = inside[..<colon]
    fallback = inside[colon...].dropFirst(2)
  }
  guard isVariableName(name) else { throw .badName(String(inside)) }
  let value = environment[String(name)]
  if let fallback { return value.flatMap { $0.isEmpty ? nil : $0 } ?? String(fallback) }
  guard let value else { throw .unset(String(name)) }
  return value
}

/// The rule for names of variables: `[A-Za-z_][A-Za-z0-9_]*`.
func isVariableName(_ name: some StringProtocol) -> Bool {
  guard let first = name.utf8.first, !(0x30...0x39).contains(first) else { return false }
  return name.utf8.allSatisfy {
    (0x30...0x39).contains($0) || (0x41...0x5a).contains($0) || (0x61...0x7a).contains($0) || $0 == 0x5f
  }
}
