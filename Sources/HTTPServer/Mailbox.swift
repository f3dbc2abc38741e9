// SPDX-License-Identifier: Apache-2.0
internal import CMicrohttpd
internal import Glibc
internal import Synchronization
internal import Threading

/// What other threads leave for the loop thread: requests that were answered, and the wish to stop.
final class Mailbox: Sendable {
  private struct State {
    var answered: [Exchange] = []
    var stopAt: Int64?
    /// Whether something was posted since the last `collect`.
    var hasNews = false
    /// Whether the loop may be in its wait, so that only a post that finds it there pays for a write.
    var isAsleep = false
    var isClosed = false
  }

  private let state = Lock(State())
  /// An eventfd that becomes readable with a post that found the loop asleep.
  let descriptor: Int32

  /// Nil when the process has no descriptor left.
  init?() {
    descriptor = eventfd(0, Int32(EFD_CLOEXEC | EFD_NONBLOCK))
    if descriptor < 0 { return nil }
  }

  deinit {
    Glibc.close(descriptor)
  }

  func post(_ exchange: Exchange) {
    post { $0.answered.append(exchange) }
  }

  func post(contentsOf exchanges: [Exchange]) {
    post { $0.answered.append(contentsOf: exchanges) }
  }

  /// Asks the loop to end at that time of the monotonic clock, in milliseconds; an earlier wish wins.
  func requestStop(at time: Int64) {
    post { $0.stopAt = min(time, $0.stopAt ?? .max) }
  }

  private func post(_ change: (inout State) -> Void) {
    let wakes = state.withLock { state in
      guard !state.isClosed else { return false }
      change(&state)
      state.hasNews = true
      defer { state.isAsleep = false }
      return state.isAsleep
    }
    if wakes { eventfd_write(descriptor, 1) }
  }

  /// Loop thread: false when something is already here; true when the next post will write to the descriptor.
  func prepareToSleep() -> Bool {
    state.withLock {
      $0.isAsleep = !$0.hasNews
      return $0.isAsleep
    }
  }

  /// Loop thread: moves what was answered into the empty `batch`, giving its memory in exchange; returns the stop time.
  func collect(into batch: inout [Exchange]) -> Int64? {
    state.withLock {
      $0.isAsleep = false
      $0.hasNews = false
      swap(&$0.answered, &batch)
      return $0.stopAt
    }
  }

  /// Loop thread: drops what is here and all that will still come, which holds this mailbox.
  func close() {
    var dropped: [Exchange] = []
    state.withLock {
      $0.isClosed = true
      swap(&$0.answered, &dropped)
    }
  }
}
