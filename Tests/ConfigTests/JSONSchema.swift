// SPDX-License-Identifier: Apache-2.0
import Foundation

/// As much of JSON Schema draft 2020-12 as the schema of config.json uses; any other keyword is a failure.
struct JSONSchema {
  struct UnknownKeyword: Error {
    let keyword: String
  }

  private let root: [String: Any]

  init(contentsOf path: String) throws {
    let data = try Data(contentsOf: URL(fileURLWithPath: path))
    root = try JSONSerialization.jsonObject(with: data) as? [String: Any] ?? [:]
  }

  /// The keys of all objects, with `*` for names that the user chooses.
  func keyPatterns() -> Set<String> {
    var keys: Set<String> = []
    walk(root, "") { path, _ in keys.insert(path) }
    return keys
  }

  /// The keys without a description.
  func undescribed() -> [String] {
    var keys: [String] = []
    walk(root, "") { path, schema in
      if (schema["description"] as? String ?? "").isEmpty { keys.append(path) }
    }
    return keys
  }

  private func walk(_ schema: [String: Any], _ path: String, _ visit: (String, [String: Any]) -> Void) {
    let prefix = path.isEmpty ? "" : path + "."
    for case (let name, let inner as [String: Any]) in schema["properties"] as? [String: Any] ?? [:] {
      visit(prefix + name, inner)
      walk(inner, prefix + name, visit)
    }
    if let inner = schema["additionalProperties"] as? [String: Any] { walk(inner, prefix + "*", visit) }
  }

  /// What is wrong with a document; empty: it is valid.
  func problems(in data: Data) throws -> [String] {
    try check(try JSONSerialization.jsonObject(with: data, options: .fragmentsAllowed), root, "$")
  }

  private func check(_ value: Any, _ schema: [String: Any], _ path: String) throws -> [String] {
    try schema.flatMap { try check(value, keyword: $0.key, $0.value, in: schema, path) }
  }

  private func check(
    _ value: Any, keyword: String, _ argument: Any, in schema: [String: Any], _ path: String
  ) throws -> [String] {
    func problem(_ holds: Bool) -> [String] { holds ? [] : ["\(path): \(keyword)"] }
    let object = value as? [String: Any]
    let text = value as? String
    let number = isNumber(value) ? value as? Double : nil
    let inner = argument as? [String: Any] ?? [:]
    switch keyword {
    case "$schema", "title", "description", "default", "$defs": return []
    case "$ref": return try check(value, resolve(argument), path)
    case "type": return problem(hasType(value, argument as? String))
    case "enum": return problem((argument as? [String] ?? []).contains { $0 == text })
    case "pattern": return problem(text.map { matches($0, argument) } ?? true)
    case "minLength": return problem(text.map { $0.unicodeScalars.count >= argument as? Int ?? .max } ?? true)
    case "maxLength": return problem(text.map { $0.unicodeScalars.count <= argument as? Int ?? 0 } ?? true)
    case "minimum": return problem(number.map { $0 >= argument as? Double ?? .infinity } ?? true)
    case "maximum": return problem(number.map { $0 <= argument as? Double ?? -.infinity } ?? true)
    case "required":
      return problem(object.map { object in (argument as? [String] ?? []).allSatisfy { object[$0] != nil } } ?? true)
    case "not": return problem(try !check(value, inner, path).isEmpty)
    case "anyOf":
      return problem(try (argument as? [[String: Any]] ?? []).contains { try check(value, $0, path).isEmpty })
    case "items":
      return try (value as? [Any] ?? []).enumerated().flatMap { try check($1, inner, "\(path)[\($0)]") }
    case "properties":
      return try (object ?? [:]).flatMap { name, member in
        try (inner[name] as? [String: Any]).map { try check(member, $0, "\(path).\(name)") } ?? []
      }
    case "propertyNames":
      return try (object ?? [:]).keys.flatMap { try check($0, inner, "\(path).\($0)") }
    case "additionalProperties":
      let known = schema["properties"] as? [String: Any] ?? [:]
      return try (object ?? [:]).filter { known[$0.key] == nil }.flatMap { name, member in
        argument as? Bool == false
          ? ["\(path).\(name): not known"] : try check(member, inner, "\(path).\(name)")
      }
    default: throw UnknownKeyword(keyword: keyword)
    }
  }

  private func resolve(_ reference: Any) -> [String: Any] {
    let name = (reference as? String ?? "").replacingOccurrences(of: "#/$defs/", with: "")
    return (root["$defs"] as? [String: Any])?[name] as? [String: Any] ?? ["unresolved": name]
  }

  private func hasType(_ value: Any, _ name: String?) -> Bool {
    switch name {
    case "object": value is [String: Any]
    case "array": value is [Any]
    case "string": value is String
    case "number": isNumber(value)
    case "integer": isNumber(value) && (value as? Double).map { $0 == $0.rounded() } ?? false
    default: false
    }
  }

  private func isNumber(_ value: Any) -> Bool {
    // JSONSerialization makes NSNumber of booleans too, with the type of a char.
    (value as? NSNumber).map { String(cString: $0.objCType) != "c" } ?? false
  }

  private func matches(_ text: String, _ pattern: Any) -> Bool {
    text.range(of: pattern as? String ?? "", options: .regularExpression) != nil
  }
}
