// SPDX-License-Identifier: Apache-2.0
import Foundation
import HTTPClient
import TaskModel
import TaskStore
import TestSupport
import Testing

@Suite("Supervision")
struct SupervisionTests {
  private func host(_ changes: [String: String], _ edition: String...) async throws -> HostFixture {
    let host = try await HostFixture(
      [
        "plugins": #"{"edition": {"path": "edition.so"}}"#,
        "types":
          #"{"answer": {"executor": "edition/answer", "threads": 2}, "print": {"executor": "edition/print", "threads": 1}}"#,
      ].merging(changes) { $1 }, start: false)
    try Edition.build(["EDITION=\"1\""] + edition, at: host.directory.path + "/edition.so")
    return host
  }

  @Test("What plugins write to standard output and error stands in the log line by line, with worker, plugin and task")
  func output() async throws {
    let host = try await host([:])
    try await host.start()
    let id = try await host.submit("print")
    #expect(try await host.final(id)?.status == .completed)
    try await eventually("the line is there") { () async in
      host.lines(containing: "edition 1 says hello").contains { line in
        [#""worker":"#, #""plugin":"edition""#, #""stream":"stdout""#].allSatisfy { line.contains($0) }
      }
    }
    try await eventually("so is the other") { () async in
      host.lines(containing: "a line that forges").contains {
        $0.contains(#""stream":"stderr""#) && !$0.contains("\u{1b}")
      }
    }
    // A line without its end comes with the end of the worker.
    for pid in try host.workerPids() { kill(pid, SIGKILL) }
    try await eventually("the unfinished line too") { () async in !host.lines(containing: "and says it twice").isEmpty }
  }

  @Test("A worker that has done its number of tasks is replaced by a new one; no task is lost or run twice")
  func recycledByTasks() async throws {
    let host = try await host(["workers": #"{"edition": {"recycle": {"tasks": 50}}}"#])
    try await host.start()
    let first = try host.workerPids()
    var ids: [TaskID] = []
    for _ in 0..<200 { ids.append(try await host.submit("answer")) }
    for id in ids {
      let record = try await host.final(id)
      #expect(record?.status == .completed)
      #expect(record?.attempts == 1)
    }
    try await eventually("another worker is there") { () async throws in
      let now = try host.workerPids()
      return now.count == 1 && now != first
    }
    #expect(!host.lines(containing: "has done enough").isEmpty)
    #expect(host.lines(containing: "its tasks are given back").isEmpty)
  }

  @Test("A worker that dies again and again is left alone for a while, health says why, and its tasks wait")
  func breaker() async throws {
    let host = try await host(
      [
        "plugins":
          #"{"edition": {"path": "edition.so"}, "workbench": {"path": "libworkbench.so", "settings": {"journal": "journal"}}}"#,
        "types": #"{"answer": {"executor": "edition/answer"}, "echo": {"executor": "workbench/echo"}}"#,
      ], "DIES")
    try host.process.launch()
    try await eventually("the host answers") { () async in host.process.url != nil }
    try await eventually(within: .seconds(40), "the breaker is open") { () async throws in
      let reply = try host.send("GET", "/readyz")
      return reply.text.contains("breaker of worker edition is open")
    }
    #expect(try host.send("GET", "/v1/types/answer").text.contains(#""breaker":"open""#))
    #expect(try host.send("GET", "/v1/types/echo").text.contains(#""breaker":"closed""#))
    let waiting = try host.send("POST", "/v1/tasks", #"{"type":"answer"}"#)
    #expect(waiting.status == 202)
    let other = try host.send("POST", "/v1/tasks", #"{"type":"echo","params":1}"#)
    let id = String(try #require(other.text.split(separator: "\"").first { $0.utf8.count == 32 }))
    #expect(try host.send("GET", "/v1/tasks/\(id)?wait=10s").text.contains(#""status":"COMPLETED""#))
    // A corrected build and a reload close it.
    try Edition.build(2, at: host.directory.path + "/edition.so")
    #expect(try host.send("POST", "/v1/reload").status == 200)
    let first = String(try #require(waiting.text.split(separator: "\"").first { $0.utf8.count == 32 }))
    #expect(try host.send("GET", "/v1/tasks/\(first)?wait=10s").text.contains(#""status":"COMPLETED""#))
    #expect(try !host.send("GET", "/readyz").text.contains("breaker"))
  }

  @Test("Copies of plugins go with a host that has no directory of its own, also those of one that was killed")
  func copies() async throws {
    let redis = try RedisServer()
    let folder = try TemporaryDirectory()
    let environment = ProcessInfo.processInfo.environment.merging(["TMPDIR": folder.path]) { $1 }
    let directory = try TemporaryDirectory()
    try Edition.build(1, at: directory.path + "/edition.so")
    let config = try directory.write(
      "config.json",
      #"""
      {"http": {"listen": "127.0.0.1:0"}, "redis": {"url": "\#(redis.address)"},
       "plugins": {"edition": {"path": "edition.so"}}, "types": {"answer": {"executor": "edition/answer"}}}
      """#)
    func copies() throws -> [String] { try FileManager.default.contentsOfDirectory(atPath: folder.path) }
    let host = HostProcess(config: config, log: directory.path + "/host.log", environment: environment)
    try await host.start(workers: 1)
    #expect(try copies().count == 1)
    try await host.stop(SIGKILL)
    #expect(try copies().count == 1)
    try await host.start(workers: 1)
    #expect(try copies().count == 1, "those of the killed one are gone")
    #expect(try await host.stop() == 0)
    #expect(try copies() == [])
  }
}
