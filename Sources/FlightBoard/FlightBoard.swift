// SPDX-License-Identifier: Apache-2.0

/// Shared memory of a host and one of its workers: a slot for each task and handler call that may be under way at once.
package final class FlightBoard: Sendable {
  /// What the crash mark says.
  package struct Crash: Sendable, Equatable {
    /// The flight whose thread crashed; nil: a thread of the process that runs none.
    package var flight: Flight?
    /// The signal's number; 0: the thread called exit().
    package var signal: Int32
  }

  /// The descriptor that a worker finds its board at.
  package static let workerDescriptor: Int32 = 4

  /// To be inherited by the worker; closed with the board.
  package let descriptor: Int32

  /// Makes a board with so many slots; nil when the system gives no memory.
  package init?(slots: Int) {
    descriptor = -1
    return nil
  }

  /// What is under way; may be read at any time, also after the worker's death.
  package var flights: [Flight] { [] }

  /// The first crash that was marked.
  package var crash: Crash? { nil }
}
