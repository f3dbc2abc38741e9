// SPDX-License-Identifier: Apache-2.0

/// How often something that failed is tried, and how long each failure makes it wait.
///
/// Exponential with full jitter, after Marc Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog.
package struct RetryPolicy: Sendable, Equatable, Codable {
  /// All tries together; 1: none after the first.
  package var attempts: Int
  /// The longest wait after the first failure; each further one doubles it.
  package var backoff: Duration
  /// What doubling ends at.
  package var maxBackoff: Duration

  package init(attempts: Int, backoff: Duration, maxBackoff: Duration) {
    self.attempts = attempts
    self.backoff = backoff
    self.maxBackoff = maxBackoff
  }

  /// Of tasks for which config says nothing.
  package static let task = RetryPolicy(attempts: 1, backoff: .seconds(1), maxBackoff: .seconds(300))
  /// Of handlers for which config says nothing.
  package static let handler = RetryPolicy(attempts: 10, backoff: .seconds(1), maxBackoff: .seconds(300))

  /// Milliseconds to wait after attempt number `attempt`, which counts from 1, has failed.
  package func delayMillis(after attempt: Int, using generator: inout some RandomNumberGenerator) -> Int64 {
    Int64.random(in: 0...longestDelayMillis(after: attempt), using: &generator)
  }

  /// The same with the system's generator.
  package func delayMillis(after attempt: Int) -> Int64 {
    var generator = SystemRandomNumberGenerator()
    return delayMillis(after: attempt, using: &generator)
  }

  /// The smaller of `maxBackoff` and `backoff` doubled for each attempt but the first, without overflow.
  private func longestDelayMillis(after attempt: Int) -> Int64 {
    let (first, limit) = (max(0, backoff.millis), max(0, maxBackoff.millis))
    let doublings = max(0, attempt - 1)
    return first > limit >> doublings ? limit : first << doublings
  }
}
