// SPDX-License-Identifier: Apache-2.0
package import TaskModel

/// A task or handler call that a worker has under way, as its host can read it whatever becomes of the worker.
package struct Flight: Sendable, Equatable {
  package enum Kind: UInt8, Sendable {
    case attempt = 1
    case handler = 2
  }

  package var kind: Kind
  package var task: TaskID
  /// The take that the worker holds it by.
  package var take: UInt32
  /// The type's place in the worker's assignment.
  package var type: Int
  /// Milliseconds of CLOCK_BOOTTIME.
  package var startedAt: Int64

  package init(kind: Kind, task: TaskID, take: UInt32, type: Int, startedAt: Int64) {
    self.kind = kind
    self.task = task
    self.take = take
    self.type = type
    self.startedAt = startedAt
  }
}
