// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import Logging

/// The control groups of a host's workers (cgroup v2, Documentation/admin-guide/cgroup-v2.rst of Linux), where the machine
/// delegates them to the host: there they limit processors, and the memory of all that a worker started.
///
/// For the supervisor's thread.
final class ControlGroups {
  /// The host's own group, which becomes the parent of its workers'.
  private let parent: String
  private var isDivided = false

  /// Microseconds in which a group may use its share of the processors.
  private static let period = 100_000

  /// Nil where the host may not make groups.
  init?(membership: String, mount: String) {
    guard let line = membership.split(separator: "\n").first(where: { $0.hasPrefix("0::/") }) else { return nil }
    let path = mount + (line == "0::/" ? "" : String(line.dropFirst(3)))
    guard access(path + "/cgroup.controllers", R_OK) == 0, access(path, W_OK) == 0 else { return nil }
    parent = path
  }

  /// Makes the group of a worker and opens its `cgroup.procs`, to be closed by the caller; nil when it needs none or there is
  /// no controller for what it asks.
  func open(worker id: String, memory: Int?, cpu: Double?) -> Int32? {
    guard memory != nil || cpu != nil, divide() else { return nil }
    let group = path(of: id)
    guard mkdir(group, 0o755) == 0 || errno == EEXIST else { return nil }
    var isLimited = false
    if let memory, write("\(memory)", to: group + "/memory.max") {
      // Half of a worker is of no use to anybody.
      _ = write("1", to: group + "/memory.oom.group")
      isLimited = true
    }
    if let cpu {
      let quota = max(1000, Int(cpu * Double(Self.period)))
      isLimited = write("\(quota) \(Self.period)", to: group + "/cpu.max") || isLimited
    }
    let descriptor = isLimited ? Glibc.open(group + "/cgroup.procs", O_WRONLY | O_CLOEXEC) : -1
    if descriptor < 0 { rmdir(group) }
    return descriptor < 0 ? nil : descriptor
  }

  /// Whether the kernel killed processes of the group because it had all the memory that it may have.
  func ranOutOfMemory(worker id: String) -> Bool {
    text(ofFile: path(of: id) + "/memory.events").split(separator: "\n").contains { line in
      let words = line.split(separator: " ")
      return words.count == 2 && words[0] == "oom_kill" && words[1] != "0"
    }
  }

  /// The worker and all that it started are gone.
  func remove(worker id: String) { rmdir(path(of: id)) }

  /// A group hands its controllers on only while it has no processes itself: the host moves into one below.
  private func divide() -> Bool {
    if isDivided { return true }
    let own = parent + "/roost-host"
    guard mkdir(own, 0o755) == 0 || errno == EEXIST else { return false }
    let inside = text(ofFile: parent + "/cgroup.procs").split(separator: "\n").compactMap { pid_t($0) }
    guard inside.allSatisfy({ $0 == getpid() || Orphans.parent(of: $0) == getpid() }) else {
      Log.warning("the control group \(parent) is not the host's alone: neither memory nor cpu is limited by it")
      return false
    }
    for pid in inside { _ = write("\(pid)", to: own + "/cgroup.procs") }
    let there = text(ofFile: parent + "/cgroup.controllers").split(whereSeparator: \.isWhitespace)
    let wanted = there.filter { $0 == "memory" || $0 == "cpu" }
    guard !wanted.isEmpty, write(wanted.map { "+\($0)" }.joined(separator: " "), to: parent + "/cgroup.subtree_control")
    else {
      Log.debug("\(parent) cannot be divided: \(String(cString: strerror(errno)))")
      return false
    }
    isDivided = true
    return true
  }

  private func path(of worker: String) -> String { "\(parent)/roost-worker-\(worker)" }

  private func write(_ text: String, to path: String) -> Bool {
    let file = Glibc.open(path, O_WRONLY | O_CLOEXEC)
    guard file >= 0 else { return false }
    defer { close(file) }
    return Glibc.write(file, text, text.utf8.count) == text.utf8.count
  }
}
