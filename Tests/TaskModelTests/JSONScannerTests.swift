// SPDX-License-Identifier: Apache-2.0
import TaskModel
import Testing

@Suite("JSON text")
struct JSONScannerTests {
  @Test(
    "What RFC 8259 allows is accepted",
    arguments: [
      "null", "true", "false", " \t\r\n null \t\r\n ", "0", "-0", "1", "-1", "10", "1.5", "0.5", "-0.5e-10", "1e5",
      "1E+5", "1e-05", "0e0", "123456789012345678901234567890", "1e999999", #""""#, #""a""#, #""\"\\\/\b\f\n\r\t""#,
      #""\u0000\uABCD\uabcd""#, #""\ud800""#, #""\udc00\ud800""#, #""\ud83d\ude00""#, "\"\u{7f}é€😀\u{10ffff}\"",
      "[]", "[ ]", "[1]", "[1,2]", "[[],{}]", "{}", "{ }", #"{"a":1}"#, #"{"a":1,"a":2}"#, #"{"":{"":[]}}"#,
      #" { "a" : [ 1 , { "b" : null } ] } "#,
    ])
  func accepted(_ text: String) {
    #expect(throws: Never.self) { try JSONScanner.validate(Array(text.utf8)) }
  }

  @Test(
    "What it forbids is refused where it goes wrong",
    arguments: [
      ("", 0, "the text is empty"), ("  ", 2, "a value is missing"), ("nul", 0, "the text ends inside a value"),
      ("nulL", 0, "unexpected \"n\""), ("True", 0, "unexpected \"T\""), ("NaN", 0, "unexpected \"N\""),
      ("null x", 5, "unexpected \"x\" after the value"), ("1 2", 2, "unexpected \"2\" after the value"),
      ("01", 1, "unexpected \"1\" after the value"), ("-", 1, "a digit is missing in a number"),
      ("+1", 0, "unexpected \"+\""), (".5", 0, "unexpected \".\""), ("1.", 2, "a digit is missing in a number"),
      ("1.e5", 2, "a digit is missing in a number"), ("1e", 2, "a digit is missing in a number"),
      ("1e+", 3, "a digit is missing in a number"), ("0x1", 1, "unexpected \"x\" after the value"),
      ("-a", 1, "a digit is missing in a number"), ("\"", 1, "the text ends inside a string"),
      ("\"a", 2, "the text ends inside a string"), ("\"\\", 1, "the text ends inside a string"),
      ("\"\\x\"", 1, "unknown escape in a string"), ("\"\\u12g4\"", 1, "\\u needs four hex digits"),
      ("\"\\u12", 1, "\\u needs four hex digits"), ("\"a\nb\"", 2, "a control character stands in a string"),
      ("\"\u{0}\"", 1, "a control character stands in a string"), ("'a'", 0, "unexpected \"'\""),
      ("[", 1, "the text ends inside a value"), ("[1", 2, "the text ends inside an array"),
      ("[1,]", 3, "unexpected \"]\""), ("[,1]", 1, "unexpected \",\""),
      ("[1 2]", 3, "unexpected \"2\", expected \",\" or \"]\""),
      ("[1}", 2, "unexpected \"}\", expected \",\" or \"]\""),
      ("]", 0, "unexpected \"]\""), ("{", 1, "a member name in quotes is missing"),
      ("{1:1}", 1, "a member name in quotes is missing"), ("{\"a\"}", 4, "\":\" is missing after the member name"),
      ("{\"a\":}", 5, "unexpected \"}\""), ("{\"a\":1,}", 7, "a member name in quotes is missing"),
      ("{\"a\":1", 6, "the text ends inside an object"), ("{\"a\":1]", 6, "unexpected \"]\", expected \",\" or \"}\""),
      ("{,}", 1, "a member name in quotes is missing"), ("[1] // note", 4, "unexpected \"/\" after the value"),
      ("\u{feff}1", 0, "unexpected byte 239"), ("\u{0c}1", 0, "unexpected byte 12"),
    ] as [(String, Int, String)])
  func refused(_ text: String, _ offset: Int, _ reason: String) {
    #expect(throws: JSONSyntaxError(offset: offset, reason: reason)) { try JSONScanner.validate(Array(text.utf8)) }
    #expect(throws: JSONSyntaxError(offset: offset, reason: reason)) { try JSONNode.parse(Array(text.utf8)) }
  }

