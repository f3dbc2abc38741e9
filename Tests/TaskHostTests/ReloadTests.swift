// SPDX-License-Identifier: Apache-2.0
import Foundation
import HTTPClient
import TaskModel
import TaskStore
import TestSupport
import Testing

@Suite("Reload")
struct ReloadTests {
  private static let types =
    #"{"answer": {"executor": "edition/answer", "threads": 1}, "hold": {"executor": "edition/hold", "threads": 4}}"#

  private func host(_ changes: [String: String] = [:]) async throws -> HostFixture {
    let host = try await HostFixture(
      ["plugins": #"{"edition": {"path": "edition.so"}}"#, "types": Self.types].merging(changes) { $1 }, start: false)
    try Edition.build(1, at: host.directory.path + "/edition.so")
    try await host.start()
    return host
  }

  private func result(_ host: HostFixture, _ type: String = "answer") async throws -> TaskRecord {
    try #require(try await host.final(try await host.submit(type)))
  }

  private func text(_ record: TaskRecord?) -> String? { record?.result.map { String(decoding: $0, as: UTF8.self) } }

  @Test(
    "A new build takes over by reload, and only then; running tasks end with the old one, and both stand on the records"
  )
  func newBuild() async throws {
    let host = try await host()
    let held = try await host.submit("hold")
    try await running(host, held)
    try Edition.build(2, at: host.directory.path + "/edition.so")
    let before = try await result(host)
    #expect(text(before) == "1", "overwriting the file changes nothing")
    let reply = try host.send("POST", "/v1/reload")
    #expect(reply.status == 200)
    #expect(reply.text == #"{"generation":2,"restartNeeded":[]}"#)
    let after = try await result(host)
    #expect(text(after) == "2")
    try host.directory.write("open", "")
    let old = try await host.final(held)
    #expect(old?.status == .completed)
    #expect(old?.attempts == 1)
    #expect(before.origin?.build != after.origin?.build)
    #expect(after.origin?.version == "2.0.0")
    let plugins = try host.send("GET", "/v1/plugins").text
    #expect(plugins.contains(try #require(after.origin?.build)))
    #expect(plugins.contains(#""version":"2.0.0""#))
    try await eventually("the old workers are gone") { () async throws in try host.workerPids().count == 1 }
  }

  @Test("Pool sizes, types, wiring and plugins change by reload; what cannot is listed and stays")
  func config() async throws {
    let host = try await host()
    try Edition.build(7, at: host.directory.path + "/other.so")
    let held = try await host.submit("hold")
    try await running(host, held)
    try host.rewrite([
      "name": #""another name""#, "http": #"{"listen": "127.0.0.1:1"}"#,
      "plugins": #"{"edition": {"path": "edition.so"}, "other": {"path": "other.so"}}"#,
      "workers": #"{"edition": {"processes": 2}}"#,
      "types": #"""
      {"answer": {"executor": "other/answer", "threads": 3},
       "new": {"executor": "edition/answer", "threads": 2}}
      """#,
    ])
    let reply = try host.send("POST", "/v1/reload")
    #expect(reply.status == 200)
    #expect(reply.text == #"{"generation":2,"restartNeeded":["http.listen","name"]}"#)
    #expect(text(try await result(host)) == "7")
    try await eventually("Redis has heard of the new type") { () async throws in
      _ = try? await host.submit("new")
      return host.store.definition(of: "new") != nil
    }
    #expect(text(try await result(host, "new")) == "1")
    let new = try host.send("GET", "/v1/types/new").text
    #expect(new.contains(#""threads":4"#), "two threads in two processes: \(new)")
    // What the old generation still runs goes on, although its type is gone.
    try host.directory.write("open", "")
    #expect(try await host.final(held)?.status == .completed)
    // The type is known for a while, and what is submitted waits until a host runs it again.
    let parked = try await host.submit("hold")
    #expect(try host.send("GET", "/v1/types/hold").text.contains(#""parked":true"#))
    try host.rewrite([:])
    #expect(try host.send("POST", "/v1/reload").status == 200)
    #expect(try await host.final(parked)?.status == .completed)
  }

  @Test("Whatever stops a reload, the old generation goes on, and the answer says which check failed")
  func refused() async throws {
    let host = try await host()
    let workers = try host.workerPids()
    let file = host.directory.path + "/edition.so"
    func refusal() throws -> String {
      let reply = try host.send("POST", "/v1/reload")
      #expect(reply.status == 422, "\(reply.text)")
      #expect(reply.text.contains(#""code":"reload_refused""#))
      return reply.text
    }
    try host.directory.write("config.json", "{")
    #expect(try refusal().contains("not JSON"))
    try host.rewrite(["types": #"{"answer": {"executor": "edition/answer", "threads": 0}}"#])
    #expect(try refusal().contains("types.answer.threads"))
    try host.rewrite(["plugins": #"{"edition": {"path": "gone.so"}}"#])
    #expect(try refusal().contains("plugins.edition"))
    try host.rewrite(["types": #"{"answer": {"executor": "edition/nothing"}}"#])
    #expect(try refusal().contains("types.answer.executor"))
    try host.rewrite([:])
    try Edition.build(2, "REFUSES", at: file)
    #expect(try refusal().contains("nothing is good enough"))
    try Edition.build(2, "FEWER", at: file)
    #expect(try refusal().contains("types.hold.executor"))
    try Data("no library".utf8).write(to: URL(fileURLWithPath: file))
    #expect(try refusal().contains("plugins.edition"))
    #expect(text(try await result(host)) == "1")
    #expect(try host.workerPids() == workers)
    #expect(try host.send("GET", "/readyz").status == 200)
  }

  @Test("SIGHUP reloads too; a reload while another is under way is refused")
  func signal() async throws {
    let host = try await host()
    try Edition.build(2, "SLOW", at: host.directory.path + "/edition.so")
    kill(host.process.pid, SIGHUP)
    try await eventually("another one is refused") { () async throws in
      let reply = try host.send("POST", "/v1/reload")
      return reply.status == 409 && reply.text.contains("reload_running")
    }
    try await eventually("it has taken over") { () async in !host.lines(containing: "generation 2 of workers").isEmpty }
    #expect(text(try await result(host)) == "2")
  }

  @Test("A third generation makes the oldest give its tasks back")
  func third() async throws {
    let host = try await host()
    let held = try await host.submit("hold")
    try await running(host, held)
    for number in 2...3 {
      try Edition.build(number, at: host.directory.path + "/edition.so")
      #expect(try host.send("POST", "/v1/reload").status == 200)
    }
    // The task stands in its queue again and starts in the newest generation.
    try host.directory.write("open", "")
    let record = try await host.final(held)
    #expect(record?.status == .completed)
    #expect(record?.attempts == 1)
    try await eventually("one worker is left") { () async throws in try host.workerPids().count == 1 }
  }

  @Test("Old workers have drain.reload to finish, then their tasks are given back")
  func drain() async throws {
    let host = try await host(["drain": #"{"stop": "6s", "reload": "300ms"}"#])
    let held = try await host.submit("hold")
    try await running(host, held)
    try Edition.build(2, at: host.directory.path + "/edition.so")
    #expect(try host.send("POST", "/v1/reload").status == 200)
    try await eventually("the old worker is gone") { () async throws in try host.workerPids().count == 1 }
    try host.directory.write("open", "")
    let record = try await host.final(held)
    #expect(text(record) == "2")
    #expect(record?.attempts == 1)
  }

  @Test("A generation that crash-loops is rolled back to the one before it, and readyz says so")
  func rollback() async throws {
    let host = try await host()
    try Edition.build(2, "DIES", at: host.directory.path + "/edition.so")
    #expect(try host.send("POST", "/v1/reload").status == 200)
    try await eventually(within: .seconds(40), "it was rolled back") { () async in
      !host.lines(containing: "generation 3 of workers takes over").isEmpty
    }
    #expect(text(try await result(host)) == "1")
    let ready = try host.send("GET", "/readyz")
    #expect(ready.status == 200)
    #expect(ready.text.contains("rolled back"))
    try Edition.build(4, at: host.directory.path + "/edition.so")
    #expect(try host.send("POST", "/v1/reload").text.contains(#""generation":4"#))
    #expect(text(try await result(host)) == "4")
    #expect(try !host.send("GET", "/readyz").text.contains("rolled back"))
  }

  @Test("A host that is told to end while a reload is under way ends")
  func stop() async throws {
    let host = try await host()
    try Edition.build(2, "SLOW", at: host.directory.path + "/edition.so")
    kill(host.process.pid, SIGHUP)
    try await eventually("the new worker is there") { () async throws in try host.workerPids().count == 2 }
    #expect(try await host.stop() == 0)
  }

  private func running(_ host: HostFixture, _ id: TaskID) async throws {
    try await eventually("it runs") { () async throws in try await host.store.record(id)?.status == .inProgress }
  }
}
