// SPDX-License-Identifier: Apache-2.0
internal import TaskModel

/// Whether the processes of one worker are started: not while they die again and again.
///
/// Times are milliseconds of CLOCK_BOOTTIME. It decides, the supervisor acts.
struct Breaker: Sendable {
  /// Deaths within `window` after which it opens.
  static let limit = 5
  static let window: Int64 = 60_000
  /// How long it stays open at first; each time that its probe fails twice as long, up to the most.
  static let firstPause: Int64 = 30_000
  static let longestPause: Int64 = 300_000
  /// A probe that has served so long closes it.
  static let probation: Int64 = 10_000

  enum State: Sendable, Equatable {
    case closed
    case open(until: Int64)
    /// One process shows whether all may start; `since` it serves, nil: not yet.
    case halfOpen(since: Int64?)
  }

  private(set) var state = State.closed
  private var deaths: [(at: Int64, culprit: TaskID?)] = []
  private var pause = Self.firstPause

  /// A process died that nobody ended in good order; returns whether that opens the breaker.
  ///
  /// Deaths whose culprit is known count only if as many different tasks caused them: one bad task is dealt with by its
  /// `maxCrashes`.
  mutating func died(culprit: TaskID?, at now: Int64) -> Bool {
    switch state {
    case .open: return false
    case .halfOpen where culprit == nil:
      pause = min(Self.longestPause, pause * 2)
      open(now)
      return true
    case .halfOpen, .closed:
      // Another one has to show it.
      if case .halfOpen = state { state = .halfOpen(since: nil) }
      deaths = deaths.filter { now - $0.at < Self.window } + [(now, culprit)]
      let unnamed = deaths.count { $0.culprit == nil }
      let culprits = Set(deaths.compactMap(\.culprit)).count
      guard max(unnamed, culprits >= Self.limit ? culprits + unnamed : 0) >= Self.limit else { return false }
      if case .halfOpen = state { pause = min(Self.longestPause, pause * 2) }
      open(now)
      return true
    }
  }

  /// A process of the worker serves.
  mutating func serves(at now: Int64) {
    if state == .halfOpen(since: nil) { state = .halfOpen(since: now) }
  }

  /// Time has passed; returns whether the state is another one now.
  mutating func tick(at now: Int64) -> Bool {
    switch state {
    case .open(let until) where now >= until: state = .halfOpen(since: nil)
    case .halfOpen(let since?) where now - since >= Self.probation:
      state = .closed
      pause = Self.firstPause
    default: return false
    }
    return true
  }

  /// How many of the worker's processes may run, of so many that config wants.
  func allowed(of processes: Int) -> Int {
    switch state {
    case .closed: processes
    case .open: 0
    case .halfOpen: 1
    }
  }

  private mutating func open(_ now: Int64) {
    deaths = []
    state = .open(until: now + pause)
  }
}
