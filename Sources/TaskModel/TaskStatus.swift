// SPDX-License-Identifier: Apache-2.0

/// What a task is doing, as everybody sees it.
package enum TaskStatus: String, Sendable, CaseIterable, Codable {
  case scheduled = "SCHEDULED"
  case pending = "PENDING"
  case inProgress = "IN_PROGRESS"
  case completed = "COMPLETED"
  case failed = "FAILED"
  case cancelled = "CANCELLED"

  package var isFinal: Bool {
    switch self {
    case .completed, .failed, .cancelled: true
    case .scheduled, .pending, .inProgress: false
    }
  }
}

/// Why a task ended that did not complete.
///
/// The raw value is `ROOST_KIND_…` of the plugin ABI and the digit in the record.
package enum ErrorKind: UInt8, Sendable, CaseIterable {
  case exception = 1
  case timeout = 2
  case crash = 3
  case memory = 4
  case rejected = 5
  case expired = 6
  case upstream = 7

  package var name: String {
    switch self {
    case .exception: "exception"
    case .timeout: "timeout"
    case .crash: "crash"
    case .memory: "memory"
    case .rejected: "rejected"
    case .expired: "expired"
    case .upstream: "upstream"
    }
  }

  package init?(name: String) {
    guard let kind = Self.allCases.first(where: { $0.name == name }) else { return nil }
    self = kind
  }
}

/// Which of the two handlers an outcome calls.
package enum HandlerPhase: UInt8, Sendable {
  case none = 0x2d  // "-"
  case pending = 0x70  // "p"
  case delivered = 0x64  // "d"
  case failed = 0x66  // "f"
}

/// Which of a type's pending tasks go first.
package enum TaskPriority: UInt8, Sendable, CaseIterable {
  case high = 0x68  // "h"
  case normal = 0x6e  // "n"
  case low = 0x6c  // "l"

  package var name: String {
    switch self {
    case .high: "high"
    case .normal: "normal"
    case .low: "low"
    }
  }

  package init?(name: String) {
    guard let priority = Self.allCases.first(where: { $0.name == name }) else { return nil }
    self = priority
  }
}
