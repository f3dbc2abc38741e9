// SPDX-License-Identifier: Apache-2.0
import CRoost
import Foundation
import Logging
import PluginLoader
import TaskModel
import TestSupport
import Testing

@Suite("Handler calls")
struct LoadedHandlerTests {
  private let plugin: Behaviour

  init() throws { plugin = try Behaviour() }

  private var outcomeText: String {
    get throws {
      String(cString: try plugin.function("test_outcome", as: (@convention(c) () -> UnsafePointer<CChar>).self)())
    }
  }

  private func failed(code: Int32) -> HandlerOutcome {
    HandlerOutcome(
      completed: false, kind: .timeout, code: code, message: "too slow", detail: Array("{}".utf8),
      result: Array("ignored".utf8), startedAtMillis: 0, finishedAtMillis: 9)
  }

  @Test("A callback gets the outcome of a completed task")
  func callback() throws {
    let callback = try #require(plugin.instance.callback(named: "note"))
    let call = FakeCall()
    let outcome = HandlerOutcome(
      completed: true, result: Array("[1, 2]".utf8), startedAtMillis: 5, finishedAtMillis: 9)
    #expect(callback.call(call, outcome: outcome) == .delivered)
    #expect(try outcomeText == "1 0 0 0 [] [] [[1, 2]] 5 9 data of callback")
    #expect(call.lines == [FakeCall.Line(level: .info, message: "handled")])
    let null = HandlerOutcome(completed: true, startedAtMillis: 5, finishedAtMillis: 9)
    #expect(callback.call(call, outcome: null) == .delivered)
    #expect(try outcomeText == "1 0 0 0 [] [] [null] 5 9 data of callback")
  }

  @Test("An exception handler gets kind, code, message and detail, and no result")
  func exceptionHandler() throws {
    let handler = try #require(plugin.instance.exceptionHandler(named: "note"))
    _ = handler.call(FakeCall(), outcome: failed(code: 0))
    #expect(try outcomeText == "1 1 2 0 [too slow] [{}] [] 0 9 data of handler")
    #expect(plugin.instance.exceptionHandler(named: "none") == nil)
    #expect(plugin.instance.callback(named: "echo") == nil)
  }

  @Test("Every status has its result, and what is unknown or not allowed is a failure")
  func results() throws {
    let handler = try #require(plugin.instance.exceptionHandler(named: "note"))
    func result(_ status: Int32, stop: Int32 = 0) -> HandlerResult {
      handler.call(FakeCall(stop: stop), outcome: failed(code: status))
    }
    let error = TaskError(kind: .exception, message: "handler says no")
    #expect(result(ROOST_OK) == .delivered)
    #expect(result(ROOST_OK, stop: 3) == .delivered)
    #expect(result(ROOST_FAILED) == .failed(error))
    #expect(
      result(ROOST_REJECTED) == .rejected(TaskError(kind: .rejected, message: "handler says no", retryable: false)))
    #expect(result(ROOST_CANCELLED, stop: 3) == .givenBack)
    for status in [ROOST_CANCELLED, ROOST_PENDING, ROOST_DETACHED, 42] { #expect(result(status) == .failed(error)) }
    #expect(plugin.lines.count("which is not allowed there") == 3)
  }

  @Test("set_result, progress and finish do nothing in a handler, and its handle is dead afterwards")
  func misuse() throws {
    let handler = try #require(plugin.instance.callback(named: "note"))
    let call = FakeCall()
    let outcome = HandlerOutcome(completed: true, startedAtMillis: 5, finishedAtMillis: 9)
    #expect(handler.call(call, outcome: outcome) == .delivered)
    #expect(try plugin.seen(0) == ROOST_FAILED)
    #expect(call.progressCalls == [])
    #expect(plugin.lines.count("by a handler") == 3)
    #expect(try plugin.useDead(plugin.held()) == 15)
  }
}
