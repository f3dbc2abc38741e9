// SPDX-License-Identifier: Apache-2.0
import Foundation
import HTTPClient
import TaskModel
import TaskStore
import TestSupport
import Testing

@Suite("A Redis that answers, and does not do what it should")
struct RedisTroubleTests {
  @Test("A Redis that became a replica refuses submissions with 503; what runs ends once it is a master again")
  func readOnly() async throws {
    let redis = try RedisServer(["--repl-diskless-load", "disabled"])
    let host = try await HostFixture(redis: redis)
    let workers = try host.workerPids()
    let gate = try await host.submit("gate", #""wait""#)
    try await eventually("it runs") { () async in host.count("gate \(gate)") == 1 }
    try redis.cli("replicaof", "127.0.0.1", "1")
    try await eventually("the host notices by itself") { () async throws in
      try host.send("GET", "/readyz").status == 503
    }
    let refused = try host.send("POST", "/v1/tasks", #"{"type":"echo","params":1}"#)
    #expect(refused.status == 503, "\(refused.text)")
    #expect(refused.text.contains(#""code":"redis_unavailable""#))
    try host.openGate()
    try redis.cli("replicaof", "no", "one")
    #expect(try await host.final(gate)?.status == .completed)
    #expect(host.count("gate \(gate)") == 1)
    #expect(try host.workerPids() == workers)
    let after = try await submitted(host)
    #expect(try await host.final(after)?.status == .completed)
  }

  @Test(
    "A clock of Redis that jumps a day ahead deletes nothing and lets nothing expire, and readyz says so until a reload"
  )
  func jump() async throws {
    let folder = try TemporaryDirectory()
    let library = folder.path + "/libshifted_clock.so"
    let compiled = try run(
      "/usr/bin/cc",
      [
        "-std=gnu11", "-Wall", "-Wextra", "-Werror", "-O1", "-shared", "-fPIC",
        BuildProducts.sources + "/Tests/TaskHostTests/TestPlugins/shifted_clock.c", "-o", library,
      ])
    try #require(compiled.status == 0, "\(compiled.errors)")
    try folder.write("shift", "0")
    let redis = try RedisServer(environment: ["LD_PRELOAD": library, "SHIFTED_CLOCK": folder.path + "/shift"])
    let host = try await HostFixture(
      ["types": HostFixture.types(["echo", "gate"], threads: 1, extra: #", "retention": {"age": "1h"}"#)],
      redis: redis)
    let done = try await host.submit("echo", "1")
    #expect(try await host.final(done)?.status == .completed)
    let gate = try await host.submit("gate", #""wait""#)
    try await eventually("it runs") { () async in host.count("gate \(gate)") == 1 }
    let reply = try host.send("POST", "/v1/tasks", #"{"type":"gate","params":null,"expires":"2h"}"#)
    let waiting = try #require(TaskID(String(reply.text.split(separator: "\"").first { $0.utf8.count == 32 } ?? "")))

    try folder.write("shift", "86400")
    try await eventually("the host says so") { () async throws in
      try host.send("GET", "/readyz").text.contains("clock")
    }
    #expect(try host.send("GET", "/readyz").status == 200)
    // Heartbeats come each second: three of them have looked at what is old.
    let beats = try #require(Int(try redis.cli("hvals", "roost:{00}:beats").split(separator: "\n").last ?? ""))
    try await eventually("heartbeats go on") { () async throws in
      Int(try redis.cli("hvals", "roost:{00}:beats").split(separator: "\n").last ?? "") ?? 0 > beats + 6
    }
    #expect(try await host.store.record(done)?.status == .completed)
    #expect(try await host.store.record(waiting)?.status == .pending)
    try host.openGate()
    #expect(try await host.final(waiting)?.status == .completed, "it was taken although it looks expired")

    #expect(try host.send("POST", "/v1/reload").status == 200)
    try await eventually("who reloads says that the clock is right: what is old goes") { () async throws in
      try await host.store.record(done) == nil
    }
    #expect(try !host.send("GET", "/readyz").text.contains("clock"))
  }

  /// A task of `echo`, once submissions are accepted again.
  private func submitted(_ host: HostFixture) async throws -> TaskID {
    var id: TaskID?
    try await eventually("submissions are accepted again") { () async in
      id = try? await host.submit("echo", "7")
      return id != nil
    }
    return try #require(id)
  }
}
