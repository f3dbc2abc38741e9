// SPDX-License-Identifier: Apache-2.0
import Foundation
import HTTPClient
import TaskModel
import TaskStore
import TestSupport
import Testing

@Suite("Workers that do not come up", .timeLimit(.minutes(5)))
struct FactoryTests {
  @Test("A plugin that crashes while it is made opens the breaker of its worker, which health names until it is mended")
  func crashingFactory() async throws {
    let zoo = try await Zoo([BadPlugin(name: "create-crash", ending: .completed(#""made""#))])
    let host = zoo.host
    try await arm("create-crash", zoo)
    let id = try await host.submit("create-crash")
    try await eventually(within: .seconds(60), "the breaker opens") { () async throws in
      try breaker(host) == "open"
    }
    let ready = try host.send("GET", "/readyz")
    #expect(ready.status == 200)
    let reasons = try JSONNode.parse(ready.body)["reasons"]?.elements?.compactMap(\.text) ?? []
    #expect(reasons.count == 1 && reasons[0].contains("create-crash"), "\(reasons)")
    // Types of other workers are nobody's business.
    #expect(try JSONNode.parse(try host.send("GET", "/v1/types/far").body)["breaker"]?.text == "closed")
    let far = try await host.submit("far", "5")
    #expect(try await host.final(far)?.status == .completed)
    #expect(try await host.store.record(id)?.status == .pending, "its tasks stay queued")
    try disarm("create-crash", zoo)
    await host.store.awaitFinal(id, within: .seconds(60))
    #expect(try await host.store.record(id)?.status == .completed)
    try await eventually("the breaker closes") { () async throws in
      try breaker(host) == "closed" && host.send("GET", "/readyz").text == #"{"status":"ready","reasons":[]}"#
    }
    try await zoo.expectOrder()
  }

  @Test("A plugin that hangs while it is made holds up nobody else, and goes with a reload")
  func hangingFactory() async throws {
    let member = BadPlugin(name: "create-hang", ending: .completed(#""made""#))
    let zoo = try await Zoo([member])
    let host = zoo.host
    try await arm("create-hang", zoo)
    let id = try await host.submit("create-hang")
    try await eventually("it hangs") { () async in !zoo.pids(member).isEmpty }
    let far = try await host.submit("far", "5")
    #expect(try await host.final(far)?.status == .completed)
    try disarm("create-hang", zoo)
    #expect(try host.send("POST", "/v1/reload").status == 200)
    await host.store.awaitFinal(id, within: .seconds(60))
    #expect(try await host.store.record(id)?.status == .completed)
    try await eventually("it is gone") { () async in zoo.pids(member).filter(isAlive) == [] }
  }

  // MARK: Common steps

  /// From the next start of its worker on the plugin does not come up, and its worker has to start now.
  private func arm(_ name: String, _ zoo: Zoo) async throws {
    try zoo.host.directory.write("\(name).pids.armed", "")
    let worker = try zoo.workers().first { $0["name"]?.text?.contains("/\(name)/") == true }
    kill(try #require(worker?["pid"]?.integer.map(pid_t.init)), SIGKILL)
  }

  private func disarm(_ name: String, _ zoo: Zoo) throws {
    try FileManager.default.removeItem(atPath: zoo.host.directory.path + "/\(name).pids.armed")
  }

  private func breaker(_ host: HostFixture) throws -> String? {
    try JSONNode.parse(try host.send("GET", "/v1/types/create-crash").body)["breaker"]?.text
  }
}
