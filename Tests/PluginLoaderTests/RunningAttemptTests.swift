// SPDX-License-Identifier: Apache-2.0
import CRoost
import Foundation
import Logging
import PluginLoader
import Synchronization
import TaskModel
import TestSupport
import Testing

@Suite("Attempts")
struct RunningAttemptTests {
  private let plugin: Behaviour

  init() throws { plugin = try Behaviour() }

  @Test("The plugin learns everything about its task, and the text stays where it is")
  func facts() throws {
    let outcome = try plugin.run("facts", FakeCall("{\"a\" : 1}"))
    #expect(
      outcome.text == """
        ["0192000000007abc8000000000000100","article.generate","00-trace","",{"a" : 1},2,3,1,1700000000123,\
        1700000060000,"facts",1,1]
        """)
  }

  @Test("task_info() fills what the caller's struct has room for")
  func infoSizes() throws {
    #expect(try plugin.run("info-sizes") == .completed(nil))
    #expect(try (0...8).map { try plugin.seen($0) } == [0, -0x5555_5556, 0, 0, 0, 0xaa, 120, 2, 1])
    #expect(try (9...11).map { try plugin.seen($0) } == [0, 0, 1])
    #expect(plugin.lines.count("task_info() was called with size") == 3)
    #expect(plugin.lines.count("task_info() was called with info = NULL") == 1)
  }

  @Test(
    "Every status has its outcome, and what is unknown or not allowed is a failure",
    arguments: [(1, 0), (2, 0), (3, 0), (5, 0), (6, 0), (77, 0), (-1, 0), (2, 1), (0, 2)])
  func statuses(_ status: Int32, _ stop: Int32) throws {
    let outcome = try plugin.run("status", FakeCall("\(status)", stop: stop))
    switch status {
    case ROOST_OK: #expect(outcome == .completed(nil))
    case ROOST_DETACHED: #expect(outcome == .detached)
    case ROOST_CANCELLED where stop != 0: #expect(outcome == .cancelled)
    case ROOST_REJECTED:
      #expect(outcome.error?.kind == .rejected)
      #expect(outcome.error?.retryable == false)
      #expect(outcome.isRejected)
    default:
      #expect(outcome.error?.kind == .exception)
      #expect(outcome.error?.retryable == true)
      #expect(outcome.error?.message.hasPrefix("executor \"demo/status\" ") == true)
      #expect(!outcome.isRejected)
    }
    let isUnknown = ![0, 1, 2, 3, 5].contains(status)
    #expect(plugin.lines.count("ended with status \(status), which is not allowed") == (isUnknown ? 1 : 0))
  }

  @Test("The last set_error() counts, its text is repaired, and a detail that is not JSON is a string")
  func errors() throws {
    let error = try #require(try plugin.run("error", FakeCall("0")).error)
    #expect(
      error
        == TaskError(
          kind: .exception, message: "caf\u{fffd} \u{fffd}", code: -12, retryable: false, retryAfterMillis: 1500))
    #expect(try plugin.run("error", FakeCall("1")).error?.detail == Array("\"{\\\"a\\\": 01}\"".utf8))
    #expect(try plugin.run("error", FakeCall("2")).error?.detail == Array(" {\"a\": 1 }".utf8))
    #expect(plugin.lines.count("set_error() was called with size 48") == 3)
    #expect(plugin.lines.count("set_error() was called with NULL") == 3)
  }

  @Test("A retry delay is positive and bounded, or the type's backoff")
  func delays() throws {
    #expect(try plugin.run("delay", FakeCall("-1")).error?.retryAfterMillis == nil)
    let longest = try #require(try plugin.run("delay", FakeCall("1")).error?.retryAfterMillis)
    #expect(longest > 0 && longest < Int64.max / 1000)
  }

  @Test("A result that is not JSON fails the attempt, even after one that was")
  func badResult() throws {
    let error = try #require(try plugin.run("result-bad").error)
    #expect(error == TaskError(kind: .exception, message: "the result is not JSON: unexpected \"}\" at offset 5"))
    #expect(try plugin.seen(0) == ROOST_OK)
    #expect(try plugin.seen(1) == ROOST_FAILED)
  }

  @Test("A result that is too large fails the attempt unless a later one is accepted")
  func largeResult() throws {
    let error = try plugin.run("result-recovers", FakeCall("0", maxResult: 299)).error
    #expect(error?.message == "the result has 300 bytes, more than maxResult 299")
    #expect(try plugin.seen(0) == ROOST_FAILED)
    #expect(try plugin.run("result-recovers", FakeCall("1", maxResult: 299)).text == "111")
    #expect(try plugin.seen(1) == ROOST_OK)
    #expect(try plugin.run("result-recovers", FakeCall("0", maxResult: 300)).text?.count == 300)
  }

  @Test("No bytes are no JSON, wherever they do not stand")
  func emptyResult() throws {
    #expect(try plugin.run("result-empty").error?.message == "the result is not JSON: the text is empty at offset 0")
    #expect(try (0...2).map { try plugin.seen($0) } == [ROOST_FAILED, ROOST_FAILED, ROOST_FAILED])
    #expect(plugin.lines.count("5 bytes at NULL") == 1)
  }

  @Test("Progress is clamped to 0...1 and its note repaired")
  func progress() throws {
    let call = FakeCall()
    _ = try plugin.run("progress", call)
    #expect(call.progressCalls.map(\.fraction) == [0, 0, 1, 0.25, 1])
    #expect(call.progressCalls.map(\.note) == ["", "", "a\u{fffd}b", "quarter", ""])
  }

  @Test("Lines go to the task or to the plugin's log, an unknown level is info")
  func log() throws {
    let call = FakeCall()
    _ = try plugin.run("logs", call)
    #expect(call.lines.map(\.level) == [.debug, .info, .warning, .error, .info])
    #expect(call.lines.map(\.message) == Array(repeating: "of the task", count: 4) + ["\u{fffd}"])
    #expect(plugin.lines.all.map(\.level) == [.error, .info])
    #expect(plugin.lines.all.map(\.message) == ["of no task", ""])
  }

  @Test("The record is lent when there is one")
  func record() throws {
    #expect(try plugin.run("record", FakeCall(record: "{\"id\":1}")).text == "{\"id\":1}")
    #expect(try (0...3).map { try plugin.seen($0) } == [ROOST_OK, 8, 0, 1])
    #expect(try plugin.run("record") == .completed(nil))
    #expect(try (0...2).map { try plugin.seen($0) } == [ROOST_FAILED, 0, 1])
  }

  @Test("A pending attempt ends with finish(), and then its handle is dead")
  func pending() throws {
    let outcomes = Outcomes()
    try plugin.executor("pending").prepare(FakeCall()).run(outcomes.add)
    #expect(outcomes.all.isEmpty)
    #expect(try plugin.setResult("[1]") == ROOST_OK)
    try plugin.finish(ROOST_OK)
    #expect(outcomes.all == [.completed(Array("[1]".utf8))])
    try plugin.finish(ROOST_FAILED)
    #expect(try plugin.setResult("[2]") == ROOST_FAILED)
    #expect(outcomes.all.count == 1)
    #expect(plugin.lines.count("finish() was called with a dead task handle") == 1)
    #expect(plugin.lines.count("set_result() was called with a dead task handle") == 1)
  }

  @Test(
    "finish() takes the statuses of run() but ROOST_PENDING",
    arguments: [ROOST_FAILED, ROOST_CANCELLED, ROOST_REJECTED, ROOST_PENDING, ROOST_DETACHED, 99])
  func finishStatuses(_ status: Int32) throws {
    let outcomes = Outcomes()
    try plugin.executor("pending").prepare(FakeCall()).run(outcomes.add)
    try plugin.finish(status)
    let outcome = try #require(outcomes.all.first)
    switch status {
    case ROOST_DETACHED: #expect(outcome == .detached)
    case ROOST_REJECTED: #expect(outcome.error?.kind == .rejected)
    default: #expect(outcome.error?.kind == .exception)
    }
  }

  @Test("finish() before run() has returned waits for it, and what comes after it counts no more")
  func earlyFinish() throws {
    #expect(try plugin.run("early", FakeCall("4")).text == "1")
    #expect(try plugin.seen(0) == ROOST_FAILED)
    #expect(try plugin.seen(1) == 1)
    #expect(plugin.lines.count("finish() was called for task") == 1)
    #expect(plugin.lines.count("set_result() was called for task") == 1)
  }

  @Test("finish() is misuse when run() returns anything but ROOST_PENDING, and the return counts")
  func finishWithoutPending() throws {
    #expect(try plugin.run("early", FakeCall("3")).error?.kind == .rejected)
    #expect(plugin.lines.count("whose run() returned 3, not ROOST_PENDING") == 1)
  }

  @Test("finish() of another thread may come before, while or after run() returns")
  func threadedFinish() throws {
    let outcomes = Outcomes()
    let executor = try plugin.executor("threaded")
    for number in 0..<500 { executor.prepare(FakeCall("\(number)")).run(outcomes.add) }
    try eventually("all have finished") { outcomes.all.count == 500 }
    #expect(Set(outcomes.all.compactMap(\.text)) == Set((0..<500).map(String.init)))
    #expect(plugin.lines.all == [])
  }

  @Test("A dead handle does nothing, is logged, and is never used again")
  func deadHandles() throws {
    var handles: Set<UInt64> = []
    for _ in 0..<1000 {
      #expect(try plugin.run("keep") == .completed(nil))
      handles.insert(try plugin.held())
    }
    #expect(handles.count == 1000)
    for handle in handles.prefix(10) { #expect(try plugin.useDead(handle) == 15) }
    for function in ["task_info", "log", "progress", "set_error", "finish", "stop_requested", "set_result", "record"] {
      #expect(plugin.lines.count("\(function)() was called with a dead task handle") == 10)
    }
    // Neither NULL, nor an address, nor a slot that was never used.
    for value in [0, 0x7fff_1234_5678, UInt64.max] { #expect(try plugin.useDead(value) == 15) }
  }

  @Test("A flood of misuse does not flood the log")
  func misuseFlood() throws {
    _ = try plugin.run("keep")
    let handle = try plugin.held()
    for _ in 0..<500 { #expect(try plugin.useDead(handle) == 15) }
    #expect(plugin.lines.all.count == 1000 + 3)
    #expect(plugin.lines.all.last?.message.contains("4000 such mistakes so far") == true)
  }
}
