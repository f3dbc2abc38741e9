// SPDX-License-Identifier: Apache-2.0
import CRoost
import Foundation
import PluginLoader
import Synchronization
import Threading
import TestSupport
import Testing

@Suite("Cancelling attempts")
struct CancelTests {
  private let plugin: Behaviour

  init() throws { plugin = try Behaviour() }

  @Test("cancel() reaches a running attempt once, after its request to stop")
  func whileRunning() throws {
    let call = FakeCall()
    let outcomes = Outcomes()
    let attempt = try plugin.executor("blocking").prepare(call)
    let thread = Thread { attempt.run(outcomes.add) }
    thread.start()
    try plugin.waitEntered()
    attempt.cancel()
    #expect(try plugin.count(.cancels) == 0, "nobody has asked to stop")
    call.requestStop(2)
    attempt.cancel()
    attempt.cancel()
    try eventually("the attempt has ended") { outcomes.all == [.cancelled] }
    attempt.cancel()
    #expect(try plugin.count(.cancels) == 1)
    #expect(try (0...2).map { try plugin.seen($0) } == [2, 2, 4])
    #expect(plugin.lines.all == [])
  }

  @Test("An executor that is done in spite of a request to stop is done")
  func doneAnyway() throws {
    #expect(try plugin.run("echo", FakeCall("[7]", stop: 1)).text == "[7]")
  }

  @Test("cancel() before run() leaves the plugin alone, and so does one after it")
  func beforeAndAfter() throws {
    let outcomes = Outcomes()
    let attempt = try plugin.executor("keep").prepare(FakeCall(stop: 1))
    attempt.cancel()
    attempt.run(outcomes.add)
    attempt.cancel()
    #expect(outcomes.all == [.completed(nil)])
    #expect(try plugin.count(.cancels) == 0)
  }

  @Test("An executor without a cancel function is left to ask")
  func noFunction() throws {
    #expect(try !plugin.executor("echo").hasCancel)
    let attempt = try plugin.executor("echo").prepare(FakeCall(stop: 1))
    attempt.cancel()
    attempt.run { _ in }
    attempt.cancel()
  }

  @Test("cancel() may call finish() of a pending attempt, which ends when cancel() has returned")
  func finishInside() throws {
    let call = FakeCall("12345")
    let outcomes = Outcomes()
    let plugin = plugin
    let attempt = try plugin.executor("pending").prepare(call)
    attempt.run { outcome in
      if (try? plugin.count(.cancelDone)) == 1 { outcomes.add(outcome) }
    }
    call.requestStop(1)
    attempt.cancel()
    #expect(outcomes.all == [.cancelled])
    #expect(try plugin.count(.cancels) == 1)
    #expect(try plugin.seen(3) == 5, "the text stays while cancel() is under way")
    attempt.cancel()
    #expect(try plugin.count(.cancels) == 1)
    #expect(plugin.lines.all == [])
  }

  @Test("cancel() of a pending attempt that has finished does nothing")
  func afterFinish() throws {
    let call = FakeCall()
    let outcomes = Outcomes()
    let attempt = try plugin.executor("pending").prepare(call)
    attempt.run(outcomes.add)
    try plugin.finish(ROOST_OK)
    call.requestStop(1)
    attempt.cancel()
    #expect(try plugin.count(.cancels) == 0)
  }

  @Test("An outcome is not processed while cancel() is under way, and the text stays")
  func lingering() throws {
    let call = FakeCall("123")
    let outcomes = Outcomes()
    let cancelWasDone = Atomic<Bool>(false)
    let plugin = plugin
    let attempt = try plugin.executor("lingering").prepare(call)
    try withRunningThread {
      attempt.run { outcome in
        cancelWasDone.store((try? plugin.count(.cancelDone)) == 1, ordering: .releasing)
        outcomes.add(outcome)
      }
    } body: {
      try plugin.waitEntered()
      call.requestStop(1)
      attempt.cancel()
    }
    #expect(outcomes.all == [.cancelled])
    let wasDone = cancelWasDone.load(ordering: .acquiring)
    #expect(wasDone)
    #expect(try plugin.seen(3) == 3)
  }

  @Test("Cancelling at every moment of thousands of attempts ends each exactly once")
  func racing() throws {
    let plugin = plugin
    let ended = Atomic<Int>(0)
    let current = Lock<RunningAttempt?>(nil)
    let isOver = Atomic<Bool>(false)
    let executor = try plugin.executor("keep")
    try withRunningThread {
      while !isOver.load(ordering: .acquiring) { current.withLock { $0 }?.cancel() }
    } body: {
      for _ in 0..<3000 {
        let attempt = executor.prepare(FakeCall(stop: 1))
        current.withLock { $0 = attempt }
        let before = ended.load(ordering: .relaxed)
        attempt.run { _ in ended.add(1, ordering: .relaxed) }
        let after = ended.load(ordering: .relaxed)
        #expect(after == before + 1)
      }
      isOver.store(true, ordering: .releasing)
    }
    #expect(plugin.lines.all == [])
    #expect(plugin.instance.stop(deadlineMillis: 0))
  }

  /// Runs `work` on a thread of its own beside `body` and waits for both.
  private func withRunningThread(_ work: @escaping @Sendable () -> Void, body: () throws -> Void) throws {
    let isDone = DispatchSemaphore(value: 0)
    let thread = Thread {
      work()
      isDone.signal()
    }
    thread.start()
    try body()
    isDone.wait()
  }
}
