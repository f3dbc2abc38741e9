// SPDX-License-Identifier: Apache-2.0

/// Why a host cannot start; the text says what to do.
package enum HostError: Error, Sendable, Equatable, CustomStringConvertible {
  case redisNotInstalled(looked: [String])
  case directoryUnusable(String, reason: String)
  case directoryInUse(String, pid: String)
  case stoppedWaiting(String, pid: String)
  case redisDoesNotStart(String)
  case redisUnusable(String)
  case pluginsRefused([String])
  case system(String)

  package var description: String {
    switch self {
    case .redisNotInstalled(let looked) where looked.count == 1:
      "redis.embedded.server: \(looked[0]) is not installed; correct it, or leave it out to use the redis-server on the PATH"
    case .redisNotInstalled(let looked):
      "neither \(looked.joined(separator: " nor ")) is installed; run `apt-get install redis-server`, name the program in "
        + "redis.embedded.server, or use a Redis that runs already with redis.url"
    case .directoryUnusable(let path, let reason): "redis.embedded.directory \(path) cannot be used: \(reason)"
    case .directoryInUse(let path, let pid):
      "redis.embedded.directory \(path) is in use by the host with pid \(pid); stop it, or give this one another directory"
    case .stoppedWaiting(let path, let pid): "stopped while it waited for the host with pid \(pid) to leave \(path)"
    case .redisDoesNotStart(let reason): "the embedded Redis does not start: \(reason)"
    case .redisUnusable(let reason): reason
    case .pluginsRefused(let issues): issues.joined(separator: "\n")
    case .system(let reason): reason
    }
  }
}
