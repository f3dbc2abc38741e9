// SPDX-License-Identifier: Apache-2.0
import Foundation
import HTTPClient
import TaskModel
import TestSupport
import Testing

@Suite("What a host asks of Redis")
struct TrafficTests {
  private func traffic(of host: HostFixture) async throws -> Traffic {
    try await eventually("the worker waits for tasks") { () async throws in
      try host.redis("client", "list").contains("cmd=blpop")
    }
    return try await Traffic(socket: host.directory.path + "/data/redis.sock", in: host.directory)
  }

  /// What a submission of plain tasks is.
  private static let submission = ["MULTI", "MSETNX", "RPUSH", "EVAL", "EXEC"]

  private func submit(_ host: HostFixture, _ type: String, _ params: String) throws -> String {
    let reply = try host.send("POST", "/v1/tasks", #"{"type":"\#(type)","params":\#(params)}"#)
    #expect(reply.status == 202)
    return try #require(try JSONNode.parse(reply.body)["id"]?.text)
  }

  /// Waits, without asking Redis about tasks, until the traffic has come to rest as expected.
  private func expect(_ expected: [String], of traffic: Traffic, _ host: HostFixture) async throws {
    try? await eventually(within: .seconds(10), "the calls of the task") { () async throws in
      try traffic.ofTasks.count >= expected.count
    }
    // Two heartbeats later nothing has followed.
    let beats = try traffic.calls.filter { $0 == "heartbeat" }.count
    try await eventually("two heartbeats") { () async throws in
      try traffic.calls.filter { $0 == "heartbeat" }.count >= beats + 2
    }
    let calls = try traffic.ofTasks
    #expect(calls.filter { $0 != "BLPOP" } == expected.filter { $0 != "BLPOP" })
    // When the wait begins anew is up to another thread.
    #expect(calls.sorted() == expected.sorted())
    // MONITOR does not show these, which break off a wait.
    #expect(try !host.redis("info", "commandstats").contains("cmdstat_client|unblock"))
  }

  @Test("A short task without a handler: two transactions, a take between them, and the worker waits again")
  func bareTask() async throws {
    let host = try await HostFixture(
      ["types": #"{"echo": {"executor": "workbench/echo"}}"#, "lease": #""10s""#], observed: false)
    let traffic = try await traffic(of: host)
    _ = try submit(host, "echo", "1")
    try await expect(
      Self.submission + ["take", "MULTI", "RPUSH", "MSET", "EVAL", "EXEC", "WATCH", "GET", "BLPOP"], of: traffic,
      host)
  }

  @Test("A callback adds one call, which reports it")
  func taskWithCallback() async throws {
    let host = try await HostFixture(
      ["types": HostFixture.types(["echo"]), "lease": #""10s""#], observed: false)
    let traffic = try await traffic(of: host)
    _ = try submit(host, "echo", "1")
    try await expect(Self.submission + ["take", "complete", "complete", "BLPOP"], of: traffic, host)
  }

  @Test("A task that runs for a while adds one call, which makes it visible with its progress")
  func longTask() async throws {
    let host = try await HostFixture(
      ["types": #"{"gate": {"executor": "workbench/gate"}}"#, "lease": #""10s""#], observed: false)
    let traffic = try await traffic(of: host)
    _ = try submit(host, "gate", #""wait""#)
    try await eventually("it is shown with its progress") { () async throws in
      try traffic.ofTasks.filter { $0 == "complete" }.count >= 1
    }
    try host.openGate()
    try await eventually("it has ended") { () async throws in
      try traffic.ofTasks.filter { $0 == "complete" }.count >= 2
    }
    let calls = try traffic.ofTasks
    #expect(calls.filter { $0 != "BLPOP" } == Self.submission + ["take", "complete", "complete"])
  }

  @Test("An idle host with ten types makes at most two calls a second")
  func idle() async throws {
    let types = (0..<10).map { #""t\#($0)": {"executor": "workbench/echo", "callback": "workbench/written"}"# }
    let host = try await HostFixture(
      [
        "types": "{\(types.joined(separator: ","))}", "lease": #""15s""#,
        "workers": #"{"workbench": {"processes": 2}}"#,
      ],
      workers: 2, observed: false)
    let traffic = try await traffic(of: host)
    // A heartbeat is sent every second: twelve of them are a span that holds whatever comes more seldom too.
    try await eventually(within: .seconds(40), "twelve heartbeats") { () async throws in
      try traffic.calls.filter { $0 == "heartbeat" }.count >= 12
    }
    let calls = try traffic.calls
    #expect(calls.count <= 24, "\(calls)")
    #expect(Set(calls).isSubset(of: ["heartbeat", "HGETALL", "ZRANGE", "HVALS", "BLPOP"]))
  }
}
