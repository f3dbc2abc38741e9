// SPDX-License-Identifier: Apache-2.0
import Foundation
import HTTPClient
import TaskModel
import TaskStore
import Testing
import TestSupport
import Synchronization
import Threading

extension JSONNode {
  /// A string or a number as it was written.
  fileprivate var written: String? {
    switch content {
    case .string(let text), .number(let text): text
    default: nil
    }
  }
}

@Suite("Webhooks of a real host")
struct WebhookTests {
  /// A host whose tasks end at the receiver.
  private func host(
    posting to: LoopbackServer, journal: TemporaryDirectory, redis: RedisServer? = nil
  ) async throws -> HostFixture {
    let webhook =
      #"{"path": "\#(BuildProducts.plugin("Webhook"))", "settings": {"url": "http://127.0.0.1:\#(to.port)"}}"#
    let handlers = #""callback": "webhook/post", "exceptionHandler": "webhook/post""#
    return try await HostFixture(
      [
        "plugins": HostFixture.plugins(journal: journal.path + "/journal", more: #", "webhook": \#(webhook)"#),
        "types":
          #"{"echo": {"executor": "workbench/echo", \#(handlers)}, "fail": {"executor": "workbench/fail", \#(handlers)}}"#,
      ], redis: redis)
  }

  private func delivered(_ id: TaskID, by host: HostFixture) async throws -> TaskRecord? {
    try await eventually("it is delivered") { try await host.store.record(id)?.handler.phase == .delivered }
    return try await host.store.record(id)
  }

  @Test(
    "A receiver that is busy gets the same outcome again when it asked for it, with params and result byte for byte")
  func busyReceiver() async throws {
    let calls = Lock(0)
    let server = try LoopbackServer {
      let isFirst = calls.withLock {
        $0 += 1; return $0 == 1
      }
      $0.send(isFirst ? "HTTP/1.1 503 Busy\r\nRetry-After: 1\r\n\r\n" : "HTTP/1.1 200 OK\r\n\r\n")
    }
    defer { server.stop() }
    let journal = try TemporaryDirectory()
    let host = try await host(posting: server, journal: journal)
    let echo = try await host.submit("echo", #"{"n": 1.0}"#)
    #expect(try await delivered(echo, by: host)?.handler.attempts == 2)
    let fail = try await host.submit("fail")
    #expect(try await delivered(fail, by: host)?.handler.attempts == 1)

    let requests = server.requests
    #expect(requests.map { $0.header("webhook-id") } == ["\(echo).completed", "\(echo).completed", "\(fail).failed"])
    for request in requests.prefix(2) {
      #expect(request.body.contains(#""params":{"n": 1.0},"result":{"n": 1.0}"#), "\(request.body)")
    }
    let failed = try JSONNode.parse(Array(requests[2].body.utf8))
    #expect(failed["type"]?.text == "task.failed" && failed["data"]?["error"]?["message"]?.text == "on purpose")
    #expect(failed["timestamp"]?.text == failed["data"]?["finishedAt"]?.text)

    // What is posted is the record that everybody sees, whichever worker posts it, but for the state of the post itself.
    for (request, id) in zip(requests, [echo, echo, fail]) {
      let posted = try JSONNode.parse(Array(request.body.utf8))["data"]
      let seen = try JSONNode.parse(try host.send("GET", "/v1/tasks/\(id)").body)
      for name in ["status", "startedAt", "finishedAt", "createdAt", "worker", "attempts", "maxAttempts"] {
        #expect(seen[name] != nil && posted?[name]?.written == seen[name]?.written, "\(name)")
      }
      for name in ["name", "version", "build"] {
        #expect(posted?["plugin"]?[name]?.text == seen["plugin"]?[name]?.text)
      }
      #expect(posted?["callback"]?["name"]?.text == "webhook/post")
    }
  }

  @Test("A worker that is killed while it posts costs no outcome")
  func killedWhilePosting() async throws {
    let calls = Lock(0)
    let server = try LoopbackServer {
      let isFirst = calls.withLock {
        $0 += 1; return $0 == 1
      }
      if isFirst { $0.waitForHangUp() } else { $0.send("HTTP/1.1 204 No Content\r\n\r\n") }
    }
    defer { server.stop() }
    let journal = try TemporaryDirectory()
    let host = try await host(posting: server, journal: journal)
    let id = try await host.submit("echo")
    try await eventually("it is being posted") { () async in server.requests.count == 1 }
    for pid in try host.workerPids() { kill(pid, SIGKILL) }
    #expect(try await delivered(id, by: host)?.status == .completed)
    #expect(server.requests.map { $0.header("webhook-id") } == ["\(id).completed", "\(id).completed"])
  }

  @Test("A host that is killed in the middle of callbacks leaves them to the other host, every one")
  func hostKilledWhilePosting() async throws {
    let isOpen = Lock(false)
    let server = try LoopbackServer {
      if isOpen.withLock({ $0 }) { $0.send("HTTP/1.1 204 No Content\r\n\r\n") } else { $0.waitForHangUp() }
    }
    defer { server.stop() }
    let (journal, redis) = (try TemporaryDirectory(), try RedisServer())
    let first = try await host(posting: server, journal: journal, redis: redis)
    var ids: [TaskID] = []
    for number in 0..<20 { ids.append(try await first.submit(number % 2 == 0 ? "echo" : "fail")) }
    try await eventually("callbacks are under way") { () async in !server.requests.isEmpty }
    let second = try await host(posting: server, journal: journal, redis: redis)
    try await first.stop(SIGKILL)
    isOpen.withLock { $0 = true }
    for (number, id) in ids.enumerated() {
      let record = try await delivered(id, by: second)
      #expect(record?.status == (number % 2 == 0 ? .completed : .failed) && record?.attempts == 1)
    }
    let posted = Set(server.requests.compactMap { $0.header("webhook-id") })
    #expect(posted == Set(ids.enumerated().map { "\($1).\($0 % 2 == 0 ? "completed" : "failed")" }))
  }
}
