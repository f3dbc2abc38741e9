// SPDX-License-Identifier: Apache-2.0
internal import CRoost
public import FoundationEssentials

/// What an executor or a handler knows of its task, and how it speaks to the host; usable on any thread until the task has ended.
public struct TaskContext: Sendable {
  /// 32 hex digits, the same at every attempt: the key for doing an effect once.
  public let id: String
  /// The type under which the task was submitted.
  public let type: String
  /// Which run of the executor this is; 1 for the first.
  public let attempt: Int
  /// How many runs the type allows.
  public let maxAttempts: Int
  /// How many workers this task has taken down so far.
  public let crashes: Int
  /// When the host will ask this attempt to stop; nil: never.
  public let deadline: Date?
  /// When the task was submitted.
  public let createdAt: Date
  /// The W3C `traceparent` that came with the task.
  public let trace: String?
  /// The tenant for whom the task was submitted.
  public let tenant: String?

  let handle: TaskHandle

  init(_ handle: TaskHandle, _ info: roost_task_info) {
    self.handle = handle
    id = info.id.text
    type = info.type.text
    attempt = Int(info.attempt)
    maxAttempts = Int(info.max_attempts)
    crashes = Int(info.crashes)
    deadline = Date(millis: info.deadline)
    createdAt = Date(millis: info.created_at) ?? Date(timeIntervalSince1970: 0)
    trace = info.trace.length == 0 ? nil : info.trace.text
    tenant = info.tenant.length == 0 ? nil : info.tenant.text
  }

  /// A copy of the params, byte for byte as submitted; empty once the task has ended.
  public var params: [UInt8] { Array(handle.info().params.buffer) }

  /// Why the task should stop now, or nil; cheap, so ask often.
  public var stopReason: StopReason? { StopReason(handle.stopRequested()) }

  /// Whether the task should stop now, for whatever reason; cheap, so ask often.
  public var isCancelled: Bool { handle.stopRequested() != 0 }

  /// Throws `CancellationError` if the task should stop now.
  public func checkCancellation() throws {
    if isCancelled { throw CancellationError() }
  }

  /// Says how far the task is, from 0 to 1, and what it does; call it as often as you like.
  public func progress(_ fraction: Double, _ note: String = "") {
    handle.progress(fraction, note)
  }

  /// Writes a line to the task's log and to the host's.
  public func log(_ message: String, level: LogLevel = .info) {
    handle.log(level.rawValue, message)
  }

  /// Offers a result to the host and says whether it takes it: it is JSON and no larger than the type's `maxResult`.
  ///
  /// What the executor returns in the end still counts instead.
  public func accepts(_ result: RawJSON) -> Bool { handle.setResult(result.bytes) }

  /// The task's record as the HTTP API answers it, without its log; nil if the host cannot say.
  public func record() -> RawJSON? { handle.record() }
}

/// Why the host asks a task to stop.
public enum StopReason: Sendable {
  /// Somebody cancelled the task.
  case cancelled
  /// The task's time is over.
  case deadlinePassed
  /// The worker has to go; a task that stops now is given back and runs elsewhere.
  case workerLeaving

  init?(_ code: Int32) {
    switch code {
    case 0: return nil
    case 2: self = .deadlinePassed
    case 3: self = .workerLeaving
    default: self = .cancelled
    }
  }
}

/// How much a line of the log matters.
public enum LogLevel: UInt32, Sendable {
  case debug = 0
  case info = 1
  case warning = 2
  case error = 3
}

extension Date {
  /// Milliseconds since 1970 as the ABI counts; nil for 0, which means "none" there.
  init?(millis: Int64) {
    guard millis != 0 else { return nil }
    self.init(timeIntervalSince1970: Double(millis) / 1000)
  }
}