  @Test(
    "Strings are well-formed UTF-8",
    arguments: [
      [0x80], [0xbf], [0xc0, 0x80], [0xc1, 0xbf], [0xc3], [0xc3, 0x28], [0xe0, 0x9f, 0xbf], [0xe2, 0x82],
      [0xe2, 0x28, 0xa1], [0xe2, 0x82, 0x28], [0xed, 0xa0, 0x80], [0xed, 0xbf, 0xbf], [0xf0, 0x8f, 0xbf, 0xbf],
      [0xf0, 0x9f, 0x98], [0xf0, 0x9f, 0x28, 0x80], [0xf4, 0x90, 0x80, 0x80], [0xf5, 0x80, 0x80, 0x80], [0xff],
    ] as [[UInt8]])
  func invalidUTF8(_ bytes: [UInt8]) {
    let text = Array("[\"a".utf8) + bytes + Array("\"]".utf8)
    #expect(throws: JSONSyntaxError(offset: 3, reason: "invalid UTF-8")) { try JSONScanner.validate(text) }
    // The same cut off by the end of the text must not be read past.
    #expect(throws: JSONSyntaxError(offset: 3, reason: "invalid UTF-8")) {
      try JSONScanner.validate(Array(text.prefix(3 + bytes.count)))
    }
  }

  @Test("All of Unicode but the surrogates is accepted as it is")
  func validUTF8() throws {
    var text = Array("\"".utf8)
    for value in UInt32(0x20)...0x10ffff {
      guard let scalar = Unicode.Scalar(value), scalar != "\"", scalar != "\\" else { continue }
      text += Array(String(Character(scalar)).utf8)
    }
    text.append(UInt8(ascii: "\""))
    try JSONScanner.validate(text)
  }

  @Test("Wherever in a string a byte stands, it is judged alike", arguments: 0..<26)
  func everyByte(_ place: Int) {
    let start = place + 1
    for byte in UInt8.min...UInt8.max {
      var text = Array("\"\(String(repeating: "x", count: 26))\"".utf8)
      text[start] = byte
      let expected: JSONSyntaxError? =
        switch byte {
        case UInt8(ascii: "\""):
          JSONSyntaxError(offset: start + 1, reason: "unexpected \"\(place == 25 ? "\"" : "x")\" after the value")
        case UInt8(ascii: "\\"):
          // The last one escapes the closing quote.
          place == 25
            ? JSONSyntaxError(offset: 28, reason: "the text ends inside a string")
            : JSONSyntaxError(offset: start, reason: "unknown escape in a string")
        case 0..<0x20: JSONSyntaxError(offset: start, reason: "a control character stands in a string")
        case 0x20..<0x80: nil
        default: JSONSyntaxError(offset: start, reason: "invalid UTF-8")
        }
      var met: JSONSyntaxError?
      do throws(JSONSyntaxError) { try JSONScanner.validate(text) } catch { met = error }
      #expect(met == expected, "byte \(byte)")
    }
  }

  @Test("Depth is bounded, whatever the text's length", arguments: ["[", "{\"a\":"])
  func depth(_ opening: String) {
    let closing = opening == "[" ? "]" : "}"
    func nested(_ levels: Int) -> [UInt8] {
      Array((String(repeating: opening, count: levels) + "1" + String(repeating: closing, count: levels)).utf8)
    }
    let limit = JSONScanner.depthLimit
    #expect(throws: Never.self) { try JSONScanner.validate(nested(limit)) }
    #expect(throws: Never.self) { try JSONNode.parse(nested(limit)) }
    let error = JSONSyntaxError(offset: limit * opening.utf8.count, reason: "nested deeper than 512 levels")
    for levels in [limit + 1, 10_000] {
      #expect(throws: error) { try JSONScanner.validate(nested(levels)) }
      #expect(throws: error) { try JSONNode.parse(nested(levels)) }
    }
  }

  @Test("Objects and arrays inside one another close with their own brackets")
  func mixedDepth() {
    let opening = String(repeating: "[{\"a\":", count: 200)
    let closing = String(repeating: "}]", count: 200)
    #expect(throws: Never.self) { try JSONScanner.validate(Array((opening + "0" + closing).utf8)) }
    let wrong = "]" + closing.dropFirst()
    #expect(throws: JSONSyntaxError(offset: 1201, reason: "unexpected \"]\", expected \",\" or \"}\"")) {
      try JSONScanner.validate(Array((opening + "0" + wrong).utf8))
    }
  }

  @Test("A value is passed with its range, and what follows is left")
  func steps() throws {
    let text = Array(#" [1] , "x" "#.utf8)
    try text.withUnsafeBufferPointer { buffer in
      var scanner = JSONScanner(buffer)
      #expect(try scanner.value() == 1..<4)
      let comma = scanner.take(UInt8(ascii: ","))
      #expect(comma)
      #expect(try scanner.string() == 8..<9)
      try scanner.end()
    }
  }
}
