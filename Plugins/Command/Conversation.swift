// SPDX-License-Identifier: Apache-2.0
import Glibc
import RoostPlugin

/// The talk with a running program: feeds its input, gathers its output, follows its error lines, and stops it when asked to.
struct Conversation {
  /// More output than this ends the program.
  static let outputLimit = 64 << 20

  /// How it ended.
  enum Ending: Equatable {
    case exited(Int32)
    case killed(Int32)
    case stopped
    case tooMuchOutput
    case lost
  }

  private(set) var output: [UInt8] = []
  private let child: ChildProcess
  private let context: TaskContext
  private var unsent: ArraySlice<UInt8>
  private var errorLines: ErrorLines
  private var endInterval: Int32 = 1

  /// Milliseconds between two looks at the request to stop and at the program's end.
  private static let pollInterval: Int32 = 50
  /// How long the group may take to end by itself after SIGTERM.
  private static let patience = Duration.seconds(1)

  init(with child: ChildProcess, input: [UInt8], context: TaskContext) {
    self.child = child
    self.context = context
    unsent = input[...]
    errorLines = ErrorLines(context)
  }

  /// The last lines on standard error that were not progress.
  var lastWords: String { errorLines.lastWords }

  /// Talks until the program has ended, then ends what is left of its group; `keepingGroup` spares the group of a program
  /// that ended well, because it may have left its work to a process there.
  mutating func run(keepingGroup: Bool) -> Ending {
    var stoppedBy: Ending?
    while !child.hasEnded() {
      wait()
      exchange()
      if output.count > Self.outputLimit {
        stoppedBy = .tooMuchOutput
      } else if context.isCancelled {
        stoppedBy = .stopped
      }
      if stoppedBy != nil {
        stopGroup()
        break
      }
    }
    // What a program wrote before it ended is in the pipes; a process that it left behind may hold them open for ever.
    exchange()
    child.input.close()
    errorLines.close()
    return reap(stoppedBy, keepingGroup: keepingGroup)
  }

  private func reap(_ stoppedBy: Ending?, keepingGroup: Bool) -> Ending {
    // The group is ended before its leader is reaped: until then its number cannot be another's.
    if !keepingGroup || stoppedBy != nil { child.signalGroup(SIGKILL) }
    let status = child.reap()
    if let stoppedBy { return stoppedBy }
    if output.count > Self.outputLimit { return .tooMuchOutput }
    return switch status {
    case .exited(let code): .exited(code)
    case .killed(let signal): .killed(signal)
    case .lost: .lost
    }
  }

  /// SIGTERM to all, then time until leader and pipes are gone; who remains gets SIGKILL before the leader is reaped.
  private mutating func stopGroup() {
    let clock = ContinuousClock()
    let end = clock.now + Self.patience
    child.signalGroup(SIGTERM)
    while clock.now < end {
      if child.hasEnded(), !child.output.isOpen, !child.errors.isOpen { return }
      wait()
      exchange()
    }
  }

  /// Waits until a pipe can go on, but no longer than the poll interval.
  private mutating func wait() {
    var polled = [
      pollfd(fd: child.output.descriptor, events: Int16(POLLIN), revents: 0),
      pollfd(fd: child.errors.descriptor, events: Int16(POLLIN), revents: 0),
    ]
    if !unsent.isEmpty { polled.append(pollfd(fd: child.input.descriptor, events: Int16(POLLOUT), revents: 0)) }
    // Once both outputs are closed the end is near and nothing announces it; who goes on without them is looked at less and less.
    let ending = !child.output.isOpen && !child.errors.isOpen
    poll(&polled, nfds_t(polled.count), ending ? endInterval : Self.pollInterval)
    if ending { endInterval = min(endInterval * 2, Self.pollInterval) }
  }

  private mutating func exchange() {
    unsent = unsent.dropFirst(child.input.send(unsent))
    if unsent.isEmpty || !child.input.isOpen {
      unsent = []
      child.input.close()
    }
    child.output.drain { bytes in
      output.append(contentsOf: bytes)
      return output.count <= Self.outputLimit
    }
    child.errors.drain { bytes in
      errorLines.append(bytes)
      return true
    }
  }
}
