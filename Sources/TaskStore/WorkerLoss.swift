// SPDX-License-Identifier: Apache-2.0
package import TaskModel

/// What a host knows of the end of a worker, beside that it is gone.
package struct WorkerLoss: Sendable, Equatable {
  /// What is to become of a task or handler call that is not simply given back.
  package enum Verdict: Sendable, Equatable {
    /// It took the worker down: counts for the type's `maxCrashes`, and runs alone from now on.
    case crashed(TaskError)
    /// It may have: runs alone, at no attempt. A handler call spends a try.
    case suspect
    /// It had started when its worker stood still: counts as a lost lease.
    case lost
    /// The host ended the worker because of this attempt, which failed so (`timeout`, `memory`) and may be retried.
    case failed(TaskError)
  }

  package struct Finding: Sendable, Equatable {
    package var id: TaskID
    /// The take that the worker held it by; a finding about another one is ignored.
    package var take: UInt32
    package var verdict: Verdict

    package init(id: TaskID, take: UInt32, verdict: Verdict) {
      self.id = id
      self.take = take
      self.verdict = verdict
    }
  }

  package var findings: [Finding]
  /// Whether a task that had started counts this as a lost lease; not when its worker was ended in good order.
  package var counts: Bool

  package init(findings: [Finding] = [], counts: Bool = true) {
    self.findings = findings
    self.counts = counts
  }
}

extension WorkerLoss {
  /// Appends whether it counts, the findings one behind the other, and each error that they name once (Scripts/reap.lua).
  ///
  /// A call deals with one batch and the host does not know which, so that each call carries all of them.
  func append(to call: inout ScriptCall) {
    var numbers: [[UInt8]: Int] = [:]
    var errors: [[UInt8]] = []
    var bytes: [UInt8] = []
    bytes.reserveCapacity(findings.count * 41)
    for finding in findings {
      finding.id.append(to: &bytes)
      bytes.appendInteger(UInt64(finding.take), size: 4)
      bytes.append(finding.verdict.letter)
      var number = 0
      if let error = finding.verdict.error {
        let text = error.reaped
        number = numbers[text] ?? errors.count + 1
        if number > errors.count {
          numbers[text] = number
          errors.append(text)
        }
      }
      bytes.appendInteger(UInt64(number), size: 4)
    }
    call.add(counts ? "1" : "0")
    call.add(bytes)
    for error in errors { call.add(error) }
  }
}

extension WorkerLoss.Verdict {
  fileprivate var letter: UInt8 {
    switch self {
    case .crashed: UInt8(ascii: "c")
    case .suspect: UInt8(ascii: "s")
    case .lost: UInt8(ascii: "l")
    case .failed(let error): error.retryable ? UInt8(ascii: "f") : UInt8(ascii: "g")
    }
  }

  fileprivate var error: TaskError? {
    switch self {
    case .crashed(let error), .failed(let error): error
    case .suspect, .lost: nil
    }
  }
}

extension TaskError {
  /// Kind, message with its length before it, and JSON.
  fileprivate var reaped: [UInt8] {
    let message = Array(message.prefixed(byBytes: Self.messageLimit).utf8)
    var bytes = [UInt8(ascii: "0") + kind.rawValue]
    bytes.appendInteger(UInt64(message.count), size: 2)
    return bytes + message + json
  }
}
