// SPDX-License-Identifier: Apache-2.0
@testable import HTTPAPI
import HTTPServer
import TaskModel
import TaskStore
import TestSupport
import Testing

@Suite("Paths and methods")
struct RouterTests {
  @Test("What is no path of the API, or not yet, is 404")
  func unknownPaths() async throws {
    let api = try await APIFixture.make()
    let id = "0192aaaaaaaa7000800000000000ff00"
    for (method, path, isPlanned) in [
      ("GET", "/", true), ("GET", "/metrics", true), ("GET", "/openapi.json", true),
      ("GET", "/v1/tasks/\(id)/events", true), ("POST", "/v1/groups", true),
      ("GET", "/v1", false), ("GET", "/v1/workers/1", false), ("GET", "/v2/tasks", false), ("GET", "/v1/tasks/", false),
      ("GET", "//v1/tasks", false), ("GET", "/V1/tasks", false), ("GET", "/v1/tasks/\(id)/params", false),
      ("GET", "/healthz/", false), ("POST", "/v1/types/work/other", false), ("OPTIONS", "/v1/nothing", false),
    ] {
      let answer = try await api.request(method, path)
      #expect(answer.status == 404, "\(method) \(path): \(answer.text)")
      #expect(answer.code == "unknown_path", "\(method) \(path): \(answer.text)")
      #expect(answer.detail.contains("not supported yet") == isPlanned, "\(method) \(path): \(answer.text)")
    }
  }

  @Test("A method that a path does not know is 405 with those it knows")
  func methods() async throws {
    let api = try await APIFixture.make()
    let id = "0192aaaaaaaa7000800000000000ff00"
    for (method, path, allowed) in [
      ("DELETE", "/v1/tasks", "POST, GET, HEAD, OPTIONS"), ("PUT", "/v1/tasks", "POST, GET, HEAD, OPTIONS"),
      ("GET", "/v1/tasks/status", "POST, OPTIONS"), ("HEAD", "/v1/tasks/results", "POST, OPTIONS"),
      ("PUT", "/v1/tasks/\(id)", "GET, HEAD, DELETE, OPTIONS"),
      ("POST", "/v1/tasks/\(id)", "GET, HEAD, DELETE, OPTIONS"), ("GET", "/v1/tasks/batch", "POST, OPTIONS"),
      ("DELETE", "/v1/tasks/retry", "POST, OPTIONS"), ("GET", "/v1/tasks/delete", "POST, OPTIONS"),
      ("GET", "/v1/tasks/\(id)/cancel", "POST, OPTIONS"), ("GET", "/v1/tasks/\(id)/retry", "POST, OPTIONS"),
      ("PUT", "/v1/tasks/\(id)/callback", "POST, OPTIONS"), ("GET", "/v1/types/work/pause", "POST, OPTIONS"),
      ("DELETE", "/v1/types/work/resume", "POST, OPTIONS"),
      ("POST", "/v1/tasks/\(id)/status", "GET, HEAD, PUT, OPTIONS"),
      ("PATCH", "/v1/tasks/\(id)/result", "GET, HEAD, PUT, OPTIONS"),
      ("POST", "/v1/types", "GET, HEAD, OPTIONS"), ("DELETE", "/v1/types/work", "GET, HEAD, OPTIONS"),
      ("POST", "/healthz", "GET, HEAD, OPTIONS"), ("PUT", "/readyz", "GET, HEAD, OPTIONS"),
      ("GET", "/v1/reload", "POST, OPTIONS"), ("POST", "/v1/workers", "GET, HEAD, OPTIONS"),
      ("DELETE", "/v1/plugins", "GET, HEAD, OPTIONS"), ("BREW", "/healthz", "GET, HEAD, OPTIONS"),
    ] {
      let answer = try await api.request(method, path)
      #expect(answer.status == 405, "\(method) \(path): \(answer.text)")
      if method != "HEAD" { #expect(answer.code == "method_not_allowed", "\(method) \(path)") }
      #expect(answer.headers["allow"] == allowed, "\(method) \(path)")
    }
  }

  @Test("Query parameters that a path does not know are refused, and so are targets that cannot be read")
  func targets() async throws {
    let api = try await APIFixture.make()
    for target in [
      "/healthz?x=1", "/v1/types?limit=1", "/v1/tasks/0192aaaaaaaa7000800000000000ff00/status?wait=1s", "/v1/tasks/%zz",
      "/v1/tasks?type=%ff", "/v1/tasks/%00",
    ] {
      let answer = try await api.get(target)
      #expect(answer.status == 400, "\(target): \(answer.text)")
      #expect(answer.code == "bad_request", "\(target)")
    }
  }

  @Test("Whatever the store fails with has one code")
  func storeErrors() throws {
    let id = TaskID(high: 0x0192_aaaa_aaaa_7000, low: 0x8000_0000_0000_ff00)
    for (error, status, code) in [
      (.unavailable("x"), 503, "redis_unavailable"), (.outOfMemory, 503, "redis_unavailable"),
      (.unknownTask(id), 404, "unknown_task"), (.unknownType("x"), 404, "unknown_type"),
      (.forbidden(id, status: .failed), 409, "forbidden_transition"), (.handlerPending(id), 409, "handler_pending"),
      (.noHandler(id, status: .completed), 409, "forbidden_transition"), (.keyTaken(id), 409, "key_taken"),
      (.queueFull(type: "x", limit: 1), 429, "queue_full"),
      (.noResult(id, status: .failed, error: nil), 410, "no_result"),
      (.tooLarge(what: "params", bytes: 2, limit: 1), 413, "too_large"),
      (.unreadable("a task"), 500, "internal"),
    ] as [(TaskStoreError, Int, String)] {
      let response = Problem(error).response
      #expect(response.status == status)
      #expect(response.contentType == "application/problem+json")
      #expect(try JSONNode.parse(response.body)["code"]?.text == code)
    }
  }
}
