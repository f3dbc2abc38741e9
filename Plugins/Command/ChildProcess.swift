// SPDX-License-Identifier: Apache-2.0
import CCommand
// @preconcurrency: `environ` is a plain C variable; see the line that reads it.
@preconcurrency import Glibc
import RoostPlugin

/// A running program: a direct child of this process and the leader of its own process group.
final class ChildProcess {
  let pid: pid_t
  /// Our ends of the pipes to and from the program; they never block.
  let input: Pipe
  let output: Pipe
  let errors: Pipe

  /// How a process ended.
  enum Status: Equatable {
    case exited(Int32)
    case killed(Int32)
    /// Somebody else in this process waited for it.
    case lost
  }

  /// Starts the program with this process' environment and some names more.
  init(_ program: Program, environment: [String: String]) throws {
    let (childInput, input) = try Pipe.make(ours: .write)
    let (childOutput, output) = try Pipe.make(ours: .read)
    let (childErrors, errors) = try Pipe.make(ours: .read)
    (self.input, self.output, self.errors) = (input, output, errors)

    let arguments = CStrings(program.arguments)
    let variables = CStrings(Self.environment(with: environment))
    var pid: pid_t = 0
    let error = withExtendedLifetime((childInput, childOutput, childErrors)) {
      roost_command_spawn(
        &pid, program.path, arguments.pointers, variables.pointers,
        [childInput.descriptor, childOutput.descriptor, childErrors.descriptor])
    }
    guard error == 0 else { throw TaskFailure("cannot start \(program.path): \(text(of: error))") }
    self.pid = pid
  }

  private static func environment(with extra: [String: String]) -> [String] {
    var lines = extra.map { "\($0)=\($1)" }
    // Read without a lock as every exec does: neither host nor plugins change the environment once tasks run.
    var place = environ
    while let line = place.pointee {
      let text = String(cString: line)
      let name = text.prefix { $0 != "=" }
      if extra[String(name)] == nil { lines.append(text) }
      place += 1
    }
    return lines
  }

  /// Whether the program has ended; it stays a zombie, so that neither its id nor its group's can be given to another.
  func hasEnded() -> Bool {
    var info = siginfo_t()
    let answer = waitid(P_PID, id_t(pid), &info, WEXITED | WNOHANG | WNOWAIT)
    // Without children of that id there is nothing left to wait for.
    return answer == 0 ? info.si_signo != 0 : errno != EINTR
  }

  /// Sends a signal to the program and everything that it started in its group.
  func signalGroup(_ signal: Int32) { kill(-pid, signal) }

  /// Waits for the program's end and lets its id go; to be called once.
  func reap() -> Status {
    var status: Int32 = 0
    while waitpid(pid, &status, 0) < 0 {
      guard errno == EINTR else { return .lost }
    }
    let signal = status & 0x7f
    return signal == 0 ? .exited((status >> 8) & 0xff) : .killed(signal)
  }
}

/// NUL-terminated strings with a null pointer at the end, as exec wants them; freed with this object.
private final class CStrings {
  let pointers: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>
  private let count: Int

  init(_ strings: [String]) {
    count = strings.count
    pointers = .allocate(capacity: count + 1)
    for (index, string) in strings.enumerated() { (pointers + index).initialize(to: strdup(string)) }
    (pointers + count).initialize(to: nil)
  }

  deinit {
    for index in 0..<count { free(pointers[index]) }
    pointers.deallocate()
  }
}
