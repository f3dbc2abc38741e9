// SPDX-License-Identifier: Apache-2.0
import Glibc

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
    usleep(5_000)
  }
}
