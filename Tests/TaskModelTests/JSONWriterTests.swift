// SPDX-License-Identifier: Apache-2.0
import TaskModel
import Testing

@Suite("Written JSON")
struct JSONWriterTests {
  private func written(_ write: (inout JSONWriter) -> Void) -> String {
    var writer = JSONWriter()
    write(&writer)
    return String(decoding: writer.bytes, as: UTF8.self)
  }

  @Test("Commas stand between members and elements and nowhere else")
  func structure() {
    let text = written {
      $0.beginObject()
      $0.member("a", "x")
      $0.key("b")
      $0.beginArray()
      $0.integer(-1)
      $0.beginObject()
      $0.endObject()
      $0.beginArray()
      $0.endArray()
      $0.null()
      $0.endArray()
      $0.member("c", true)
      $0.key("d")
      $0.raw(Array("1.50".utf8))
      $0.member("e", Int64.min)
      $0.endObject()
    }
    #expect(text == #"{"a":"x","b":[-1,{},[],null],"c":true,"d":1.50,"e":-9223372036854775808}"#)
  }

  @Test("Any string comes back as it was, control characters included")
  func strings() throws {
    let all = String(String.UnicodeScalarView((0..<0x300).compactMap { Unicode.Scalar($0 as UInt32) })) + "€😀\u{2028}"
    let json = written { $0.string(all) }
    #expect(json.utf8.allSatisfy { $0 >= 0x20 })
    #expect(json.hasPrefix(#""\u0000\u0001"#))
    #expect(json.contains(#"\u0008\t\n\u000b\u000c\r\u000e"#))
    #expect(json.contains(##"\u001f !\"#"##))
    guard case .string(let back) = try JSONNode.parse(Array(json.utf8)).content else {
      Issue.record("not a string")
      return
    }
    #expect(back == all)
  }

  @Test(
    "Numbers are JSON numbers, and what is none is null",
    arguments: [
      (0, "0"), (0.5, "0.5"), (-3, "-3"), (1e14, "100000000000000"), (1e300, "1e+300"), (.infinity, "null"),
      (-.infinity, "null"), (.nan, "null"),
    ] as [(Double, String)])
  func numbers(_ value: Double, _ expected: String) {
    #expect(written { $0.number(value) } == expected)
    #expect(throws: Never.self) { try JSONScanner.validate(Array(expected.utf8)) }
  }
}
