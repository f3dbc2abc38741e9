// SPDX-License-Identifier: Apache-2.0
import TaskModel
@testable import TaskStore
import Testing

@Suite("Types as they stand in Redis")
struct TypeDefinitionTests {
  private let whole = TypeDefinition(
    name: "a", executor: "p/run", callback: "p/tell", exceptionHandler: "p/cry", worker: "w", threads: 3,
    retentionAge: .seconds(60), retentionCount: 5, maxParams: 6, maxResult: 7,
    retry: RetryPolicy(attempts: 4, backoff: .milliseconds(20), maxBackoff: .seconds(30)), queueCapacity: 8,
    keyTTL: .seconds(9), timeout: .milliseconds(10), maxCrashes: 11,
    handlerRetry: RetryPolicy(attempts: 12, backoff: .milliseconds(13), maxBackoff: .seconds(14)))

  @Test("What a type says is read back, durations in milliseconds")
  func roundTrip() {
    #expect(TypeDefinition(name: "a", json: whole.json) == whole)
    let text = String(decoding: whole.json, as: UTF8.self)
    #expect(text.contains(#""retry":{"attempts":4,"backoff":20,"maxBackoff":30000},"handlerRetry":{"attempts":12,"#))
    #expect(text.contains(#""keyTTL":9000,"timeout":10,"maxCrashes":11}"#))
    var least = whole
    (least.keyTTL, least.timeout, least.callback, least.exceptionHandler) = (nil, nil, nil, nil)
    #expect(TypeDefinition(name: "a", json: least.json) == least)
  }

  @Test("What an older version wrote has the defaults of what it did not know")
  func older() throws {
    let json = #"{"executor":"p/run","worker":"w","threads":3,"retry":{"attempts":2}}"#
    let type = try #require(TypeDefinition(name: "a", json: Array(json.utf8)))
    #expect(type.retry == RetryPolicy(attempts: 2, backoff: .seconds(1), maxBackoff: .seconds(300)))
    #expect(type.queueCapacity == 100_000 && type.keyTTL == nil && type.timeout == nil)
    let without = try #require(TypeDefinition(name: "a", json: Array(#"{"executor":"p/run"}"#.utf8)))
    #expect(without.retry == .task && without.maxCrashes == 2 && without.handlerRetry == .handler)
  }
}
