// SPDX-License-Identifier: Apache-2.0
internal import CSystemShims
internal import Glibc
package import TaskModel

/// The worker's side of its flight board.
///
/// A slot belongs to whoever fills it until it is ended; nothing here takes a lock or allocates.
// @unchecked: immutable; what the pointer leads to is written atomically in C.
package final class FlightRecorder: @unchecked Sendable {
  /// Names one flight of a process; what the thread that runs it carries.
  package struct Token: Sendable {
    fileprivate let value: UInt64
  }

  private let slots: UInt32
  private let memory: OpaquePointer

  /// Opens the board that the descriptor stands for, which may be closed then; nil if it is none with so many slots.
  package init?(descriptor: Int32, slots: Int) {
    guard let count = UInt32(exactly: slots), let memory = roost_board_map(descriptor, count, 1) else { return nil }
    self.slots = count
    self.memory = memory
  }

  deinit {
    roost_board_unmap(memory, slots)
  }

  /// `millis` is the moment on CLOCK_BOOTTIME.
  package func begin(
    _ slot: Int, _ kind: Flight.Kind, _ task: TaskID, take: UInt32, type: Int, at millis: Int64
  ) -> Token {
    precondition(slot >= 0 && slot < slots, "the board has \(slots) slots")
    var flight = roost_flight(
      task_high: task.high, task_low: task.low, started_at: millis, take: take,
      type: UInt32(truncatingIfNeeded: type), kind: UInt32(kind.rawValue))
    return Token(value: roost_flight_begin(memory, UInt32(slot), &flight))
  }

  package func end(_ slot: Int) {
    precondition(slot >= 0 && slot < slots, "the board has \(slots) slots")
    roost_flight_end(memory, UInt32(slot))
  }

  /// What the calling thread does in `body` is that flight's: a crash in it is marked so.
  package static func flying(_ token: Token, _ body: () -> Void) {
    roost_thread_flies(token.value)
    body()
    roost_thread_flies(0)
  }

  /// Lets crashes of the calling thread be marked also when it has overrun its stack; for the whole life of a thread.
  package static func withAlternateStack(_ body: () -> Void) {
    let stack = roost_alternate_stack_begin()
    body()
    roost_alternate_stack_end(stack)
  }

  /// Marks crashes of this process from now on; once, when every plugin has installed the handlers it wants.
  package func marksCrashes() {
    // For as long as the process lives: a crash may come at any time.
    _ = Unmanaged.passRetained(self)
    roost_crash_marks_begin(memory)
  }

  /// Puts the marks back in front of handlers that were installed since; returns the signals that were taken over.
  ///
  /// For one thread.
  package static func renewMarks() -> [Int32] {
    let replaced = roost_crash_marks_renew()
    return replaced == 0 ? [] : (0..<64).filter { replaced & 1 << UInt64($0) != 0 }
  }
}
