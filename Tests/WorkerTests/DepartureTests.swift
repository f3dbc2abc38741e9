// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import Worker

@Suite("When and how a worker leaves")
struct DepartureTests {
  private func steps(_ departure: Departure, _ times: [Int64]) -> [Departure.Step] {
    var departure = departure
    return times.map { departure.step(at: $0, isDone: false, isWritten: true) }
  }

  @Test("A drain warns what runs before its end, once, and leaves the end to the host")
  func drain() {
    var departure = Departure()
    departure.told(at: 1000, within: 20_000)
    #expect(steps(departure, [1000, 15_999, 16_000, 16_001, 90_000]) == [.wait, .wait, .press, .wait, .wait])
    #expect(departure.step(at: 1000, isDone: true, isWritten: true) == .end)
    #expect(departure.left(at: 3000) == 18_000)
  }

  @Test("A short drain warns after half of its time")
  func shortDrain() {
    var departure = Departure()
    departure.told(at: 1000, within: 600)
    #expect(steps(departure, [1299, 1300]) == [.wait, .press])
  }

  @Test("Of two drains the shorter time holds")
  func twoDrains() {
    var departure = Departure()
    departure.told(at: 0, within: 60_000)
    departure.told(at: 100, within: 200)
    departure.told(at: 150, within: 90_000)
    #expect(departure.end == 300)
    #expect(steps(departure, [199, 200]) == [.wait, .press])
    var reversed = Departure()
    reversed.told(at: 0, within: 100)
    reversed.told(at: 10, within: .max)
    #expect(reversed.end == 100)
  }

  @Test("Code that does not stop gives its neighbours their time, and warns them after half of it")
  func forced() {
    var departure = Departure()
    departure.forced(at: 1000, neighboursNeed: 500)
    #expect(departure.isForced)
    #expect(steps(departure, [1249, 1250, 1499, 1500]) == [.wait, .press, .wait, .breakOff])
    #expect(departure.step(at: 1000, isDone: true, isWritten: true) == .breakOff)
  }

  @Test("Later ones change nothing, and nobody holds a worker up longer than a minute")
  func bounded() {
    var departure = Departure()
    departure.forced(at: 0, neighboursNeed: .max)
    departure.forced(at: 50_000, neighboursNeed: 60_000)
    #expect(departure.end == 60_000)
  }

  @Test("In a drain, code that does not stop shortens the time, and so does a drain after it")
  func both() {
    var departure = Departure()
    departure.told(at: 0, within: 60_000)
    departure.forced(at: 100, neighboursNeed: 400)
    #expect(departure.end == 500)
    departure.told(at: 200, within: 100)
    #expect(departure.end == 300)
    #expect(departure.step(at: 300, isDone: false, isWritten: true) == .breakOff)
  }

  @Test("Also when the time of a drain is over already, what ended has its last two seconds")
  func lateForced() {
    var departure = Departure()
    departure.told(at: 0, within: 100)
    departure.forced(at: 9000, neighboursNeed: 400)
    #expect(departure.left(at: 9000) == 0)
    let answers = [Int64(9000), 10_999, 11_000].map { departure.step(at: $0, isDone: false, isWritten: false) }
    #expect(answers == [.press, .wait, .breakOff])
  }

  @Test("Outcomes that Redis has not taken hold a worker up for two seconds")
  func lastWrites() {
    var departure = Departure()
    departure.forced(at: 0, neighboursNeed: 0)
    let answers = [Int64(0), 1999, 2000].map { departure.step(at: $0, isDone: false, isWritten: false) }
    #expect(answers == [.press, .wait, .breakOff])
  }
}
