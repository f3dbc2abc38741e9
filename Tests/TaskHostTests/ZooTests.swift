// SPDX-License-Identifier: Apache-2.0
import Foundation
import HTTPClient
import TaskModel
import TaskStore
import TestSupport
import Testing

/// Each group has one host, and its members misbehave at the same time, each in a worker of its own.
@Suite("Bad plugins", .timeLimit(.minutes(5)))
struct ZooTests {
  private static let groups: [[BadPlugin]] = {
    #if ROOST_THREAD_SANITIZER
      let swift: [BadPlugin] = []
    #else
      let swift = BadPlugin.swift
    #endif
    return [BadPlugin.crashers + swift, BadPlugin.vanishers, BadPlugin.overstayers, BadPlugin.nuisances]
  }()

  @Test(
    "A bad plugin ends its own task alone: neighbours in its process, other workers and the host come to no harm",
    arguments: groups.indices)
  func zoo(_ group: Int) async throws {
    let members = Self.groups[group]
    let zoo = try await Zoo(members)
    try await withThrowingTaskGroup(of: Void.self) { tasks in
      for member in members { tasks.addTask { try await zoo.watch(member) } }
      try await tasks.waitForAll()
    }
    try await zoo.expectOrder()
  }

  @Test("A worker that loses all its descriptors is replaced; its task is run again or blamed, its neighbours run on")
  func closedDescriptors() async throws {
    let member = BadPlugin(
      name: "close-descriptors", opening: .afterDeath, ending: .failed([.crash]), hasLastWords: false)
    let zoo = try await Zoo([member])
    let bad = try await zoo.host.submit(member.name)
    var near: [TaskID] = []
    for _ in 0..<7 { near.append(try await zoo.host.submit("\(member.name).near", #""wait""#)) }
    try await eventually(within: .seconds(40), "the worker ends") { () async in
      zoo.pids(member).first.map { !isAlive($0) } ?? false
    }
    try zoo.openGate(of: member)
    for id in [bad] + near {
      await zoo.host.store.awaitFinal(id, within: .seconds(60))
      let record = try #require(try await zoo.host.store.record(id))
      if id == bad, record.status == .failed {
        #expect(record.error.flatMap { try? JSONNode.parse($0) }?["kind"]?.text == "crash")
      } else {
        // It may have written its outcome by a new connection before its host ended it.
        #expect(record.status == .completed, "\(record)")
        #expect(record.attempts == 1)
        #expect(record.crashes == 0)
      }
    }
    try await zoo.expectOrder()
  }

  @Test("Text in no UTF-8 reaches the record repaired, in progress, log and error")
  func repairedText() async throws {
    let member = try #require(BadPlugin.nuisances.first { $0.name == "bad-utf8" })
    let zoo = try await Zoo([member])
    let id = try await zoo.host.submit(member.name)
    await zoo.host.store.awaitFinal(id, within: .seconds(30))
    let record = try JSONNode.parse(try zoo.host.send("GET", "/v1/tasks/\(id)").body)
    let text = "caf\u{fffd} \u{fffd}"
    #expect(record["error"]?["message"]?.text == text)
    #expect(record["progress"]?["note"]?.text == text)
    #expect(record["log"]?.elements?.first?["message"]?.text == text)
    #expect(!zoo.host.lines(containing: text).isEmpty, "the host's log")
    try await zoo.expectOrder()
  }

  @Test(
    "What a plugin writes to standard output while it is loaded is no answer of it", arguments: ["check", "inspect"])
  func noise(_ verb: String) async throws {
    let folder = try TemporaryDirectory()
    try compilePlugin("BadPlugins/noisy.c", to: folder.path + "/noisy.so")
    try folder.write(
      "config.json",
      #"{"plugins": {"noisy": {"path": "noisy.so"}}, "types": {"t": {"executor": "noisy/run"}}}"#)
    let words = verb == "check" ? ["check", "--json"] : ["inspect", "noisy.so", "--json"]
    let outcome = try TestSupport.run(BuildProducts.roost, words, directory: folder.path)
    #expect(outcome.status == 0)
    let answer = try JSONNode.parse(Array(outcome.output.utf8))
    #expect(verb == "check" ? answer["ok"]?.boolean == true : answer["exports"]?.elements?.count == 1)
  }

  @Test("A plugin that hangs while it is loaded fails the check of a config")
  func hangingConstructor() async throws {
    let folder = try TemporaryDirectory()
    try folder.write(
      "hang.c", "#include <unistd.h>\n__attribute__((constructor)) static void first(void) { for (;;) pause(); }\n")
    try compilePlugin("BadPlugins/noisy.c", to: folder.path + "/hang.so", flags: [folder.path + "/hang.c"])
    try folder.write("config.json", #"{"plugins": {"hang": {"path": "hang.so"}}, "types": {}}"#)
    let outcome = try TestSupport.run(BuildProducts.roost, ["check"], directory: folder.path)
    #expect(outcome.status == 1)
    #expect(outcome.errors.contains("plugins.hang.path: plugin \"hang\": "))
    #expect(outcome.errors.contains("did not finish loading within"))
  }
}
