// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

/// A real host for the command line to talk to.
final class ServingHost: Sendable {
  let directory: TemporaryDirectory
  let process: HostProcess
  let url: String

  init(_ config: String, workers: Int, environment: [String: String] = [:], files: [String: String] = [:]) async throws
  {
    directory = try TemporaryDirectory()
    for (name, text) in files { try directory.write(name, text) }
    process = HostProcess(
      config: try directory.write("config.json", config), log: directory.path + "/host.log",
      environment: ["PATH": "/usr/bin:/bin"].merging(environment) { $1 })
    try await process.start(workers: workers)
    url = try #require(process.url)
  }

  func roost(_ words: String..., input: String = "") throws -> RoostCommand.Outcome {
    try RoostCommand.run(words, environment: ["ROOST_URL": url], input: input, directory: directory.path)
  }

  /// Submits and answers the id.
  func submit(_ type: String, _ params: String = "null", _ options: String...) throws -> String {
    let outcome = try RoostCommand.run(["submit", type, params] + options, environment: ["ROOST_URL": url])
    #expect(outcome.code == 0, "\(outcome.errors)")
    return outcome.output.trimmingCharacters(in: .newlines)
  }
}

/// Types that run programs: `echo` answers its params, `bad` fails, `slow` shows progress and waits for a file.
func programs() -> String {
  func plugin(_ words: String) -> String {
    #"{"path": "\#(BuildProducts.plugin("Command"))", "settings": {"command": \#(words)}}"#
  }
  let slow = "echo progress 0.5 half way >&2; while [ ! -e open ]; do sleep 0.02; done; echo done"
  return #"""
    {"http": {"listen": "127.0.0.1:0"},
     "plugins": {"echo": \#(plugin(#"["cat"]"#)), "slow": \#(plugin(#"["sh", "-c", "\#(slow)"]"#)),
                 "bad": \#(plugin(#"["sh", "-c", "echo it went wrong >&2; exit 3"]"#))},
     "workers": {"all": {}},
     "types": {"echo": {"executor": "echo/run", "worker": "all"}, "bad": {"executor": "bad/run", "worker": "all"},
               "slow": {"executor": "slow/run", "worker": "all"}}}
    """#
}

let unknown = "0192f0e4000070008000000000000000"

@Suite("The command line and a real host")
struct EndToEndTests {
  @Test("submit, status, result and list tell what became of tasks, by text and by exit code")
  func outcomes() async throws {
    let host = try await ServingHost(programs(), workers: 1)
    let waited = try host.roost("submit", "echo", #"{"n": 1.50}"#, "--wait")
    #expect((waited.code, waited.output, waited.errors) == (0, "{\"n\": 1.50}\n", ""))
    let piped = try host.roost("submit", "echo", "-", "--wait", input: "[1,  2]")
    #expect((piped.code, piped.output) == (0, "[1,  2]\n"))
    let id = try host.submit("echo", "\"hello\"")
    #expect(id.count == 32)
    #expect(try host.roost("watch", id).code == 0)
    let status = try host.roost("status", id)
    #expect((status.code, status.output, status.errors) == (0, "COMPLETED\n", ""))
    let result = try host.roost("result", id)
    #expect((result.code, result.output, result.errors) == (0, "\"hello\"\n", ""))

    let failed = try host.roost("submit", "bad", "--wait")
    #expect((failed.code, failed.output) == (1, ""))
    #expect(failed.errors.contains("FAILED"))
    #expect(failed.errors.contains("it went wrong"))
    let list = try host.roost("list", "--type", "bad", "--status", "FAILED")
    #expect(list.code == 0)
    let bad = try #require(list.output.split(separator: "\n").last?.split(separator: " ").first.map(String.init))
    #expect(list.output.contains("exception: it went wrong"))
    let reason = try host.roost("result", bad)
    #expect((reason.code, reason.output) == (1, ""))
    #expect(reason.errors.contains("it went wrong"))
    let both = try host.roost("status", id, bad)
    #expect((both.code, both.output) == (0, "\(id) COMPLETED\n\(bad) FAILED\n"))
    let empty = try host.roost("list", "--type", "slow", "--json")
    #expect(empty.code == 0)
    #expect(!empty.output.contains(id))
  }

  @Test("What is not there is 3, what is not final 1, and a host that has gone is 4")
  func exitCodes() async throws {
    let host = try await ServingHost(programs(), workers: 1)
    for words in [
      ["status", unknown], ["result", unknown], ["watch", unknown], ["status", "no-id"], ["result", "no-id"],
      ["watch", "no-id"], ["submit", "nothing"], ["submit", "nothing", "1", "--wait"],
    ] {
      let outcome = try RoostCommand.run(words, environment: ["ROOST_URL": host.url])
      #expect(outcome.code == 3, "\(words): \(outcome.errors)")
      #expect(outcome.output == "")
      #expect(outcome.errors.hasPrefix("roost: "))
    }
    let slow = try host.submit("slow")
    let early = try host.roost("result", slow)
    #expect((early.code, early.output) == (1, ""))
    #expect(early.errors.contains(slow))
    try host.directory.write("open", "")
    #expect(try host.roost("watch", slow).code == 0)
    #expect(try host.roost("submit", "echo", "{not json").code == 2)
    try await host.process.stop()
    for words in [["status", slow], ["result", slow], ["watch", slow], ["list"], ["submit", "echo", "1", "--wait"]] {
      let outcome = try RoostCommand.run(words, environment: ["ROOST_URL": host.url])
      #expect(outcome.code == 4, "\(words): \(outcome.errors)")
      #expect(outcome.errors.contains("is the host running?"))
    }
  }

  @Test("watch follows a task: lines in a pipe, a bar in a terminal, and both end as the task does")
  func watch() async throws {
    let host = try await ServingHost(programs(), workers: 1)
    let id = try host.submit("slow")
    let terminal = try PseudoTerminal(columns: 80)
    let bar = try terminal.start(["watch", id, "--url", host.url])
    let lines = RoostCommand.make(["watch", id, "--url", host.url], environment: [:])
    let file = try host.directory.write("lines", "")
    lines.standardOutput = FileHandle(forWritingAtPath: file)
    try lines.run()
    try await eventually("both show the progress") { () async throws in
      let text = try String(contentsOfFile: file, encoding: .utf8)
      return text.contains("IN_PROGRESS 50% half way\n") && terminal.text().contains(" 50% half way")
    }
    #expect(bar.isRunning && lines.isRunning)
    try host.directory.write("open", "")
    for process in [bar, lines] {
      process.waitUntilExit()
      #expect(process.terminationStatus == 0)
    }
    #expect(terminal.text().hasPrefix("\u{1b}[?25l"))
    #expect(terminal.text().contains("COMPLETED"))
    #expect(terminal.text().hasSuffix("\u{1b}[?25h\r\n"))
    let text = try String(contentsOfFile: file, encoding: .utf8)
    #expect(text.hasSuffix("COMPLETED\n"))
    #expect(!text.contains("\u{1b}"))

    let bad = try host.submit("bad")
    let failed = try host.roost("watch", bad)
    #expect(failed.code == 1)
    #expect(failed.output.hasSuffix("FAILED\n"))
    #expect(failed.errors.contains("it went wrong"))
    let json = try host.roost("watch", bad, "--json")
    #expect(json.code == 1)
    #expect(json.output.contains(#""status":"FAILED""#))
  }

  @Test(
    "inspect and check know every plugin of the repository without settings",
    arguments: [
      ("Article", ["executor generate"]), ("Command", ["executor run"]), ("Digest", ["executor summarize"]),
      ("Notify", ["callback log", "exceptionHandler log"]), ("Echo", ["executor echo", "executor sleep"]),
    ])
  func plugins(_ name: String, _ exports: [String]) throws {
    let path = BuildProducts.plugin(name)
    let inspected = try RoostCommand.run(["inspect", path])
    #expect((inspected.code, inspected.errors) == (0, ""))
    let lines = inspected.output.split(separator: "\n").map(String.init)
    #expect(lines.first == "name:       \(name.lowercased())")
    #expect(lines.contains("path:       \(path)"))
    #expect(lines.drop { $0 != "exports:" }.dropFirst().sorted() == exports.map { "  " + $0 }.sorted())
    let document = try RoostCommand.run(["inspect", path, "--json"])
    let node = try #require(try JSONSerialization.jsonObject(with: Data(document.output.utf8)) as? [String: Any])
    #expect((node["build"] as? String)?.hasPrefix("sha256:") == true)
    let checked = try RoostCommand.run(["check", path])
    #expect((checked.code, checked.output, checked.errors) == (0, "\(path): ok\n", ""))
  }

  @Test("A file that is no plugin is refused by inspect and check", arguments: ["inspect", "check"])
  func noPlugin(_ verb: String) throws {
    let folder = try TemporaryDirectory()
    let missing = try RoostCommand.run([verb, folder.path + "/none.so"])
    #expect((missing.code, missing.output) == (1, ""))
    #expect(missing.errors.hasPrefix("roost: plugin \"none.so\": \(folder.path)/none.so does not exist"))
    let text = try folder.write("text.so", "hello")
    let outcome = try RoostCommand.run([verb, text])
    #expect(outcome.code == 1)
    #expect(outcome.errors.contains("is not an ELF file"))
  }
}

/// config.json with the plugins of this build and any free port; everything else as it stands.
func repositoryConfig() throws -> String {
  let text = try String(contentsOfFile: BuildProducts.sources + "/config.json", encoding: .utf8)
  let changed = text.replacing("\".build/release/", with: "\"\(BuildProducts.directory)/")
    .replacing("127.0.0.1:7411", with: "127.0.0.1:0")
  #expect(changed.components(separatedBy: BuildProducts.directory).count == 5, "all four plugins")
  return changed
}

@Suite("The repository's own config")
struct RepositoryConfigTests {
  @Test("It starts with no variable set, digests a document, runs a program and logs every outcome")
  func noVariables() async throws {
    let document = try String(contentsOfFile: BuildProducts.sources + "/docs/store.md", encoding: .utf8)
    let host = try await ServingHost(try repositoryConfig(), workers: 3, files: ["store.md": document])
    #expect(try host.roost("check").output == "config.json: ok\n")
    let digest = try host.roost("submit", "digest.summarize", #"{"path": "store.md", "sentences": 3}"#, "--wait")
    #expect(digest.code == 0, "\(digest.errors)")
    let summary = try #require(try JSONSerialization.jsonObject(with: Data(digest.output.utf8)) as? [String: Any])
    #expect((summary["sentences"] as? [String])?.count == 3)
    #expect((summary["words"] as? Int ?? 0) > 500)
    #expect((summary["keyTerms"] as? [Any])?.isEmpty == false)
    let outside = try host.roost("submit", "digest.summarize", #"{"path": "/etc/passwd"}"#, "--wait")
    #expect(outside.code == 1)
    #expect(outside.errors.contains("rejected"))
    let sorted = try host.roost("submit", "command.run", #""b\na\n""#, "--wait")
    #expect(sorted.code == 0, "\(sorted.errors)")
    let ids = try host.roost("list", "--json").output.matches(of: /"id":"([0-9a-f]{32})"/).map { String($0.1) }
    #expect(ids.count == 3)
    try await eventually("every outcome has its line in the log") { () async in
      ids.allSatisfy { id in host.process.lines(containing: "task \(id) of ").count == 1 }
    }
    #expect(host.process.lines(containing: " of digest.summarize completed").count == 1)
    #expect(host.process.lines(containing: " of digest.summarize failed: rejected").count == 1)
    #expect(host.process.lines(containing: " of command.run completed").count == 1)
    #expect(try await host.process.stop() == 0)
  }

  @Test("With an endpoint in the environment it writes an article, and a model that stops half-way is a failure")
  func article() async throws {
    @Sendable func chunk(_ text: String, _ reason: String) -> String {
      #"data: {"model":"tiny","choices":[{"index":0,"delta":{"content":"\#(text)"},"finish_reason":\#(reason)}]}"#
        + "\n\n"
    }
    let model = try CannedHost { request in
      let isWhole = request.body.contains("owls")
      return (200, chunk("Owls hunt", "null") + chunk(" at night.", isWhole ? "\"stop\"" : "null"))
    }
    let host = try await ServingHost(
      try repositoryConfig(), workers: 3,
      environment: ["ROOST_ARTICLE_ENDPOINT": model.url + "/v1", "ROOST_ARTICLE_MODEL": "tiny"])
    let article = try host.roost("submit", "article.generate", #"{"topic": "owls"}"#, "--wait")
    #expect(article.code == 0, "\(article.errors)")
    let result = try #require(try JSONSerialization.jsonObject(with: Data(article.output.utf8)) as? [String: Any])
    #expect(result["text"] as? String == "Owls hunt at night.")
    #expect(result["finishReason"] as? String == "stop")
    let half = try host.roost("submit", "article.generate", #"{"topic": "bats"}"#, "--wait")
    #expect(half.code == 1)
    #expect(half.errors.contains("finish_reason"))
    #expect(model.requests.allSatisfy { $0.path == "/v1/chat/completions" })
    try await eventually("the log tells both") { () async in
      host.process.lines(containing: " of article.generate completed").count == 1
        && host.process.lines(containing: " of article.generate failed: exception").count == 1
    }
  }
}
