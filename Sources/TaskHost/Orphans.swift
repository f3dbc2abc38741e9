// SPDX-License-Identifier: Apache-2.0
internal import CSystemShims
internal import Glibc
internal import Logging
internal import Synchronization
internal import Threading

/// What the processes of workers leave behind, which this process has adopted as their subreaper.
enum Orphans {
  /// Stands in the environment of a worker and so of all it starts: which worker of this host that is.
  static let mark = "ROOST_WORKER"
  /// Stands there too: the host, by its pid and the time of its start (proc(5), in clock ticks since boot).
  static let hostMark = "ROOST_HOST"
  static let ownHost = "\(getpid())-\(startTime(of: getpid()) ?? "")"
  /// Stands in the environment of a program that may leave processes behind which outlive its attempt.
  static let spared = "ROOST_DETACHES"

  /// Milliseconds that killed processes have to be gone.
  static let patience: Int64 = 1000

  /// Ends everything that a dead worker left behind; a task may only be given back when all that ran it is gone.
  ///
  /// A program that leaves the group and takes the marks out of its environment cannot be told from others, and is left alone.
  ///
  /// `group` is the process group that it led.
  static func kill(of worker: String, group: pid_t) {
    let end = roost_boottime_millis() + patience
    while true {
      let orphans = children().filter { getpgid($0) == group || belongs($0, to: worker) }
      if orphans.isEmpty { return }
      if orphans.contains(where: { getpgid($0) == group }) { _ = Glibc.kill(-group, SIGKILL) }
      for pid in orphans { _ = Glibc.kill(getpgid(pid) == pid ? -pid : pid, SIGKILL) }
      // Their children in turn become ours once they are gone, so this goes on until nothing is left.
      for pid in orphans { waitpid(pid, nil, WNOHANG) }
      guard roost_boottime_millis() < end else {
        Log.error("processes \(orphans) of worker \(worker) do not end")
        return
      }
      usleep(1000)
    }
  }

  /// Ends what hosts that were killed left behind: nobody else can, and their tasks are about to run again.
  static func killLeftOvers() {
    var killed = 0
    for pid in processes() where pid != getpid() {
      let environment = bytes(ofFile: "/proc/\(pid)/environ").split(separator: 0)
      guard let mark = environment.first(where: { $0.starts(with: "\(hostMark)=".utf8) }),
        !environment.contains(where: { $0.starts(with: "\(spared)=".utf8) })
      else { continue }
      let host = String(decoding: mark.dropFirst(hostMark.utf8.count + 1), as: UTF8.self).split(separator: "-")
      guard host.count == 2, let owner = pid_t(host[0]), startTime(of: owner).map({ $0 != host[1] }) ?? true else {
        continue
      }
      if Glibc.kill(pid, SIGKILL) == 0 { killed += 1 }
    }
    if killed > 0 { Log.warning("\(killed) processes that a killed host had left behind were ended") }
  }

  /// Children that other threads started and wait for.
  private static let spares = Lock<Set<pid_t>>([])

  /// Starts a process whose end the caller waits for on a thread of its own, and says so with `unspare`.
  static func sparing(
    _ start: () throws(HostError) -> ChildProcess
  ) throws(HostError) -> ChildProcess {
    // Under the lock, because it may have ended before it is known here.
    try spares.withLock { spares throws(HostError) in
      let process = try start()
      spares.insert(process.pid)
      return process
    }
  }

  static func unspare(_ pid: pid_t) { spares.withLock { _ = $0.remove(pid) } }

  /// Lets adopted processes go that have ended.
  ///
  /// `known` are children whose end somebody else waits for.
  static func collect(except known: Set<pid_t>) {
    spares.withLock { spares in
      while true {
        let pid = roost_ended_child()
        // Behind a known one there may be more: their turn comes when somebody has waited for it.
        guard pid > 0, !known.contains(pid), !spares.contains(pid) else { return }
        waitpid(pid, nil, WNOHANG)
      }
    }
  }

  private static func belongs(_ pid: pid_t, to worker: String) -> Bool {
    let environment = bytes(ofFile: "/proc/\(pid)/environ").split(separator: 0)
    guard environment.contains(where: { $0.elementsEqual("\(mark)=\(worker)".utf8) }) else { return false }
    guard environment.contains(where: { $0.starts(with: "\(spared)=".utf8) }) else { return true }
    // Such a program leads its group, and goes as long as it has not ended itself: only then its task is detached. What it
    // left behind leads none, or a session of its own.
    return getpgid(pid) == pid && getsid(pid) != pid
  }

  private static func children() -> [pid_t] {
    let own = getpid()
    return processes().filter { parent(of: $0) == own }
  }

  private static func processes() -> [pid_t] {
    guard let proc = opendir("/proc") else { return [] }
    defer { closedir(proc) }
    var processes: [pid_t] = []
    while let entry = readdir(proc) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      if let pid = pid_t(name) { processes.append(pid) }
    }
    return processes
  }

  static func parent(of pid: pid_t) -> pid_t? { field(1, of: pid).flatMap { pid_t($0) } }

  private static func startTime(of pid: pid_t) -> Substring? { field(19, of: pid) }

  /// A field of /proc/PID/stat, counted from the state, which is 0.
  private static func field(_ number: Int, of pid: pid_t) -> Substring? {
    // The name in parentheses may hold anything, so the fields are counted from its end.
    let text = text(ofFile: "/proc/\(pid)/stat")
    guard let end = text.lastIndex(of: ")") else { return nil }
    let fields = text[text.index(after: end)...].split(separator: " ")
    return fields.count > number ? fields[number] : nil
  }
}
