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

  /// Starts a program in a process group of its own.
  ///
  /// `descriptors` become 0, 1, 2 and so on (-1: nothing); the kernel sends `deathSignal` when the calling thread ends.
  static func start(
    _ path: String, _ words: [String], environment: [String: String], directory: String?, descriptors: [Int32],
    deathSignal: Int32
  ) throws(HostError) -> ChildProcess {
    var argv: [UnsafeMutablePointer<CChar>?] = words.map { strdup($0) } + [nil]
    var envp: [UnsafeMutablePointer<CChar>?] = environment.map { strdup("\($0.key)=\($0.value)") } + [nil]
    defer { for pointer in argv + envp { free(pointer) } }
    let pid = roost_spawn(path, &argv, &envp, directory, descriptors, Int32(descriptors.count), deathSignal, 1)
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
