// SPDX-License-Identifier: Apache-2.0
import Glibc
import RoostPlugin

/// A program with its arguments, found once when the plugin is set up.
struct Program: Sendable {
  /// Where the program is; relative to the working directory if the settings say so.
  let path: String
  let arguments: [String]

  init(_ command: [String]) throws(TaskRejection) {
    guard let name = command.first, !name.isEmpty else {
      throw TaskRejection("settings.command: the program is missing; say [\"program\", \"argument\"…]")
    }
    guard !command.contains(where: { $0.utf8.contains(0) }) else {
      throw TaskRejection("settings.command: an argument contains a NUL character")
    }
    path = try Self.find(name)
    arguments = command
  }

  /// A name without slash is looked for on the PATH.
  private static func find(_ name: String) throws(TaskRejection) -> String {
    if name.utf8.contains(UInt8(ascii: "/")) {
      if let why = unsuitable(name) { throw TaskRejection("settings.command: \(name): \(why)") }
      return name
    }
    let search = getenv("PATH").map { String(cString: $0) } ?? "/usr/local/bin:/usr/bin:/bin"
    for directory in search.split(separator: ":") {
      let path = "\(directory)/\(name)"
      if unsuitable(path) == nil { return path }
    }
    throw TaskRejection("settings.command: no program \"\(name)\" on the PATH (\(search)); give its path")
  }

  /// Why this cannot be run, or nil.
  private static func unsuitable(_ path: String) -> String? {
    var status = stat()
    guard stat(path, &status) == 0 else { return text(of: errno) }
    guard status.st_mode & S_IFMT == S_IFREG else { return "not a file" }
    return access(path, X_OK) == 0 ? nil : "not executable"
  }
}

/// What an errno value says.
func text(of error: Int32) -> String { String(cString: strerror(error)) }

/// As in `SIGSEGV`; the number where it has no common name.
func name(ofSignal signal: Int32) -> String {
  let names: [Int32: String] = [
    SIGHUP: "SIGHUP", SIGINT: "SIGINT", SIGQUIT: "SIGQUIT", SIGILL: "SIGILL", SIGTRAP: "SIGTRAP", SIGABRT: "SIGABRT",
    SIGBUS: "SIGBUS", SIGFPE: "SIGFPE", SIGKILL: "SIGKILL", SIGUSR1: "SIGUSR1", SIGSEGV: "SIGSEGV", SIGUSR2: "SIGUSR2",
    SIGPIPE: "SIGPIPE", SIGALRM: "SIGALRM", SIGTERM: "SIGTERM", SIGXCPU: "SIGXCPU", SIGXFSZ: "SIGXFSZ",
    SIGSYS: "SIGSYS",
  ]
  return names[signal] ?? "signal \(signal)"
}
