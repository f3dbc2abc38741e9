// SPDX-License-Identifier: Apache-2.0
package import TaskModel

/// What can go wrong between Roost and Redis.
package enum RedisError: Error, Sendable, CustomStringConvertible {
  /// No connection could be made; trying again later may help.
  case unreachable(RedisAddress, reason: String)
  /// The connection broke, or an answer did not come in time. What was sent may or may not have been done.
  case disconnected(reason: String)
  /// Redis answered a command with an error.
  case refused(String)
  /// The server is there but cannot be used as configured; trying again does not help.
  case unusable(RedisAddress, reason: String)

  package var description: String {
    switch self {
    case .unreachable(let address, let reason):
      "cannot reach Redis at \(address): \(reason); is it running, and does redis.url name it?"
    case .disconnected(let reason): "the connection to Redis broke: \(reason)"
    case .refused(let reason): "Redis refused a command: \(reason)"
    case .unusable(let address, let reason): "Redis at \(address) cannot be used: \(reason)"
    }
  }
}
