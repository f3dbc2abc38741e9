// SPDX-License-Identifier: Apache-2.0
@testable import TaskHost
import TaskModel
import TaskStore
import TestSupport
import Testing

@Suite("Types and health")
struct TypeTests {
  @Test("Types are listed with their counts")
  func list() async throws {
    let api = try await APIFixture.make()
    let worker = try await api.worker()
    try await worker.begin()
    _ = try await api.submit()
    try await worker.take("work", .completed(result: bytes("1")))
    for _ in 0..<2 { _ = try await api.submit() }
    func counts(_ pending: Int, _ completed: Int) -> String {
      #"{"SCHEDULED":0,"PENDING":\#(pending),"IN_PROGRESS":0,"COMPLETED":\#(completed),"FAILED":0,"CANCELLED":0}"#
    }
    let small =
      #"{"name":"small","executor":"plugin/small","callback":"plugin/log","exceptionHandler":"plugin/alert","#
      + #""worker":"other","threads":3,"busy":0,"paused":false,"parked":false,"breaker":"closed","counts":\#(counts(0, 0))}"#
    let work =
      #"{"name":"work","executor":"plugin/run","callback":null,"exceptionHandler":null,"#
      + #""worker":"plugin","threads":2,"busy":0,"paused":false,"parked":false,"breaker":"closed","counts":\#(counts(2, 1))}"#
    let all = try await api.get("/v1/types")
    #expect(all.status == 200)
    #expect(all.text == "{\"types\":[\(small),\(work)]}")
    #expect(try await api.get("/v1/types/work").text == work)
  }

  @Test("A type that another host brought is found, one that nobody brought is 404")
  func others() async throws {
    let api = try await APIFixture.make()
    let missing = try await api.get("/v1/types/foreign")
    #expect(missing.status == 404)
    #expect(missing.code == "unknown_type")
    let other = TaskStore(address: api.redis.address, prefix: "roost", name: "other")
    var type = APIFixture.types[0]
    type.name = "foreign"
    other.start(types: [type])
    try await eventually("the other host is known") { () async in other.isConnected }
    let found = try await api.get("/v1/types/foreign")
    #expect(found.status == 200)
    #expect(found.json?["name"]?.text == "foreign")
    #expect(found.json?["parked"]?.boolean == false)
    let accepted = try await api.post("/v1/tasks", #"{"type":"foreign"}"#)
    #expect(accepted.status == 202)
    other.close()
  }

  @Test("A paused type gives no worker anything until it is resumed, and both answer the type")
  func pause() async throws {
    let api = try await APIFixture.make()
    let worker = try await api.worker()
    try await worker.begin()
    let paused = try await api.request("POST", "/v1/types/work/pause")
    #expect(paused.status == 200)
    #expect(paused.json?["name"]?.text == "work")
    #expect(paused.json?["paused"]?.boolean == true)
    let id = try await api.submit()
    #expect(try await worker.take("work").isEmpty)
    #expect(try await api.status(id) == "PENDING")
    #expect(try await api.post("/v1/types/work/pause", "{}").text == api.get("/v1/types/work").text)
    #expect(try await api.get("/v1/types/small").json?["paused"]?.boolean == false)
    let resumed = try await api.request("POST", "/v1/types/work/resume")
    #expect(resumed.json?["paused"]?.boolean == false)
    #expect(resumed.json?["counts"]?["PENDING"]?.integer == 1)
    #expect(try await worker.take("work").map(\.id) == [id])
    for verb in ["pause", "resume"] {
      let unknown = try await api.request("POST", "/v1/types/nothing/\(verb)")
      #expect(unknown.status == 404)
      #expect(unknown.code == "unknown_type")
      #expect(try await api.post("/v1/types/work/\(verb)", #"{"for":"1h"}"#).code == "unknown_field")
    }
  }

  @Test("A type shows whether its worker's processes are started")
  func breaker() async throws {
    let api = try await APIFixture.make()
    for (breaker, word) in [(.open, "open"), (.halfOpen, "half-open"), (.closed, "closed")]
      as [(HostStatus.Breaker, String)]
    {
      api.status.set(breakers: ["other": breaker])
      #expect(try await api.get("/v1/types/small").json?["breaker"]?.text == word)
      #expect(try await api.get("/v1/types/work").json?["breaker"]?.text == "closed", "it runs in another worker")
    }
  }

  @Test(
    "What is wrong without keeping the host from serving is a reason inside a 200, and stands behind those of a 503")
  func troubles() async throws {
    let api = try await APIFixture.make()
    api.status.set(trouble: "worker w is not started: it died 5 times in 60 s", for: "w")
    api.status.set(trouble: "the clock of Redis jumped", for: "clock")
    let ready = try await api.get("/readyz")
    #expect(ready.status == 200)
    let troubles = #""the clock of Redis jumped","worker w is not started: it died 5 times in 60 s""#
    #expect(ready.text == #"{"status":"ready","reasons":[\#(troubles)]}"#)
    api.status.drains()
    let draining = try await api.get("/readyz")
    #expect(draining.status == 503)
    #expect(draining.text == #"{"reasons":["the host is draining",\#(troubles)]}"#)
    api.status.set(trouble: nil, for: "w")
    #expect(try await api.get("/readyz").json?["reasons"]?.elements?.count == 2)
  }

  @Test("The host says that it is alive and ready")
  func health() async throws {
    let api = try await APIFixture.make()
    let alive = try await api.get("/healthz")
    #expect(alive.status == 200)
    #expect(alive.text == #"{"status":"ok"}"#)
    let ready = try await api.get("/readyz")
    #expect(ready.status == 200)
    #expect(ready.text == #"{"status":"ready","reasons":[]}"#)
    #expect(ready.headers["content-type"] == "application/json")
  }
}
