// SPDX-License-Identifier: Apache-2.0
import Dispatch

/// A condition that did not come true in time.
public struct NotInTime: Error, CustomStringConvertible {
  public let description: String
}

/// Asks again and again until `condition` holds; throws after `limit`, which is generous because a busy machine is slow.
public func eventually(
  within limit: Duration = .seconds(20), _ what: String, _ condition: () throws -> Bool
) throws {
  let clock = ContinuousClock()
  let end = clock.now + limit
  while try !condition() {
    guard clock.now < end else { throw NotInTime(description: "not within \(limit): \(what)") }
    _ = DispatchSemaphore(value: 0).wait(timeout: .now() + .milliseconds(5))
  }
}

/// The same for a condition that must be awaited; it holds no thread of Swift's pool, which has only one per core.
public func eventually(
  within limit: Duration = .seconds(20), _ what: String, _ condition: () async throws -> Bool
) async throws {
  let clock = ContinuousClock()
  let end = clock.now + limit
  while try await !condition() {
    guard clock.now < end else { throw NotInTime(description: "not within \(limit): \(what)") }
    await withCheckedContinuation { continuation in
      DispatchQueue.global().asyncAfter(deadline: .now() + .milliseconds(5)) { continuation.resume() }
    }
  }
}
