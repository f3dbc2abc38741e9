// SPDX-License-Identifier: Apache-2.0
internal import CRoost
internal import TaskModel

/// What a call left with set_result() and set_error(); of each the last counts.
struct CallData: Sendable {
  enum Result: Sendable {
    case none
    case accepted([UInt8])
    case refused(String)
  }

  var result = Result.none
  var error: TaskErrorReport?

  /// The message when an error has none of its own.
  func reason(_ otherwise: () -> String) -> String {
    if case .refused(let reason) = result { return reason }
    return otherwise()
  }

  func failure(_ kind: ErrorKind = .exception, otherwise: @autoclosure () -> String) -> TaskError {
    error?.taskError(kind: kind, fallback: reason(otherwise))
      ?? TaskError(kind: kind, message: reason(otherwise), retryable: kind != .rejected)
  }
}

extension CallData.Result {
  /// Copies the bytes if they are one JSON value of at most `limit` bytes.
  init(_ json: roost_bytes, limit: Int) {
    let borrowed = json.borrowed
    guard borrowed.count <= limit else {
      self = .refused("the result has \(borrowed.count) bytes, more than maxResult \(limit)")
      return
    }
    do {
      try JSONScanner.validate(borrowed.bindMemory(to: UInt8.self))
      self = .accepted([UInt8](borrowed))
    } catch {
      self = .refused("the result is not JSON: \(error)")
    }
  }
}
