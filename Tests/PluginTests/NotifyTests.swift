// SPDX-License-Identifier: Apache-2.0
import CRoost
import Testing

@Suite("Notify")
struct NotifyTests {
  @Test("A completed task is one line")
  func completed() throws {
    let plugin = try LoadedPlugin("Notify")
    let callback = try #require(plugin.exports.callbacks["log"])
    var outcome = roost_outcome()
    outcome.status = ROOST_OK
    let called = try plugin.handle(callback, outcome)
    #expect(called.status == ROOST_OK)
    #expect(called.lines == [.init(level: ROOST_LOG_INFO, message: "task \(TestTask.id) of test.type completed")])
  }

  @Test("A failed task is one line, whatever its message contains")
  func failed() throws {
    let plugin = try LoadedPlugin("Notify")
    let handler = try #require(plugin.exports.exceptionHandlers["log"])
    let message = LentBytes("first\nsecond " + String(repeating: "x", count: 5000))
    var outcome = roost_outcome()
    (outcome.status, outcome.kind, outcome.code, outcome.message) = (ROOST_FAILED, ROOST_KIND_TIMEOUT, 12, message.lent)
    let called = try plugin.handle(handler, outcome)
    let line = try #require(called.lines.first)
    #expect(called.lines.count == 1 && line.level == ROOST_LOG_ERROR)
    #expect(line.message.hasPrefix("task \(TestTask.id) of test.type failed: timeout 12: first second xxx"))
    #expect(line.message.utf8.count < 2048)
  }

  @Test("Two instances of one file speak to their own hosts")
  func twoInstances() throws {
    let plugins = try [LoadedPlugin("Notify"), LoadedPlugin("Notify")]
    for plugin in plugins {
      let callback = try #require(plugin.exports.callbacks["log"])
      #expect(try plugin.handle(callback, roost_outcome()).lines.count == 1)
      #expect(copied(plugin.descriptor.name) == "notify")
    }
  }
}
