// SPDX-License-Identifier: Apache-2.0
package import Config
internal import Glibc

/// What the machine lets this process do to its workers.
package struct Machine: Sendable {
  /// Nil: this process is root.
  var uid: uid_t?
  /// Nil when the name cannot be looked up just now.
  var hasUser: @Sendable (String) -> Bool?
  /// Why the processors of a worker cannot be limited; nil: they can.
  var cpuObstacle: String?

  package static let own = Machine(
    uid: geteuid() == 0 ? nil : geteuid(), hasUser: userExists,
    cpuObstacle: cpuObstacle(membership: text(ofFile: "/proc/self/cgroup"), mount: "/sys/fs/cgroup"))

  /// What a config asks for that cannot be had here.
  package func issues(of config: Config) -> [ConfigIssue] {
    config.workers.sorted { $0.key < $1.key }.flatMap { name, worker -> [ConfigIssue] in
      var issues = (worker.user.map { userIssues($0, config.redis) } ?? [])
        .map { ConfigIssue(path: "workers.\(name).user", message: $0) }
      if worker.cpu != nil, let cpuObstacle {
        issues.append(
          ConfigIssue(path: "workers.\(name).cpu", message: "cannot be limited here: \(cpuObstacle); leave it out"))
      }
      return issues
    }
  }

  private func userIssues(_ user: String, _ redis: RedisConfig) -> [String] {
    var issues: [String] = []
    if let uid { issues.append("needs a host that runs as root; this one runs as uid \(uid)") }
    switch hasUser(user) {
    case true: break
    case false: issues.append("there is no user of that name; make it with useradd, or correct the name")
    default: issues.append("users cannot be looked up; see /etc/nsswitch.conf")
    }
    if case .embedded = redis.source {
      issues.append(
        "the socket of the embedded Redis is for the host's user alone; use a Redis that the worker can reach, with redis.url"
      )
    }
    return issues
  }

  private static func userExists(_ name: String) -> Bool? {
    var entry = passwd()
    var found: UnsafeMutablePointer<passwd>?
    var room = [CChar](repeating: 0, count: 1 << 16)
    switch getpwnam_r(name, &entry, &room, room.count, &found) {
    // These are what getpwnam(3) lists for names that are not there.
    case 0, ENOENT, ESRCH, EBADF, EPERM: return found != nil
    default: return nil
    }
  }

  /// Looks for a control group of version 2 that this process may divide its processors in.
  static func cpuObstacle(membership: String, mount: String) -> String? {
    guard let line = membership.split(separator: "\n").first(where: { $0.hasPrefix("0::") }) else {
      return "the kernel has no control groups of version 2 (cgroup v2)"
    }
    let group = line.dropFirst(3) == "/" ? "" : String(line.dropFirst(3))
    let controllers = "\(mount)\(group)/cgroup.controllers"
    guard access(controllers, R_OK) == 0 else {
      return "there are no control groups of version 2 (cgroup v2) at \(mount)\(group)"
    }
    guard text(ofFile: controllers).split(whereSeparator: \.isWhitespace).contains("cpu") else {
      return
        "the cpu controller is not delegated to the host's control group \(mount)\(group) (under systemd: Delegate=cpu)"
    }
    guard access("\(mount)\(group)", W_OK) == 0 else {
      return "the host may not write to its control group \(mount)\(group) (under systemd: Delegate=cpu)"
    }
    return nil
  }
}
