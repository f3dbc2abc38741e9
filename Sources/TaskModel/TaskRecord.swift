// SPDX-License-Identifier: Apache-2.0

/// All that is known of a task.
package struct TaskRecord: Sendable {
  /// What became of the call of the callback or exception handler.
  package struct HandlerCall: Sendable, Equatable {
    package var phase: HandlerPhase
    package var attempts: Int
    package var lastError: String?

    package init(phase: HandlerPhase, attempts: Int, lastError: String?) {
      self.phase = phase
      self.attempts = attempts
      self.lastError = lastError
    }
  }

  /// Which worker ran the task last, with which build of which plugin.
  package struct Origin: Sendable, Equatable {
    package var worker: String
    package var plugin: String
    package var version: String
    /// `sha256:` and the hash of the file.
    package var build: String

    package init(worker: String, plugin: String, version: String, build: String) {
      self.worker = worker
      self.plugin = plugin
      self.version = version
      self.build = build
    }
  }

  package var id: TaskID
  package var type: String
  package var status: TaskStatus
  package var priority = TaskPriority.normal
  package var attempts = 0
  package var maxAttempts = 1
  package var crashes = 0
  package var params: [UInt8] = []
  /// JSON, when COMPLETED.
  package var result: [UInt8]?
  /// JSON of the (last) error.
  package var error: [UInt8]?
  package var progress: (fraction: Double, note: String)?
  package var handler = HandlerCall(phase: .none, attempts: 0, lastError: nil)
  package var createdAt: Timestamp
  package var dueAt: Timestamp?
  package var startedAt: Timestamp?
  package var finishedAt: Timestamp?
  package var deadline: Timestamp?
  package var cancelRequestedAt: Timestamp?
  package var origin: Origin?
  package var isDetached = false
  package var trace: String?
  /// Unique within the type.
  package var key: String?
  /// The last lines, each a JSON object.
  package var log: [[UInt8]] = []

  package init(id: TaskID, type: String, status: TaskStatus, createdAt: Timestamp) {
    self.id = id
    self.type = type
    self.status = status
    self.createdAt = createdAt
  }
}
