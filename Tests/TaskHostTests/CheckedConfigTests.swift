// SPDX-License-Identifier: Apache-2.0
import Config
import Foundation
import PluginFiles
import TaskModel
import TestSupport
import Testing

@testable import TaskHost

@Suite("Checking a config with its plugins")
struct CheckedConfigTests {
  let folder: TemporaryDirectory
  let store: PluginStore

  init() throws {
    folder = try TemporaryDirectory()
    store = PluginStore(directory: folder.path + "/copies")
  }

  private func load(_ text: String, stored: Bool = true) throws -> CheckedConfig {
    let file = try folder.write("config.json", text)
    return try CheckedConfig.load(path: file, environment: [:], program: BuildProducts.roost) { _ in
      stored ? store : nil
    }
  }

  /// What is wrong, as `path: message`.
  private func issues(_ text: String, stored: Bool = true) throws -> [String] {
    let errors = try #require(throws: ConfigErrors.self) { try load(text, stored: stored) }
    return errors.issues.map { "\($0.path): \($0.message)" }
  }

  private func failure(_ path: String, copy: String? = nil) throws -> PluginProber.Failure {
    try #require(throws: PluginProber.Failure.self) {
      try PluginProber.probe(name: "p", path: path, copy: copy, program: BuildProducts.roost)
    }
  }

  @Test("Each plugin has a copy and says what it is; the copy is what was asked")
  func good() throws {
    let path = try compileMinimalPlugin("p.so", in: folder)
    let build = try PluginFile(name: "p", path: path).build
    let digest = build.dropFirst(7).uppercased()
    let text = #"""
      {"plugins": {"p": {"path": "p.so", "sha256": "\#(digest)"},
                   "w": {"path": "\#(try Workbench.shared.path())", "settings": {"journal": "j"}}},
       "types": {"t": {"executor": "p/run"}, "u": {"executor": "w/echo"}}}
      """#
    let checked = try load(text)
    #expect(checked.config.plugins["p"]?.path == path)
    #expect(checked.copies.keys.sorted() == ["p", "w"])
    #expect(checked.copies["p"]?.copy == "\(store.directory)/\(digest.lowercased())/p.so")
    #expect(checked.answers.mapValues(\.build) == checked.copies.mapValues(\.build))
    let answer = try #require(checked.answers["p"])
    #expect(answer.version == "1.2.3" && answer.build == build)
    #expect(checked.answers["w"]?.names(.executor).contains("echo") == true)
    let node = try JSONNode.parse(answer.json)
    #expect(node["path"]?.text == path)
    #expect(try load(text, stored: false).copies.isEmpty)
  }

  @Test("Exports come in the order in which the plugin registered them")
  func exportOrder() throws {
    let answer = try PluginProber.probe(name: "w", path: try Workbench.shared.path(), program: BuildProducts.roost)
    let listed = try JSONNode.parse(answer.json)["exports"]?.elements ?? []
    #expect(answer.exports.count > 5 && answer.exports.map(\.name) == listed.compactMap { $0["name"]?.text })
    #expect(Set(answer.exports.map(\.kind)) == [.executor, .callback, .exceptionHandler])
  }

  @Test("Text, pins, machine, plugins and exports: all that is wrong is told in one round", arguments: [true, false])
  func allAtOnce(_ stored: Bool) throws {
    _ = try compileMinimalPlugin("p.so", in: folder)
    let zeros = String(repeating: "0", count: 64)
    func text(_ more: String) -> String {
      #"""
      {"plugins": {"p": {"path": "p.so"}, "pinned": {"path": "p.so", "sha256": "\#(zeros)"}, "gone": {"path": "gone.so"}},
       "workers": {"p": {"user": "nobody-has-this-name"}}, \#(more)
       "types": {"t": {"executor": "p/runn"}, "u": {"executor": "pinned/none"}, "v": {"executor": "gone/none"}}}
      """#
    }
    let found = try issues(text(""), stored: stored)
    func has(_ path: String, _ words: String) -> Bool {
      found.contains { $0.hasPrefix(path + ": ") && $0.contains(words) }
    }
    #expect(found.count == (geteuid() == 0 ? 5 : 6), "\(found)")
    #expect(has("workers.p.user", "there is no user of that name"))
    #expect(has("workers.p.user", "the socket of the embedded Redis"))
    #expect(has("plugins.pinned.sha256", "not sha256:\(zeros)"))
    #expect(has("plugins.gone.path", "gone.so does not exist"))
    #expect(has("types.t.executor", "plugin \"p\" has no executor \"runn\"; it has: run"))
    let more = try issues(text(#""lease": "0s","#), stored: stored)
    #expect(more.first?.hasPrefix("lease: 0s is out of range") == true)
    #expect(more.dropFirst().sorted() == found.sorted())
  }

  @Test("What only follows from a mistake in the text is not told beside it")
  func followUps() throws {
    let text = #"""
      {"plugins": {"p": {"path": ""}, "q": 7}, "redis": {"url": "rediss://h"}, "workers": {"w": {"user": "root"}},
       "types": {"t": {"executor": "p/x", "callback": "q/y", "exceptionHandler": "r/z"}}}
      """#
    try #require(geteuid() == 0)
    let found = try issues(text).map { String($0.prefix { $0 != ":" }) }
    #expect(found == ["plugins.p.path", "plugins.q", "redis.url", "types.t.exceptionHandler"])
  }

  @Test("A copy is loaded in place of the file, and messages name the file")
  func copyIsProbed() throws {
    let path = try compileMinimalPlugin("null.so", in: folder, ["-DRETURN_NULL"])
    let copy = try store.add(name: "p", path: path).copy
    try FileManager.default.removeItem(atPath: path)
    let refused = try failure(path, copy: copy)
    #expect(refused.code == "PLUGIN_REFUSED")
    #expect(refused.message.hasPrefix("plugin \"p\": \(path) refused to load"))
    let crashing = try compileMinimalPlugin("crash.so", in: folder, constructor: "abort()")
    let crash = try failure(crashing, copy: try store.add(name: "p", path: crashing).copy)
    #expect(crash.code == "PLUGIN_CRASH")
    #expect(
      crash.message
        == "plugin \"p\": \(crashing) ended the process that loaded it (signal 6 (Aborted)); run `roost inspect` on it under gdb"
    )
    #expect(try failure(folder.path + "/none.so").code == "PLUGIN_NOT_FOUND")
  }

  @Test("A plugin that writes a megabyte while it is loaded is asked all the same")
  func chatter() throws {
    let path = try compileMinimalPlugin(
      "chatter.so", in: folder, constructor: "for (int i = 0; i < 16384; i++) printf(\"%063d\\n\", i); fflush(stdout)")
    let result = try TestSupport.run(BuildProducts.roost, ["inspect", path, "--json"])
    #expect(result.status == 0)
    #expect(result.errors.utf8.count == 1 << 20)
    #expect(try JSONNode.parse(Array(result.output.utf8))["version"]?.text == "1.2.3")
  }

  @Test("What a plugin starts while it is loaded ends with the process that loaded it")
  func offspring() throws {
    let path = try compileMinimalPlugin(
      "offspring.so", in: folder,
      constructor: """
        if (fork() == 0) {
          FILE *file = fopen("\(folder.path)/next", "w");
          fprintf(file, "%d", getpid()); fclose(file);
          rename("\(folder.path)/next", "\(folder.path)/pid");
          close(3);
          for (;;) pause();
        }
        while (access("\(folder.path)/pid", F_OK)) usleep(1000)
        """)
    _ = try PluginProber.probe(name: "p", path: path, program: BuildProducts.roost)
    let pid = try String(contentsOfFile: folder.path + "/pid", encoding: .utf8)
    try eventually("process \(pid) is gone") {
      guard let status = try? String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8) else { return true }
      return status.contains(") Z ")
    }
  }
}
