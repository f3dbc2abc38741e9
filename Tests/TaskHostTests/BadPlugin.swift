// SPDX-License-Identifier: Apache-2.0
import TaskModel

/// A plugin that does one thing no plugin should, and what must come of it.
struct BadPlugin: Sendable {
  /// How its task ends.
  enum Ending: Sendable {
    /// FAILED(`crash`) after `maxCrashes`, by the signal if there was one; the last words of the worker stand in the error.
    case crash(String?)
    case failed([ErrorKind])
    case completed(String)
    case cancelled
    /// COMPLETED, while its callback is given up.
    case handlerGivenUp
  }

  /// When its neighbours are let go.
  enum Opening: Sendable {
    /// When its task has ended: they lose nothing by its misbehaviour.
    case atTheEnd
    /// When its worker has died for the first time: all that ran is suspected then, and runs alone.
    case afterDeath
  }

  var name: String
  /// A file in `BadPlugins`; without it `NAME.c`.
  var file: String?
  var params = "null"
  /// Further members of the config of its type and of its worker.
  var type = ""
  var worker = "{}"
  var neighbours = 7
  var opening = Opening.atTheEnd
  var isCancelled = false
  var ending: Ending
  /// Whether what it said last is told with the error.
  var hasLastWords = true

  var source: String { file ?? name + ".c" }
}

extension BadPlugin {
  private static let short = #", "timeout": "1s", "grace": "300ms""#

  #if arch(x86_64)
    private static let trap = "SIGILL"
  #else
    private static let trap = "SIGTRAP"
  #endif

  /// Those that crash so that the thread is known.
  static let crashers = [
    BadPlugin(name: "segfault", ending: .crash("SIGSEGV")),
    BadPlugin(name: "abort", ending: .crash("SIGABRT")),
    BadPlugin(name: "trap", ending: .crash(trap)),
    BadPlugin(name: "throw", file: "throw.cpp", ending: .crash("SIGABRT")),
    BadPlugin(name: "overflow", ending: .crash("SIGSEGV")),
    BadPlugin(name: "exit", ending: .crash(nil)),
    BadPlugin(name: "grandchild", ending: .crash("SIGSEGV")),
  ]

  /// A plugin of the SDK; the sanitizers' runtimes do not load with it.
  static let swift = [BadPlugin(name: "fatal-error", file: "fatal-error.swift", ending: .crash(trap))]

  /// Those after which nobody knows who it was.
  static let vanishers = [
    BadPlugin(name: "vanish", opening: .afterDeath, ending: .crash(nil)),
    BadPlugin(name: "sigkill", opening: .afterDeath, ending: .crash("SIGKILL")),
    BadPlugin(
      name: "crash-reporter", file: "own-handlers.c", params: #""crash""#, opening: .afterDeath,
      ending: .crash("SIGSEGV")),
    // Its host ends its worker each time, which makes no suspects.
    BadPlugin(name: "sigstop", opening: .afterDeath, ending: .failed([.crash]), hasLastWords: false),
    BadPlugin(
      name: "leak", worker: #"{"memory": "128MiB"}"#, opening: .afterDeath, ending: .failed([.memory]),
      hasLastWords: false),
    BadPlugin(
      name: "lonely-leak", file: "leak.c", worker: #"{"memory": "128MiB"}"#, neighbours: 0, ending: .failed([.memory]),
      hasLastWords: false),
  ]

  /// Those whose worker has to go although it would not die.
  static let overstayers = [
    BadPlugin(name: "loop", type: short, ending: .failed([.timeout])),
    BadPlugin(name: "deaf", file: "loop.c", type: #", "grace": "300ms""#, isCancelled: true, ending: .cancelled),
    BadPlugin(name: "never-finishes", type: short, ending: .failed([.timeout])),
    BadPlugin(name: "fork-bomb", type: short, ending: .failed([.timeout])),
    // Its thread is gone, which is nothing that it may do: the task must end all the same.
    BadPlugin(name: "thread-exit", type: short, ending: .failed([.timeout, .crash])),
    BadPlugin(
      name: "handler-crash",
      type: #"""
        , "callback": "handler-crash/handle", "handlerRetry": {"attempts": 2, "backoff": "50ms", "maxBackoff": "50ms"}
        """#,
      ending: .handlerGivenUp),
  ]

  /// Those that hurt nobody if they are treated right.
  static let nuisances = [
    BadPlugin(name: "finish-twice", ending: .completed(#""once""#)),
    BadPlugin(name: "finish-late", ending: .completed(#""returned""#)),
    BadPlugin(name: "huge-result", ending: .failed([.exception])),
    BadPlugin(name: "bad-utf8", ending: .failed([.exception])),
    BadPlugin(name: "log-flood", ending: .completed(#""told""#)),
    BadPlugin(name: "own-handlers", ending: .completed(#""behaved""#)),
    BadPlugin(name: "noisy", ending: .completed(#""quiet""#)),
  ]
}
