// SPDX-License-Identifier: Apache-2.0
import CRoost
import Foundation
import Testing
import TestSupport

private struct Summary: Decodable {
  let summary: String
  let sentences: [String]
  let keyTerms: [String]
  let words: Int
  let characters: Int
  let readingSeconds: Int
}

private struct Params: Encodable {
  var path: String?
  var text: String?
  var sentences: Int?

  var json: String { get throws { String(decoding: try JSONEncoder().encode(self), as: UTF8.self) } }
}

private func digest(roots: [String]? = nil) throws -> LoadedPlugin {
  let settings = try roots.map { String(decoding: try JSONEncoder().encode(["roots": $0]), as: UTF8.self) } ?? "{}"
  return try LoadedPlugin("Digest", settings: settings)
}

private func summary(of text: String, sentences: Int? = nil) throws -> Summary {
  let outcome = try digest().run("summarize", Params(text: text, sentences: sentences).json)
  #expect(outcome.status == ROOST_OK, "\(outcome.failure.message)")
  return try JSONDecoder().decode(Summary.self, from: Data((outcome.result ?? "").utf8))
}

@Suite("Digest")
struct DigestTests {
  @Test("Every sentence comes back in the order of the text when there are few")
  func fewSentences() throws {
    let found = try summary(of: "The owl hunts at night. Mice fear the owl! Do mice sleep?", sentences: 5)
    #expect(found.sentences == ["The owl hunts at night.", "Mice fear the owl!", "Do mice sleep?"])
    #expect(found.summary == "The owl hunts at night. Mice fear the owl! Do mice sleep?")
    #expect(found.words == 12 && found.characters == 57 && found.readingSeconds == 4)
    #expect(found.keyTerms.prefix(2).sorted() == ["mice", "owl"])
  }

  @Test("A singular and its plural are one key term")
  func plural() throws {
    let found = try summary(of: "Workers run tasks. A worker runs one task. Tasks wait.")
    #expect(found.keyTerms.filter { $0.hasPrefix("task") } == ["tasks"])
    #expect(found.keyTerms.filter { $0.hasPrefix("worker") }.count == 1)
  }

