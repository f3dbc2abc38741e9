// SPDX-License-Identifier: Apache-2.0
import TaskModel
import Testing

@Suite("Errors of tasks")
struct TaskErrorTests {
  private func json(_ error: TaskError) -> String { String(decoding: error.json, as: UTF8.self) }

  @Test("The object has what applies and leaves out the rest")
  func json() {
    #expect(
      json(TaskError(kind: .exception, message: "no \"luck\"\n"))
        == #"{"kind":"exception","message":"no \"luck\"\n","retryable":true}"#)
    let full = TaskError(
      kind: .crash, message: "m", code: -12, retryable: false, signal: "SIGSEGV", detail: Array(#"{"a":1.50}"#.utf8),
      retryAfterMillis: 5)
    #expect(
      json(full)
        == #"{"kind":"crash","message":"m","code":-12,"retryable":false,"signal":"SIGSEGV","detail":{"a":1.50}}"#)
  }

  @Test("A long message is cut and a long detail left out, so that a record stays small")
  func limits() throws {
    let detail = [UInt8](repeating: UInt8(ascii: "1"), count: TaskError.detailLimit)
    var error = TaskError(kind: .rejected, message: String(repeating: "é", count: 3000), detail: detail)
    #expect(json(error).contains("\"detail\":1111"))
    error.detail?.append(UInt8(ascii: "1"))
    #expect(!json(error).contains("detail"))
    #expect(error.json.count < TaskError.messageLimit + 100)
    #expect(json(error).contains("é…\""))
    try JSONScanner.validate(error.json)
  }

  @Test(
    "A text is cut between characters to at most so many bytes",
    arguments: [
      ("", 5, ""), ("abc", 3, "abc"), ("abcd", 3, "…"), ("abcdef", 5, "ab…"), ("ééé", 6, "ééé"), ("éééé", 6, "é…"),
      ("éééé", 7, "éé…"), ("😀😀", 7, "😀…"), ("😀😀", 6, "…"), ("a\u{301}bcdef", 5, "a…"),
    ])
  func prefixed(_ text: String, _ limit: Int, _ expected: String) {
    let cut = text.prefixed(byBytes: limit)
    #expect(cut == expected)
    #expect(cut.utf8.count <= limit)
  }
}
