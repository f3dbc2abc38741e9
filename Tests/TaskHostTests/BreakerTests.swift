// SPDX-License-Identifier: Apache-2.0
@testable import TaskHost
import TaskModel
import Testing

@Suite("The breaker of a worker")
struct BreakerTests {
  private let tasks = (0..<10).compactMap { TaskID(String(repeating: "0", count: 31) + "\($0)") }

  private func expectNot(_ value: Bool, _ location: SourceLocation = #_sourceLocation) {
    #expect(!value, sourceLocation: location)
  }

  @Test("Five deaths within a minute open it, and four never do")
  func opens() {
    var breaker = Breaker()
    for at in [0, 20_000, 40_000, 59_000] { expectNot(breaker.died(culprit: nil, at: Int64(at))) }
    #expect(breaker.allowed(of: 8) == 8)
    var late = breaker
    let isOpened = breaker.died(culprit: nil, at: 59_999)
    #expect(isOpened)
    #expect(breaker.state == .open(until: 89_999))
    #expect(breaker.allowed(of: 8) == 0)
    let isOpenedLate = late.died(culprit: nil, at: 60_000)
    #expect(!isOpenedLate, "the first one was a minute ago")
  }

  @Test("One bad task does not open it however often it crashes; five different ones do")
  func culprits() {
    var breaker = Breaker()
    for at in 0..<20 { expectNot(breaker.died(culprit: tasks[0], at: Int64(at))) }
    for number in 1..<4 { expectNot(breaker.died(culprit: tasks[number], at: 100)) }
    let isOpened = breaker.died(culprit: tasks[4], at: 101)
    #expect(isOpened)
  }

  @Test(
    "After its pause one process shows whether the others may start; each failure doubles the pause, up to the limit")
  func halfOpen() {
    var breaker = Breaker()
    var now: Int64 = 0
    for _ in 0..<5 { _ = breaker.died(culprit: nil, at: now) }
    for pause in [30_000, 60_000, 120_000, 240_000, 300_000, 300_000] as [Int64] {
      #expect(breaker.state == .open(until: now + pause))
      expectNot(breaker.tick(at: now + pause - 1))
      expectNot(breaker.died(culprit: nil, at: now + 1))
      now += pause
      let isProbing = breaker.tick(at: now)
      #expect(isProbing)
      #expect(breaker.allowed(of: 8) == 1)
      let isOpened = breaker.died(culprit: nil, at: now)
      #expect(isOpened)
    }
  }

  @Test("A probe that serves for ten seconds closes it, and the next pause is the first one again")
  func closes() {
    var breaker = Breaker()
    for _ in 0..<5 { _ = breaker.died(culprit: nil, at: 0) }
    _ = breaker.tick(at: 30_000)
    expectNot(breaker.tick(at: 90_000))
    breaker.serves(at: 90_000)
    expectNot(breaker.tick(at: 99_999))
    let isClosed = breaker.tick(at: 100_000)
    #expect(isClosed)
    #expect(breaker.state == .closed)
    for _ in 0..<5 { _ = breaker.died(culprit: nil, at: 100_000) }
    #expect(breaker.state == .open(until: 130_000))
  }

  @Test("A task that crashes the probe is dealt with by its own count")
  func culpritOfProbe() {
    var breaker = Breaker()
    for _ in 0..<5 { _ = breaker.died(culprit: nil, at: 0) }
    _ = breaker.tick(at: 30_000)
    for _ in 0..<3 { expectNot(breaker.died(culprit: tasks[0], at: 30_001)) }
    #expect(breaker.allowed(of: 8) == 1)
  }
}
