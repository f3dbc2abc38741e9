// SPDX-License-Identifier: Apache-2.0
import TaskModel
import TaskStore
import Testing
import TestSupport

@Suite("A task's life in the store")
struct TaskLifeTests {
  @Test("A submitted task is taken, completed and read back byte for byte")
  func completes() async throws {
    let fixture = try StoreFixture()
    let params = #"{"b":1.00,"a":[1e2],"b":2}"#
    let id = try await fixture.submit(params)
    #expect(try await fixture.store.statuses([id]) == [.pending])

    let session = try fixture.session()
    let taken = try session.take(1)
    #expect(taken.map(\.id) == [id])
    #expect(Array(taken[0].record.params) == Array(params.utf8))
    let answers = try session.write([taken[0].write(.completed(result: Array(#"{"x": 1}"#.utf8)))], emptied: [1])
    #expect(answers == [.written])

    let record = try #require(try await fixture.store.record(id))
    #expect(record.status == .completed)
    #expect(record.params == Array(params.utf8))
    #expect(record.result == Array(#"{"x": 1}"#.utf8))
    #expect(record.attempts == 1)
    #expect(record.origin?.worker == "test/plugin/1")
    #expect(record.finishedAt != nil)
    #expect(try await fixture.store.states(of: ["work"])["work"]?.counts[.completed] == 1)
    #expect(try await fixture.store.states(of: ["work"])["work"]?.counts[.pending] == 0)
    #expect(try session.take(2).isEmpty)
  }

  @Test("Large params and results stand in keys of their own and go with the task")
  func largeBodies() async throws {
    let fixture = try StoreFixture()
    let params = "\"" + String(repeating: "p", count: 200_000) + "\""
    let result = Array(("\"" + String(repeating: "r", count: 300_000) + "\"").utf8)
    let id = try await fixture.submit(params)
    let session = try fixture.session()
    let taken = try session.take(1)
    #expect(taken[0].record.hasParamsKey)
    #expect(try session.bodies([session.keys.params(id)]) == [Array(params.utf8)])
    _ = try session.write([taken[0].write(.completed(result: result))], emptied: [1])
    let record = try #require(try await fixture.store.record(id))
    #expect(record.params == Array(params.utf8))
    #expect(record.result == result)
    try await fixture.store.delete(id)
    let left = try fixture.redis.keys().filter { $0.contains(id.description) }
    #expect(left.isEmpty)
  }
}
