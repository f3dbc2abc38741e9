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
