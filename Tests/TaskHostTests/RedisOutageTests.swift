// SPDX-License-Identifier: Apache-2.0
import Foundation
import HTTPClient
import TaskModel
import TaskStore
import TestSupport
import Testing

@Suite("A host whose Redis goes away")
struct RedisOutageTests {
  @Test("A Redis that is not there yet: the host serves 503, goes on trying and becomes ready by itself")
  func comesLater() async throws {
    let redis = try RedisServer()
    redis.stop()
    let host = try await HostFixture(redis: redis, start: false)
    try host.process.launch()
    try await eventually("it listens") { () async in host.process.url != nil }
    #expect(try host.send("GET", "/healthz").status == 200)
    let unready = try host.send("GET", "/readyz")
    #expect(unready.status == 503)
    #expect(unready.text.contains("Redis does not answer"))
    let refused = try host.send("POST", "/v1/tasks", #"{"type":"echo","params":1}"#)
    #expect(refused.status == 503)
    #expect(refused.text.contains("redis_unavailable"))
    #expect(refused.header("retry-after") != nil)
    try await eventually("the outage is told") { () async in
      host.lines(containing: "submissions are refused until it is back").count == 1
    }
    try redis.start()
    try await eventually("it is ready") { () async throws in try host.send("GET", "/readyz").status == 200 }
    let id = try submitted(host, "echo", "1")
    let record = try host.send("GET", "/v1/tasks/\(id)?wait=20s")
    #expect(record.text.contains(#""status":"COMPLETED""#))
    #expect(host.lines(containing: "submissions are refused until it is back").count == 1, "an outage is logged once")
    #expect(try await host.stop() == 0)
  }

  @Test("Tasks that run when Redis is killed end with their outcomes, and taking resumes by itself")
  func killedEmbedded() async throws {
    let host = try await HostFixture(["redis": #"{"embedded": {"fsync": "always"}}"#])
    let naps = try await submit(host, "nap", "1200", count: 4)
    let waiting = try await submit(host, "nap", "50", count: 20)
    try await eventually("four run") { () async in host.journal.count >= 4 }
    for _ in 1...3 {
      let pid = try #require(try host.redisPid())
      kill(pid, SIGKILL)
      try await eventually("it was started again") { () async throws in try host.redisPid().map { $0 != pid } ?? false }
    }
    for id in naps + waiting {
      try await completed(host, id)
      #expect(try await host.store.record(id)?.attempts == 1)
    }
    for id in naps { #expect(host.count("nap \(id)") == 1) }
    let after = try await eventuallySubmitted(host, "echo", "7")
    try await completed(host, after)
    try await eventually("every callback was called") { () async in
      (naps + waiting + [after]).allSatisfy { host.journal.contains("completed \($0)") }
    }
    #expect(try host.workerPids().count == 1)
    #expect(host.lines(containing: "ended (").allSatisfy { $0.contains("Redis") }, "no worker died of it")
  }

  @Test("While Redis is away, submissions and reads get 503 within 2 s, and tasks end when it is back")
  func killedElsewhere() async throws {
    let redis = try RedisServer(["--appendfsync", "always"])
    let host = try await HostFixture(redis: redis)
    let nap = try await host.submit("nap", "700")
    let gate = try await host.submit("gate", #""wait""#)
    try await eventually("both run") { () async in
      host.count("nap \(nap)") == 1 && host.count("gate \(gate)") == 1
    }
    redis.stop(SIGKILL)
    let clock = ContinuousClock()
    for (method, path, body) in [
      ("POST", "/v1/tasks", #"{"type":"echo","params":1}"#), ("GET", "/v1/tasks/\(nap)", nil),
      ("GET", "/v1/tasks/\(nap)/status", nil), ("GET", "/v1/tasks?type=nap", nil),
    ] {
      let start = clock.now
      let reply = try host.send(method, path, body)
      #expect(reply.status == 503, "\(method) \(path): \(reply.text)")
      #expect(reply.text.contains(#""code":"redis_unavailable""#))
      // The contract's own bound, with room for a busy machine.
      #expect(clock.now - start < .seconds(15))
    }
    #expect(try host.send("GET", "/healthz").status == 200)
    #expect(try host.send("GET", "/readyz").status == 503)
    try host.openGate()
    try redis.start()
    for id in [nap, gate] {
      try await completed(host, id)
      #expect(try await host.store.record(id)?.attempts == 1)
    }
    let after = try await eventuallySubmitted(host, "echo", "7")
    try await completed(host, after)
    try await eventually("it is ready") { () async throws in try host.send("GET", "/readyz").status == 200 }
  }

  @Test("A Redis that stands still for longer than the lease costs no task and no worker")
  func suspended() async throws {
    let redis = try RedisServer()
    let host = try await HostFixture(["lease": #""1s""#], redis: redis)
    let workers = try host.workerPids()
    let gate = try await host.submit("gate", #""wait""#)
    try await eventually("it runs") { () async in host.journal.count == 1 }
    redis.suspend()
    // Each refusal comes after more than a second, which makes more than three leases.
    for _ in 0..<3 { #expect(try host.send("POST", "/v1/tasks", #"{"type":"echo","params":1}"#).status == 503) }
    redis.resume()
    try host.openGate()
    try await completed(host, gate)
    #expect(host.count("gate \(gate)") == 1)
    #expect(try host.workerPids() == workers)
    #expect(host.lines(containing: "its lease").isEmpty)
    #expect(host.lines(containing: "stands still").isEmpty)
    let after = try await eventuallySubmitted(host, "echo", "7")
    try await completed(host, after)
  }

  @Test("A Redis that stands still does not keep the host from ending")
  func suspendedAtTheEnd() async throws {
    let redis = try RedisServer()
    let host = try await HostFixture(["drain": #"{"stop": "300ms"}"#], redis: redis)
    let gate = try await host.submit("gate", #""wait""#)
    try await eventually("it runs") { () async in host.count("gate \(gate)") == 1 }
    let workers = try host.workerPids()
    redis.suspend()
    #expect(try await host.stop() == 1)
    #expect(!workers.contains(where: isAlive))
    redis.resume()
    try host.openGate()
    try await host.start()
    try await completed(host, gate)
    #expect(try await host.store.record(gate)?.attempts == 1)
  }

  @Test("An ordinary start warns of nothing")
  func quietStart() async throws {
    let host = try await HostFixture(observed: false)
    #expect(try await host.stop() == 0)
    try await host.start()
    #expect(try await host.stop() == 0)
    #expect(host.lines(containing: #""level":"warning""#) == [])
    #expect(host.lines(containing: #""level":"error""#) == [])
  }

  // MARK: Common steps

  private func submit(_ host: HostFixture, _ type: String, _ params: String, count: Int) async throws -> [TaskID] {
    var ids: [TaskID] = []
    for _ in 0..<count { ids.append(try await host.submit(type, params)) }
    return ids
  }

  private func submitted(_ host: HostFixture, _ type: String, _ params: String) throws -> String {
    let reply = try host.send("POST", "/v1/tasks", #"{"type":"\#(type)","params":\#(params)}"#)
    #expect(reply.status == 202)
    return try #require(try JSONNode.parse(reply.body)["id"]?.text)
  }

  private func eventuallySubmitted(_ host: HostFixture, _ type: String, _ params: String) async throws -> TaskID {
    var id: TaskID?
    try await eventually("the host takes tasks again") { () async throws in
      let reply = try host.send("POST", "/v1/tasks", #"{"type":"\#(type)","params":\#(params)}"#)
      if reply.status == 202 { id = try JSONNode.parse(reply.body)["id"]?.text.flatMap { TaskID($0) } }
      return id != nil
    }
    return try #require(id)
  }

  /// The observer itself may have to connect again.
  private func completed(_ host: HostFixture, _ id: TaskID) async throws {
    try await eventually(within: .seconds(30), "task \(id) is COMPLETED") { () async in
      (try? await host.store.statuses([id]))?.first == .completed
    }
  }
}
