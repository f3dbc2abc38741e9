// SPDX-License-Identifier: Apache-2.0
import Foundation
import HTTPClient
import Synchronization
import Threading

/// Asks a host whether it is ready, again and again, and remembers how long it took and what else than 200 came.
final class Pulse: Sendable {
  private struct State {
    var slowest = Duration.zero
    var others: [String] = []
    var isOver = false
  }

  private let state = Lock(State())

  init(of url: String) {
    Thread { [self] in
      guard let client = try? HTTPClient(url) else { return }
      while !state.withLock({ $0.isOver }) {
        let start = ContinuousClock.now
        let reply = try? client.send("GET", "/readyz", timeout: .seconds(10))
        let time = ContinuousClock.now - start
        state.withLock { state in
          guard !state.isOver else { return }
          state.slowest = max(state.slowest, time)
          if reply?.status != 200 { state.others.append(reply.map { "\($0.status) \($0.text)" } ?? "no answer") }
        }
        usleep(50_000)
      }
    }.start()
  }

  /// It asks until then.
  func stop() { state.withLock { $0.isOver = true } }
  var slowest: Duration { state.withLock { $0.slowest } }
  var others: [String] { state.withLock { $0.others } }
}
