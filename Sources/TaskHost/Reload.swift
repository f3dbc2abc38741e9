// SPDX-License-Identifier: Apache-2.0
package import Config
internal import Glibc
internal import Logging
internal import PluginFiles
internal import Threading

/// What a reload has come to.
package struct ReloadReport: Sendable, Equatable {
  /// The generation of workers that takes tasks now; the first one of a host is 1.
  package var generation: Int
  /// Paths of what was changed in config.json and waits for a restart, as in `http.listen`.
  package var restartNeeded: [String]

  package init(generation: Int, restartNeeded: [String]) {
    self.generation = generation
    self.restartNeeded = restartNeeded
  }
}

/// Why a reload left everything as it was.
package enum ReloadRefusal: Error, Sendable, Equatable {
  /// Another one is under way.
  case running
  /// The host is draining.
  case stopping
  /// What is wrong with the new config, its plugins or the workers that were started with them.
  case refused([ConfigIssue])
}

/// The reloads of a host, one at a time: who asks waits here, and the main loop goes through the steps.
///
/// Steps: 1. on a thread of its own, config.json is read, plugin files are checked, copied and probed in processes that are
/// thrown away; 2. on the main loop's, the supervisor starts the workers of the new generation and lets them take over.
final class ReloadQueue: Sendable {
  typealias Answer = @Sendable (Result<ReloadReport, ReloadRefusal>) -> Void

  /// What step 1 came to.
  struct Prepared: Sendable {
    let generation: Result<Generation, ReloadRefusal>
    let restartNeeded: [String]
  }

  private struct State {
    var asked: [Answer] = []
    var prepared: Prepared?
    var current: Answer?
    var restartNeeded: [String] = []
    var isClosed = false
  }

  private let state = Monitor(State())
  private let ring: @Sendable () -> Void

  init(ring: @escaping @Sendable () -> Void) {
    self.ring = ring
  }

  /// `answer` is called once, on any thread.
  func ask(_ answer: @escaping Answer) {
    let isClosed = state.withLock { state in
      if !state.isClosed { state.asked.append(answer) }
      return state.isClosed
    }
    if isClosed { answer(.failure(.stopping)) } else { ring() }
  }

  /// Begins the next reload that somebody asked for: `prepare` runs on a thread of its own.
  ///
  /// For the main loop. With `isPossible` false all are refused.
  func begin(isPossible: Bool, _ prepare: @escaping @Sendable () -> Prepared) {
    let (refused, starts) = state.withLock { state -> ([Answer], Bool) in
      var asked = state.asked
      state.asked = []
      guard isPossible, state.current == nil, !asked.isEmpty else { return (asked, false) }
      state.current = asked.removeFirst()
      return (asked, true)
    }
    for answer in refused { answer(.failure(isPossible ? .running : .stopping)) }
    guard starts else { return }
    NativeThread(name: "reload") { [self] in
      let prepared = prepare()
      state.withLock { $0.prepared = prepared }
      ring()
    }.detach()
  }

  /// The generation whose workers are to be started, once step 1 is over.
  func next() -> Generation? {
    let prepared = state.withLock { state -> Prepared? in
      defer { state.prepared = nil }
      state.restartNeeded = state.prepared?.restartNeeded ?? state.restartNeeded
      return state.prepared
    }
    switch prepared?.generation {
    case nil: return nil
    case .success(let generation): return generation
    case .failure(let refusal):
      end(.failure(refusal))
      return nil
    }
  }

  /// The host ends: whoever waits is told so, and whoever comes later.
  func close() {
    let waiting = state.withLock { state in
      state.isClosed = true
      defer { (state.asked, state.current) = ([], nil) }
      return state.asked + [state.current].compactMap { $0 }
    }
    for answer in waiting { answer(.failure(.stopping)) }
  }

  /// The reload under way is over.
  func end(_ result: Result<Int, ReloadRefusal>) {
    let (answer, restartNeeded) = state.withLock { state in
      defer { state.current = nil }
      return (state.current, state.restartNeeded)
    }
    switch result {
    case .success(let number):
      Log.info("reloaded: generation \(number) takes tasks")
      if !restartNeeded.isEmpty { Log.warning("these wait for a restart: \(restartNeeded.joined(separator: ", "))") }
      answer?(.success(ReloadReport(generation: number, restartNeeded: restartNeeded)))
    case .failure(let refusal):
      if case .refused(let issues) = refusal {
        for issue in issues {
          Log.error("reload refused: \(issue.path.isEmpty ? "" : issue.path + ": ")\(issue.message)")
        }
      }
      answer?(.failure(refusal))
    }
  }
}

extension TaskHost {
  /// Reads config.json anew and lets a new generation of workers take over; returns when it has.
  ///
  /// May be called from any thread.
  package func reload() async throws(ReloadRefusal) -> ReloadReport {
    try await withCheckedContinuation { continuation in
      reloads.ask { continuation.resume(returning: $0) }
    }.get()
  }
}

extension Config {
  /// What differs and cannot be changed while the host runs, as paths in config.json; and the config with it as it was.
  func applying(_ new: Config) -> (config: Config, restartNeeded: [String]) {
    var (config, needed) = (new, [String]())
    if new.redis != redis { needed.append("redis") }
    if new.http.listen != http.listen { needed.append("http.listen") }
    if new.http.maxBody != http.maxBody { needed.append("http.maxBody") }
    if new.http.cors != http.cors { needed.append("http.cors") }
    if new.http.hosts != http.hosts { needed.append("http.hosts") }
    if new.name != name { needed.append("name") }
    (config.redis, config.http, config.name) = (redis, http, name)
    return (config, needed)
  }
}
