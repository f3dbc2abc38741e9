// SPDX-License-Identifier: Apache-2.0
import Foundation
import TaskModel
import TaskStore
import TestSupport
import Testing

@Suite("Attempts that fail")
struct RetryTests {
  private static let quickly = #", "retry": {"attempts": 3, "backoff": "20ms", "maxBackoff": "40ms"}"#

  private func host(_ types: [String], extra: String = Self.quickly) async throws -> HostFixture {
    try await HostFixture(["types": HostFixture.types(types, extra: extra)])
  }

  @Test("They are repeated until one succeeds or none is left; then the exception handler is called, once")
  func attempts() async throws {
    let host = try await host(["flaky", "reject", "fatal"])
    let lucky = try await host.submit("flaky", "2")
    let hopeless = try await host.submit("flaky", "100")
    let success = try #require(try await host.final(lucky))
    #expect(success.status == .completed)
    #expect(success.attempts == 3)
    #expect(success.maxAttempts == 3)
    #expect(success.error == nil)
    let failure = try #require(try await host.final(hopeless))
    #expect(failure.status == .failed)
    #expect(failure.attempts == 3)
    #expect(try error(failure)["message"]?.text == "not yet")
    #expect(host.count("flaky \(hopeless)") == 3)
    for type in ["reject", "fatal"] {
      let record = try #require(try await host.final(try await host.submit(type)))
      #expect(record.status == .failed)
      #expect(record.attempts == 1)
      #expect(record.maxAttempts == 3)
      #expect(try error(record)["kind"]?.text == (type == "reject" ? "rejected" : "exception"))
      #expect(String(decoding: try #require(record.error), as: UTF8.self).contains(#""retryable":false"#))
    }
    try await eventually("the handlers were called") { () async in
      host.count("failed \(hopeless)") == 1 && host.count("completed \(lucky)") == 1
    }
    #expect(host.count("failed \(lucky)") == 0)
  }

  @Test("Between two attempts a task is SCHEDULED, with its last error and the delay that the executor named")
  func ownDelay() async throws {
    let host = try await host(["later"])
    let id = try await host.submit("later", "3600000")
    try await eventually("it waits for its next attempt") { try await host.store.record(id)?.status == .scheduled }
    let record = try #require(try await host.store.record(id))
    #expect(record.attempts == 1)
    #expect(try error(record)["message"]?.text == "come back later")
    #expect(record.finishedAt == nil)
    #expect(record.deadline == nil)
    let due = try #require(record.dueAt).millis
    let started = try #require(record.startedAt).millis
    #expect(due >= started + 3_600_000 && due < started + 3_660_000)
    // Longer delays than a day are a day.
    let late = try await host.submit("later", "900000000")
    try await eventually("it waits too") { try await host.store.record(late)?.status == .scheduled }
    let other = try #require(try await host.store.record(late))
    let start = try #require(other.startedAt).millis
    #expect(try #require(other.dueAt).millis < start + 86_400_000 + 60_000)
    let soon = try await host.submit("later", "300")
    let done = try #require(try await host.final(soon))
    #expect(done.status == .completed)
    #expect(done.attempts == 2)
  }

  @Test("Executors are told attempt, attempts and deadline")
  func facts() async throws {
    let host = try await host(["facts"], extra: Self.quickly + #", "timeout": "1m""#)
    let record = try #require(try await host.final(try await host.submit("facts")))
    let facts = try JSONNode.parse(try #require(record.result))
    #expect(facts["attempt"]?.integer == 1)
    #expect(facts["maxAttempts"]?.integer == 3)
    let allowed = try #require(facts["allowed"]?.integer)
    #expect(allowed >= 60_000 && allowed < 120_000)
  }

  @Test("Handlers are called as often as handlerRetry says")
  func handlerRetry() async throws {
    let type = #"{"executor": "workbench/echo", "callback": "workbench/useless", "handlerRetry": "#
    let host = try await HostFixture([
      "types": """
      {"once": \(type){"attempts": 1}}, "thrice": \(type){"attempts": 3, "backoff": "1ms", "maxBackoff": "1ms"}}}
      """
    ])
    for (name, attempts) in [("once", 1), ("thrice", 3)] {
      let id = try await host.submit(name, "1")
      try await eventually("the callback is given up") {
        try await host.store.record(id)?.handler.phase == .failed
      }
      let record = try #require(try await host.store.record(id))
      #expect(record.status == .completed)
      #expect(record.handler.attempts == attempts)
      #expect(record.handler.lastError == "of no use")
      #expect(host.count("useless \(id)") == attempts)
      let given = host.lines(containing: "was given up").filter { $0.contains("\(id)") }
      #expect(given.count == 1 && given[0].contains("workbench/useless"), "\(given)")
    }
  }

  private func error(_ record: TaskRecord) throws -> JSONNode { try JSONNode.parse(try #require(record.error)) }
}