  @Test("Abbreviations, initials, numbers and quotes do not end a sentence")
  func abbreviations() throws {
    let found = try summary(
      of:
        "Dr. J. Smith of the U.S. army paid 3.14 dollars, e.g. for tea. \"Was it good?\" asked Mrs. Jones. He said no.",
      sentences: 9)
    #expect(
      found.sentences == [
        "Dr. J. Smith of the U.S. army paid 3.14 dollars, e.g. for tea.", "\"Was it good?\" asked Mrs. Jones.",
        "He said no.",
      ])
  }

  @Test("Chinese and Japanese are split at their own marks")
  func chinese() throws {
    let found = try summary(of: "猫头鹰在夜里捕食。老鼠害怕猫头鹰！「真的吗？」他问。\nフクロウは夜に狩りをする。", sentences: 9)
    #expect(found.sentences.first == "猫头鹰在夜里捕食。")
    #expect(found.sentences.count == 5 && found.sentences.last == "フクロウは夜に狩りをする。")
    #expect(found.summary.hasPrefix("猫头鹰在夜里捕食。老鼠害怕猫头鹰！"))
    #expect(found.words > 30)
  }

  @Test("Markdown's headings, code and tables are no sentences")
  func markdown() throws {
    let text = """
      # The heading of it all

      The host takes tasks and runs them
      in worker processes. Workers load plugins.

      ```sh
      The code is not a sentence. Nor is this.
      ```
      | a table | is none |

      - An item of a list is one.
      - So is the second item.
      """
    let found = try summary(of: text, sentences: 20)
    #expect(
      found.sentences == [
        "The host takes tasks and runs them in worker processes.", "Workers load plugins.", "An item of a list is one.",
        "So is the second item.",
      ])
  }

  @Test("The sentences that say most are chosen, none twice")
  func choice() throws {
    let filler = (1...40).map { "Somebody mentioned item\($0) yesterday afternoon, incidentally." }
    let heart = "Redis queues hold pending tasks until workers take tasks from queues."
    let text =
      (filler.prefix(20) + [heart, heart] + filler.suffix(20) + ["Workers take pending tasks from Redis queues."])
      .joined(separator: " ")
    let found = try summary(of: text, sentences: 4)
    #expect(found.sentences.filter { $0 == heart }.count == 1)
    #expect(found.sentences.count == 4)
    #expect(!found.keyTerms.contains("from") && found.keyTerms.contains("tasks"))
  }

  @Test("Megabytes are digested with progress")
  func megabytes() throws {
    var text = ""
    for number in 0..<40_000 {
      text += "Sentence number \(number) speaks of owls, mice and the long night of winter in the forest.\n"
      if number % 12 == 0 { text += "\n" }
    }
    #expect(text.utf8.count > 3_000_000)
    let folder = try TemporaryDirectory()
    let file = try folder.write("long.txt", text)
    let outcome = try digest(roots: [folder.path]).run("summarize", Params(path: file).json)
    let found = try JSONDecoder().decode(Summary.self, from: Data((outcome.result ?? "").utf8))
    #expect(found.sentences.count == 3 && found.characters == text.count && found.words == 40_000 * 16)
    let fractions = outcome.progress.map(\.fraction)
    #expect(fractions.count > 20 && fractions == fractions.sorted() && (fractions.last ?? 2) <= 1)
  }

  @Test("A request to stop is heard in the middle, also within one endless paragraph")
  func stop() throws {
    let plugin = try digest()
    let text = String(repeating: "The owl hunts mice in the long night. ", count: 200_000)
    let task = try plugin.start("summarize", Params(text: text).json)
    try eventually("it works") { task.progress.contains { $0.fraction > 0.1 } }
    plugin.stop(task, executor: "summarize")
    let outcome = try task.outcome()
    #expect(outcome.status == ROOST_CANCELLED)
    #expect((outcome.progress.last?.fraction ?? 1) < 0.8)
  }

  @Test("A text without words has an empty summary")
  func empty() throws {
    let found = try summary(of: " \n--- \n")
    #expect(found.sentences.isEmpty && found.summary == "" && found.words == 0 && found.keyTerms.isEmpty)
  }

  @Test(
    "Params that can never work are rejected",
    arguments: [
      ("{}", "one of \"path\" and \"text\""), (#"{"path":"a","text":"b"}"#, "exclude each other"),
      (#"{"text":"a","sentences":0}"#, "params.sentences: 0"), (#"{"text":1}"#, "params.text: "),
      (#"{"text":"a\u0000b"}"#, "not text"), (#"{"path":"no/such/file"}"#, "No such file"), ("null", "params: "),
    ])
  func rejected(params: String, message: String) throws {
    let outcome = try digest().run("summarize", params)
    #expect(outcome.status == ROOST_REJECTED && outcome.failure.message.contains(message), "\(outcome.failure.message)")
  }

  @Test("What is no text is rejected", arguments: [[0x41, 0xFF, 0xFE], [0x41, 0x00, 0x42]] as [[UInt8]])
  func notText(bytes: [UInt8]) throws {
    let folder = try TemporaryDirectory()
    try Data(bytes).write(to: URL(fileURLWithPath: folder.path + "/f"))
    let outcome = try digest(roots: [folder.path]).run("summarize", Params(path: folder.path + "/f").json)
    #expect(outcome.status == ROOST_REJECTED && outcome.failure.message.contains("not text"))
  }

  @Test("Only files below the roots are read, after every link")
  func roots() throws {
    let folder = try TemporaryDirectory()
    let files = FileManager.default
    try files.createDirectory(atPath: folder.path + "/in", withIntermediateDirectories: false)
    try files.createDirectory(atPath: folder.path + "/in-not", withIntermediateDirectories: false)
    try folder.write("in/good.txt", "A good sentence stands here.")
    try folder.write("in-not/secret.txt", "A secret sentence stands here.")
    try files.createSymbolicLink(atPath: folder.path + "/in/link", withDestinationPath: "../in-not/secret.txt")
    try files.createSymbolicLink(atPath: folder.path + "/in/inner", withDestinationPath: "good.txt")
    try files.createSymbolicLink(atPath: folder.path + "/root", withDestinationPath: "in")
    #expect(mkfifo(folder.path + "/in/pipe", 0o600) == 0)

    let plugin = try digest(roots: [folder.path + "/root"])
    for good in ["in/good.txt", "in/inner", "root/good.txt", "in-not/../in/good.txt"] {
      #expect(try plugin.run("summarize", Params(path: "\(folder.path)/\(good)").json).status == ROOST_OK, "\(good)")
    }
    for bad in ["in-not/secret.txt", "in/link", "in/../in-not/secret.txt", "in/../../../etc/passwd"] {
      let outcome = try plugin.run("summarize", Params(path: "\(folder.path)/\(bad)").json)
      #expect(outcome.status == ROOST_REJECTED && outcome.failure.message.contains("settings.roots"), "\(bad)")
      #expect(outcome.result == nil)
    }
    for bad in ["in", "in/pipe"] {
      let outcome = try plugin.run("summarize", Params(path: "\(folder.path)/\(bad)").json)
      #expect(outcome.status == ROOST_REJECTED && outcome.failure.message.contains("not a file"), "\(bad)")
    }
  }

  @Test("Without roots the working directory is read")
  func workingDirectory() throws {
    let here = FileManager.default.currentDirectoryPath
    #expect(try digest().run("summarize", Params(path: "\(here)/Package.swift").json).status == ROOST_OK)
    #expect(try digest().run("summarize", Params(path: "Package.swift").json).status == ROOST_OK)
    #expect(try digest().run("summarize", Params(path: "/etc/passwd").json).status == ROOST_REJECTED)
  }

  @Test("Roots that are not there refuse the config")
  func missingRoot() throws {
    let refused = try #require(throws: LoadedPlugin.Refused.self) { try digest(roots: ["/no/such/root"]) }
    #expect(refused.status == ROOST_REJECTED && refused.message.contains("/no/such/root: No such file"))
    #expect(throws: LoadedPlugin.Refused.self) { try digest(roots: []) }
  }
}
