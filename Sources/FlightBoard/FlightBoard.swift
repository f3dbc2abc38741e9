// SPDX-License-Identifier: Apache-2.0
internal import CSystemShims
internal import Glibc
internal import TaskModel

/// Shared memory of a host and one of its workers: a slot for each task and handler call that may be under way at once.
///
/// This is the host's side, which only reads; `FlightRecorder` is the worker's.
// @unchecked: immutable; what the pointer leads to is read atomically in C.
package final class FlightBoard: @unchecked Sendable {
  /// What the crash mark says.
  package struct Crash: Sendable, Equatable {
    /// The flight whose thread crashed; nil: a thread of the process that runs none.
    package var flight: Flight?
    /// The signal's number; 0: the thread called exit().
    package var signal: Int32

    package init(flight: Flight?, signal: Int32) {
      self.flight = flight
      self.signal = signal
    }
  }

  /// The descriptor that a worker finds its board at.
  package static let workerDescriptor: Int32 = 4

  /// To be inherited by the worker; closed with the board.
  package let descriptor: Int32
  private let slots: UInt32
  private let memory: OpaquePointer

  /// Makes a board with so many slots; nil when the system gives no memory.
  package init?(slots: Int) {
    guard let count = UInt32(exactly: slots) else { return nil }
    let descriptor = roost_board_make(count)
    guard descriptor >= 0 else { return nil }
    guard let memory = roost_board_map(descriptor, count, 0) else {
      close(descriptor)
      return nil
    }
    self.descriptor = descriptor
    self.slots = count
    self.memory = memory
  }

  deinit {
    roost_board_unmap(memory, slots)
    close(descriptor)
  }

  /// What is under way; may be read at any time, also after the worker's death.
  package var flights: [Flight] {
    (0..<slots).compactMap { slot in
      var flight = roost_flight()
      return roost_flight_read(memory, slot, &flight) != 0 ? Flight(flight) : nil
    }
  }

  /// The first crash that was marked.
  package var crash: Crash? {
    var crash = roost_crash()
    guard roost_crash_read(memory, slots, &crash) != 0 else { return nil }
    return Crash(flight: crash.has_flight != 0 ? Flight(crash.flight) : nil, signal: crash.signal)
  }
}

extension Flight {
  /// Nil for what no recorder writes: the memory is a worker's, and plugin code may have spoilt it.
  fileprivate init?(_ flight: roost_flight) {
    guard let kind = UInt8(exactly: flight.kind).flatMap({ Kind(rawValue: $0) }) else { return nil }
    self.init(
      kind: kind, task: TaskID(high: flight.task_high, low: flight.task_low), take: flight.take, type: Int(flight.type),
      startedAt: flight.started_at)
  }
}
