// SPDX-License-Identifier: Apache-2.0
import TaskModel
import Testing

@Suite("JSON values with their places")
struct JSONNodeTests {
  private func text(of node: JSONNode) -> String? {
    guard case .string(let text) = node.content else { return nil }
    return text
  }

  @Test(
    "Escapes become their characters; a lone surrogate becomes U+FFFD",
    arguments: [
      (#""""#, ""), (#""plain é""#, "plain é"), (#""\"\\\/\b\f\n\r\t""#, "\"\\/\u{8}\u{c}\n\r\t"),
      (#""\u0041\u00e9\u20AC""#, "Aé€"), (#""\ud83d\ude00""#, "😀"), (#""x\ud83d\ude00y\n""#, "x😀y\n"),
      (#""\ud83d""#, "\u{fffd}"), (#""a\ud83db""#, "a\u{fffd}b"), (#""\ude00\ud83d""#, "\u{fffd}\u{fffd}"),
      (#""\u0000""#, "\0"), (#""é\né""#, "é\né"),
    ])
  func strings(_ json: String, _ expected: String) throws {
    #expect(text(of: try JSONNode.parse(Array(json.utf8))) == expected)
  }

  @Test("Members keep their order, their duplicates and the places of names and values")
  func members() throws {
    let json = Array(#" { "a" : 1.50 , "\u0062": [ true ] ,"a":null } "#.utf8)
    let node = try JSONNode.parse(json)
    guard case .object(let members) = node.content else {
      Issue.record("not an object")
      return
    }
    #expect(node.range == 1..<46)
    #expect(members.map(\.name) == ["a", "b", "a"])
    #expect(members.map(\.offset) == [3, 16, 36])
    #expect(members.map { String(decoding: json[$0.value.range], as: UTF8.self) } == ["1.50", "[ true ]", "null"])
    #expect(members.map(\.value.kind) == ["a number", "an array", "null"])
  }

  @Test("Numbers keep their text")
  func numbers() throws {
    for number in ["0", "-0", "1.50", "1E400", "123456789012345678901234567890"] {
      guard case .number(let text) = try JSONNode.parse(Array(" \(number) ".utf8)).content else {
        Issue.record("\(number) is not a number")
        continue
      }
      #expect(text == number)
    }
  }

  @Test("Each kind of value has a name")
  func kinds() throws {
    let kinds = try ["null", "true", "false", "1", "\"\"", "[]", "{}"].map { try JSONNode.parse(Array($0.utf8)).kind }
    #expect(kinds == ["null", "a boolean", "a boolean", "a number", "a string", "an array", "an object"])
  }
}
