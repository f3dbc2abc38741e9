// SPDX-License-Identifier: Apache-2.0
import CRoost
import Foundation
import Synchronization
import Threading
import TaskModel
import TestSupport

/// One attempt of an executor or one call of a handler, as the host sees it.
final class TestTask: Sendable {
  struct Failure: Equatable {
    var message = ""
    var code: Int32 = 0
    var retryable = true
    var retryAfterMillis: Int64 = 0
    var detail = ""
  }

  struct Progress: Equatable {
    let fraction: Double
    let note: String
  }

  private struct State {
    var isAlive = true
    var stop: Int32 = 0
    var progress: [Progress] = []
    var lines: [HostTable.Line] = []
    var result: [UInt8]?
    var accepted = true
    var failure = Failure()
    /// What run() returned and what finish() said.
    var returned: roost_status?
    var finished: roost_status?
  }

  static let id = "0192f0c1a2b37c4d8e5f60718293a400"
  private static let tokens = Atomic<UInt>(0x1000)
  private static let all = Lock<[UInt: TestTask]>([:])

  let host: HostTable
  private let number: UInt
  private let data: UInt
  private let texts: (id: LentBytes, type: LentBytes, params: LentBytes, trace: LentBytes, record: LentBytes)
  private let state = Lock(State())
  let maxResult: Int

  init(
    host: HostTable, data: UnsafeMutableRawPointer?, params: [UInt8], maxResult: Int = 4 << 20,
    record: String = #"{"id":"\#(id)"}"#
  ) {
    self.host = host
    self.data = UInt(bitPattern: data)
    self.maxResult = maxResult
    texts = (
      LentBytes(Self.id), LentBytes("test.type"), LentBytes(params),
      LentBytes("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"), LentBytes(record)
    )
    number = Self.tokens.wrappingAdd(16, ordering: .relaxed).newValue
    Self.all.withLock { $0[number] = self }
  }

  /// Never nil: numbers begin far above 0.
  var token: OpaquePointer? { OpaquePointer(bitPattern: number) }

  /// The task of a token that still holds; a dead one is misuse.
  static func alive(_ token: OpaquePointer?, _ function: String) -> TestTask? {
    guard let task = all.withLock({ $0[UInt(bitPattern: token)] }) else { return nil }
    if task.state.withLock({ $0.isAlive }) { return task }
    task.host.noteMisuse("\(function) with a dead handle")
    return nil
  }

  // MARK: What the plugin calls

  var stop: Int32 { state.withLock { $0.stop } }
  var record: roost_bytes { texts.record.lent }

  func info() -> roost_task_info {
    var info = roost_task_info()
    info.attempt = 2
    info.max_attempts = 3
    info.crashes = 1
    info.data = UnsafeMutableRawPointer(bitPattern: data)
    (info.id, info.type, info.params, info.trace) = (
      texts.id.lent, texts.type.lent, texts.params.lent, texts.trace.lent
    )
    info.created_at = 1_700_000_000_000
    info.deadline = 1_700_000_060_500
    return info
  }

  func note(_ line: HostTable.Line) { state.withLock { $0.lines.append(line) } }
  func note(progress: Double, _ note: String) {
    state.withLock { $0.progress.append(Progress(fraction: progress, note: note)) }
  }

  func take(result: [UInt8]) -> Bool {
    let isAccepted = result.count <= maxResult && (try? JSONScanner.validate(result)) != nil
    state.withLock {
      $0.accepted = isAccepted
      if isAccepted { $0.result = result }
    }
    return isAccepted
  }

  func take(error: roost_error) {
    let failure = Failure(
      message: copied(error.message), code: error.code, retryable: error.flags & ROOST_NOT_RETRYABLE == 0,
      retryAfterMillis: error.retry_after, detail: copied(error.detail))
    state.withLock { $0.failure = failure }
  }

  func finish(_ status: roost_status) {
    state.withLock {
      if $0.finished != nil { host.noteMisuse("finish() twice") }
      $0.finished = status
      if $0.returned == ROOST_PENDING { $0.isAlive = false }
    }
  }

  // MARK: What the test asks

  /// How run() ended, as the host counts it.
  struct Outcome {
    let status: roost_status
    let result: String?
    let failure: Failure
    let progress: [Progress]
    let lines: [HostTable.Line]
  }

  func returned(_ status: roost_status) {
    state.withLock {
      $0.returned = status
      if status != ROOST_PENDING || $0.finished != nil { $0.isAlive = false }
      if status != ROOST_PENDING, $0.finished != nil { host.noteMisuse("finish() of a task that was not pending") }
    }
  }

  func requestStop(_ reason: Int32) { state.withLock { $0.stop = reason } }

  var isPending: Bool { state.withLock { $0.returned == ROOST_PENDING } }
  var wasFinished: Bool { state.withLock { $0.finished != nil } }
  var isOver: Bool { state.withLock { $0.returned != nil && !$0.isAlive } }
  var progress: [Progress] { state.withLock { $0.progress } }
  var lines: [HostTable.Line] { state.withLock { $0.lines } }

  /// Waits for the end.
  func outcome() throws -> Outcome {
    try eventually(within: .seconds(60), "the task ends") { isOver }
    return state.withLock { state in
      var status = state.finished ?? state.returned ?? ROOST_FAILED
      if status == ROOST_OK, !state.accepted { status = ROOST_FAILED }
      return Outcome(
        status: status, result: state.result.map { String(decoding: $0, as: UTF8.self) }, failure: state.failure,
        progress: state.progress, lines: state.lines)
    }
  }
}
