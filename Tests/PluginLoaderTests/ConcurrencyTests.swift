// SPDX-License-Identifier: Apache-2.0
import Foundation
import PluginLoader
import Synchronization
import TestSupport
import Testing

@Suite("Many calls at once")
struct ConcurrencyTests {
  @Test("Four threads run thousands of attempts and handlers, and each gets its own result")
  func manyThreads() throws {
    let plugin = try Behaviour()
    let wrong = Atomic<Int>(0)
    let right = Atomic<Int>(0)
    let executors = try ["echo", "threaded"].map { try plugin.executor($0) }
    let handler = try #require(plugin.instance.callback(named: "note"))
    let outcome = HandlerOutcome(completed: true, startedAtMillis: 5, finishedAtMillis: 9)
    DispatchQueue.concurrentPerform(iterations: 4) { thread in
      for number in 0..<3000 {
        // Every hundredth is finished by a thread of the plugin.
        let executor = executors[number % 100 == 0 ? 1 : 0]
        let params = "[\(thread),\(number)]"
        executor.prepare(FakeCall(params)).run { outcome in
          if outcome.text == params {
            right.add(1, ordering: .relaxed)
          } else {
            wrong.add(1, ordering: .relaxed)
          }
        }
        if number % 10 == 0, handler.call(FakeCall(), outcome: outcome) != .delivered {
          wrong.add(1, ordering: .relaxed)
        }
      }
    }
    try eventually("all have ended") { right.load(ordering: .relaxed) + wrong.load(ordering: .relaxed) == 12_000 }
    let wrongs = wrong.load(ordering: .relaxed)
    #expect(wrongs == 0)
    #expect(plugin.lines.count("dead task handle") == 0)
    #expect(plugin.instance.stop(deadlineMillis: 0))
  }
}
