// SPDX-License-Identifier: Apache-2.0
internal import CSystemShims
internal import Glibc

/// A process that this one started; it ends with the thread that started it, at the latest.
struct ChildProcess: Sendable {
  let pid: pid_t
  /// Readable when the process has ended.
  let pidfd: Int32

  /// How a process ended.
  enum End: Sendable, Equatable, CustomStringConvertible {
    case exited(Int32)
    case signalled(Int32)

    var description: String {
      switch self {
      case .exited(let status): "exit status \(status)"
      case .signalled(let signal): "signal \(signal) (\(strsignal(signal).map { String(cString: $0) } ?? "unknown"))"
      }
    }
  }

  /// How a program is started, beside its words.
  struct Setting {
    var environment: [String: String]
    var directory: String?
    /// They become 0, 1, 2 and so on (-1: nothing).
    var descriptors: [Int32]
    /// What the kernel sends when the calling thread ends.
    var deathSignal = SIGKILL
    var user: UserAccount?
    /// An open `cgroup.procs`.
    var cgroup: Int32 = -1
  }

  /// Starts a program in a process group of its own.
  static func start(_ path: String, _ words: [String], _ setting: Setting) throws(HostError) -> ChildProcess {
    let argv: [UnsafeMutablePointer<CChar>?] = words.map { strdup($0) } + [nil]
    let envp: [UnsafeMutablePointer<CChar>?] = setting.environment.map { strdup("\($0.key)=\($0.value)") } + [nil]
    let texts = [strdup(path), setting.directory.map { strdup($0) } ?? nil]
    defer { for pointer in argv + envp + texts { free(pointer) } }
    let pid = argv.withUnsafeBufferPointer { argv in
      envp.withUnsafeBufferPointer { envp in
        setting.descriptors.withUnsafeBufferPointer { fds in
          (setting.user?.groups ?? []).withUnsafeBufferPointer { groups in
            var start = roost_start(
              path: texts[0], argv: argv.baseAddress, envp: envp.baseAddress, directory: texts[1],
              fds: fds.baseAddress, fd_count: Int32(fds.count), death_signal: setting.deathSignal, group: 1,
              cgroup: setting.cgroup, changes_user: setting.user == nil ? 0 : 1, user: setting.user?.id ?? 0,
              primary_group: setting.user?.group ?? 0, groups: groups.baseAddress, group_count: Int32(groups.count))
            return roost_spawn(&start)
          }
        }
      }
    }
    guard pid > 0 else { throw .system("cannot start \(path): \(String(cString: strerror(-pid)))") }
    let pidfd = roost_pidfd_open(pid)
    guard pidfd >= 0 else {
      kill(pid, SIGKILL)
      waitpid(pid, nil, 0)
      throw .system("cannot watch process \(pid): \(String(cString: strerror(-pidfd))); Linux 5.3 or later is needed")
    }
    return ChildProcess(pid: pid, pidfd: pidfd)
  }

  /// Waits for the end and lets the process go.
  func reap() -> End {
    var status: Int32 = 0
    while waitpid(pid, &status, 0) < 0, errno == EINTR {}
    close(pidfd)
    let signal = status & 0x7f
    return signal == 0 ? .exited(status >> 8 & 0xff) : .signalled(signal)
  }

  /// Waits at most so long for the end; nil if it still runs.
  func reap(within millis: Int32) -> End? {
    var poll = pollfd(fd: pidfd, events: Int16(POLLIN), revents: 0)
    return Glibc.poll(&poll, 1, millis) > 0 ? reap() : nil
  }

  /// This process's environment.
  static var ownEnvironment: [String: String] {
    var result: [String: String] = [:]
    var next = environ
    while let entry = next.pointee {
      let text = String(cString: entry)
      if let equals = text.firstIndex(of: "=") {
        result[String(text[..<equals])] = String(text[text.index(after: equals)...])
      }
      next += 1
    }
    return result
  }
}
