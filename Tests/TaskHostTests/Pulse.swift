// SPDX-License-Identifier: Apache-2.0
import Foundation
import HTTPClient
import Synchronization
import Threading

/// Asks a host whether it is ready, again and again, and remembers what else than 200 came within ten seconds.
///
/// How fast it answers says more about the machine: one that is busy with plugins that loop may stand still for seconds.
final class Pulse: Sendable {
  private struct State {
    var others: [String] = []
    var isOver = false
  }

  private let state = Lock(State())

  init(of url: String) {
    Thread { [self] in
      guard let client = try? HTTPClient(url) else { return }
      while !state.withLock({ $0.isOver }) {
        let reply = try? client.send("GET", "/readyz", timeout: .seconds(10))
        state.withLock { state in
          guard !state.isOver else { return }
          if reply?.status != 200 { state.others.append(reply.map { "\($0.status) \($0.text)" } ?? "no answer") }
        }
        usleep(50_000)
      }
    }.start()
  }

  /// It asks until then.
  func stop() { state.withLock { $0.isOver = true } }
  var others: [String] { state.withLock { $0.others } }
}
