// SPDX-License-Identifier: Apache-2.0
import Config
import TestSupport
import Testing

@Suite("Bad configs")
struct BadConfigTests {
  @Test(
    "A wrong value is refused at its path with what to write instead",
    arguments: BadConfig.all)
  func isRefused(_ config: BadConfig) {
    #expect(issues(config.text) == [config.issue])
  }

  @Test(
    "A key of the format that is not built yet is refused at its path",
    arguments: [
      "http.tokens", "http.tls", "types.t.rateLimit", "types.t.concurrency", "types.t.tenantConcurrency",
    ])
  func unsupportedKey(_ path: String) {
    let parts = path.split(separator: ".")
    let member = "\"\(parts[parts.count - 1])\": {\"any\": 1}"
    let text =
      switch parts.first {
      case "types": document(type: member)
      default: document("\"\(parts[0])\": {\(member)}")
      }
    #expect(issues(text) == ["\(path): not supported yet"])
  }

  @Test("Everything wrong is reported at once, in the order of the text, with line and column")
  func allAtOnce() throws {
    let text = """
      {
        "nme": "é",
        "http": { "listen": "0.0.0.0:1", "é": 1, "maxBody": "5" },
        "plugins": { "p": { "path": "x" } },
        "types": {
          "a": { "executor": "q/run", "threads": 0 },
          "b": {}
        }
      }
      """
    let error = #expect(throws: ConfigErrors.self) { try parse(text) }
    #expect(
      try #require(error).lines == [
        #"config.json:2:3: nme: unknown key; did you mean "name"?"#,
        "config.json:3:23: http.listen: 0.0.0.0:1 can be reached from other machines; listening beyond loopback "
          + "without tokens is refused; listen on 127.0.0.1 or [::1]",
        "config.json:3:36: http.é: unknown key",
        #"config.json:3:55: http.maxBody: "5" is not a size as in "512B", "64KiB", "32MiB" or "1GiB""#,
        #"config.json:6:24: types.a.executor: there is no plugin "q"; did you mean "p"?"#,
        "config.json:6:44: types.a.threads: 0 is out of range; allowed are 1 to 1024",
        "config.json:7:10: types.b.executor: missing; write PLUGIN/EXPORT",
      ])
  }

  @Test(
    "Text that is not JSON is refused with line and column",
    arguments: [
      ("", "config.json:1:1: not JSON: the text is empty, line 1, column 1"),
      ("{\n  \"a\": 1,\n}", "config.json:3:1: not JSON: a member name in quotes is missing, line 3, column 1"),
      ("{\"é\" 1}", "config.json:1:6: not JSON: \":\" is missing after the member name, line 1, column 6"),
      ("{} // x", "config.json:1:4: not JSON: unexpected \"/\" after the value, line 1, column 4"),
    ])
  func notJSON(_ text: String, _ line: String) throws {
    let error = #expect(throws: ConfigErrors.self) { try parse(text) }
    #expect(try #require(error).lines == [line])
  }

  @Test("A message never shows what came from the environment or a password")
  func secretsStayHidden() {
    let environment = ["SECRET": "hunter2"]
    for text in [
      document(#""lease": "${SECRET}""#), document(#""log": {"level": "${SECRET}"}"#),
      document(plugin: #""sha256": "${SECRET}""#), document(#""workers": {"w": {"user": "${SECRET}:"}}"#),
      document(#""http": {"listen": "${SECRET}"}"#), document(type: #""callback": "${SECRET}""#),
      document(type: #""worker": "${SECRET}""#), document(#""redis": {"prefix": "{${SECRET}"}"#),
      document(#""schedules": {"s": {"type": "t", "cron": "${SECRET}"}}"#),
      document(#""schedules": {"s": {"type": "${SECRET}", "cron": "@daily"}}"#),
      document(#""schedules": {"s": {"type": "t", "cron": "@daily", "timezone": "${SECRET}"}}"#),
      document(#""redis": {"url": "redis://u:${SECRET}@h:port"}"#), document(#""redis": {"url": "${SECRET}"}"#),
    ] {
      let found = issues(text, environment)
      #expect(found.count == 1)
      #expect(!found.joined().contains("hunter2"), "\(found)")
    }
  }

  @Test("A file that is missing, a directory or unreadable is one clear issue")
  func badFiles() throws {
    let folder = try TemporaryDirectory()
    let missing = folder.path + "/config.json"
    #expect(
      throws: ConfigErrors(
        file: missing,
        issues: [
          ConfigIssue(path: "", message: "no such file; name the config with --config or ROOST_CONFIG")
        ])
    ) { try Config.load(path: missing, environment: [:]) }
    let error = #expect(throws: ConfigErrors.self) { try Config.load(path: folder.path, environment: [:]) }
    #expect(error?.description == "\(folder.path): is a directory; name the file in it")
  }
}
