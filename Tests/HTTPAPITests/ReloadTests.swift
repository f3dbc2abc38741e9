// SPDX-License-Identifier: Apache-2.0
import Config
@testable import TaskHost
import TaskModel
import Testing
import Synchronization
import Threading

@Suite("POST /v1/reload")
struct ReloadTests {
  @Test("A reload answers which generation serves and what waits for a restart", arguments: [nil, "{}"])
  func done(_ body: String?) async throws {
    let api = try await APIFixture.make { () throws(ReloadRefusal) in
      ReloadReport(generation: 7, restartNeeded: ["http.listen", "name"])
    }
    let answer = try await api.request("POST", "/v1/reload", body: body.map { Array($0.utf8) })
    #expect(answer.status == 200)
    #expect(answer.text == #"{"generation":7,"restartNeeded":["http.listen","name"]}"#)
  }

  @Test("A refusal lists everything that is wrong, with its place as far as it is known")
  func refused() async throws {
    let api = try await APIFixture.make { () throws(ReloadRefusal) in
      throw .refused([
        ConfigIssue(path: "types.a.threads", message: "0 is out of range; allowed are 1 to 1024", line: 3, column: 15),
        ConfigIssue(path: "plugins.p", message: "plugin \"p\": no licence"),
      ])
    }
    let answer = try await api.request("POST", "/v1/reload")
    #expect(answer.status == 422)
    #expect(answer.code == "reload_refused")
    #expect(answer.detail.contains("the running generation goes on"))
    let errors = try #require(answer.json?["errors"]?.elements)
    #expect(errors.map { $0["path"]?.text } == ["types.a.threads", "plugins.p"])
    #expect(
      errors.map { $0["message"]?.text } == [
        "0 is out of range; allowed are 1 to 1024", "plugin \"p\": no licence",
      ])
    #expect(errors.map { $0["line"]?.integer } == [3, nil])
    #expect(errors.map { $0["column"]?.integer } == [15, nil])
  }

  @Test("One that is under way makes it 409, a host that drains 503")
  func notNow() async throws {
    for (refusal, status, code) in [
      (.running, 409, "reload_running"), (.stopping, 503, "redis_unavailable"),
    ] as [(ReloadRefusal, Int, String)] {
      let api = try await APIFixture.make { () throws(ReloadRefusal) in throw refusal }
      let answer = try await api.request("POST", "/v1/reload")
      #expect(answer.status == status)
      #expect(answer.code == code)
      #expect(answer.headers["retry-after"] == (status == 503 ? "5" : nil))
      #expect(!answer.detail.contains("Redis"), "Redis is well")
    }
  }

  @Test("A body that says something is refused, and nothing is reloaded")
  func bodies() async throws {
    let calls = Lock(0)
    let api = try await APIFixture.make { () throws(ReloadRefusal) in
      calls.withLock { $0 += 1 }
      return ReloadReport(generation: 2, restartNeeded: [])
    }
    for (body, code) in [(#"{"force":true}"#, "unknown_field"), ("[]", "bad_request"), ("{", "bad_json")] {
      let answer = try await api.post("/v1/reload", body)
      #expect(answer.status == 400)
      #expect(answer.code == code)
    }
    #expect(calls.withLock { $0 } == 0)
    #expect(try await api.post("/v1/reload", "").text == #"{"generation":2,"restartNeeded":[]}"#)
    #expect(calls.withLock { $0 } == 1)
  }
}
