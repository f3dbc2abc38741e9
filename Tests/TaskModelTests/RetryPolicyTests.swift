// SPDX-License-Identifier: Apache-2.0
import Foundation
import TaskModel
import TestSupport
import Testing

@Suite("Retry policies")
struct RetryPolicyTests {
  /// The longest wait is drawn by a generator whose every bit is set, the shortest by one that gives 1.
  private struct Constant: RandomNumberGenerator {
    let value: UInt64
    mutating func next() -> UInt64 { value }
  }

  @Test(
    "The longest wait doubles with each attempt up to maxBackoff, without overflow",
    arguments: [
      (1, 1000), (2, 2000), (3, 4000), (8, 128_000), (9, 256_000), (10, 300_000), (11, 300_000), (54, 300_000),
      (55, 300_000), (63, 300_000), (64, 300_000), (65, 300_000), (1000, 300_000), (.max, 300_000), (0, 1000),
    ] as [(Int, Int64)])
  func longest(_ attempt: Int, _ millis: Int64) {
    var ones = Constant(value: .max)
    #expect(RetryPolicy.task.delayMillis(after: attempt, using: &ones) == millis)
    var one = Constant(value: 1)
    #expect(RetryPolicy.task.delayMillis(after: attempt, using: &one) == 0)
  }

  @Test("A policy whose times are the longest that there are does not overflow, one of zeros does not wait")
  func extremes() {
    var ones = Constant(value: .max)
    let long = RetryPolicy(attempts: 3, backoff: .milliseconds(Int64.max), maxBackoff: .milliseconds(Int64.max))
    #expect(long.delayMillis(after: 1, using: &ones) == .max)
    #expect(long.delayMillis(after: 2, using: &ones) == .max)
    let none = RetryPolicy(attempts: 3, backoff: .zero, maxBackoff: .zero)
    #expect(none.delayMillis(after: 1) == 0 && none.delayMillis(after: 40) == 0)
  }

  @Test("Waits are spread evenly over the whole time", arguments: [1, 4, 12])
  func spread(_ attempt: Int) {
    var generator = SeededGenerator(seed: 42)
    let longest: Int64 = min(300_000, 1000 << (attempt - 1))
    var tenths = [Int](repeating: 0, count: 10)
    for _ in 0..<10_000 {
      let delay = RetryPolicy.task.delayMillis(after: attempt, using: &generator)
      guard (0...longest).contains(delay) else {
        Issue.record("\(delay) ms after attempt \(attempt)")
        return
      }
      tenths[min(9, Int(delay * 10 / longest))] += 1
    }
    #expect(tenths.allSatisfy { (850...1150).contains($0) }, "\(tenths)")
  }

  @Test("Equal seeds draw equal waits, different ones do not")
  func seeds() {
    func draws(_ seed: UInt64) -> [Int64] {
      var generator = SeededGenerator(seed: seed)
      return (1...8).map { RetryPolicy.handler.delayMillis(after: $0, using: &generator) }
    }
    #expect(draws(7) == draws(7))
    #expect(draws(7) != draws(8))
  }

  @Test("A policy survives being sent as JSON")
  func coding() throws {
    let policy = RetryPolicy(attempts: 3, backoff: .milliseconds(1500), maxBackoff: .seconds(3600))
    #expect(try JSONDecoder().decode(RetryPolicy.self, from: JSONEncoder().encode(policy)) == policy)
  }
}
