// SPDX-License-Identifier: Apache-2.0
import TaskModel
import TaskStore

/// What is expected of a task.
struct ExpectedTask: Equatable {
  var type: String
  var state = StoredRecord.State.pending
  var phase = HandlerPhase.none
  var worker = "0000000000000000"
  var take = 0
  var round = 0
  var attempts = 0
  var priority = TaskPriority.normal
  var isCancelAsked = false
  /// Whether its retry, its handler's retry or its deadline is in the past.
  var isDue = false
  var key: String?
  /// Whether it fails unless it has started.
  var isExpired = false
  var crashes = 0
  var lostLeases = 0
  /// The take that a timeout was decided for.
  var verdict = 0
  var isAlone = false
  var handlerTries = 0

  static let nobody = "0000000000000000"
  var isActive: Bool { state == .taken || state == .running }
  var isFinal: Bool { state.status.isFinal }
  var isHandlerPending: Bool { isFinal && phase == .pending }
  var hasHandlers: Bool { type == "telling" }

  mutating func finish(_ state: StoredRecord.State, mine: Bool) {
    self.state = state
    isDue = false
    handlerTries = 0
    phase = hasHandlers && state != .cancelled ? .pending : .none
    if !mine { worker = Self.nobody }
  }

  mutating func stop() { finish(.cancelled, mine: false) }

  /// An attempt has begun, which a mark has shown or not.
  mutating func began() { if state == .taken { attempts += 1 } }

  mutating func giveBack() {
    if isActive, isCancelAsked { return stop() }
    if isActive, verdict == take { return fail(mayRetry: true) }
    requeue()
  }

  private mutating func requeue() {
    if state == .running { attempts -= 1 }
    if isActive { state = .pending }
    worker = Self.nobody
  }

  /// The attempt ends as failed, and nobody is there to say so.
  private mutating func fail(mayRetry: Bool, isCrash: Bool = false, staysAlone: Bool = false) {
    if !isCrash {
      began()
    } else if state == .running {
      attempts -= 1
    }
    guard mayRetry, attempts < RandomPlay.policy.attempts else { return finish(.failed, mine: false) }
    schedule(isDue: true, isAlone: isAlone && staysAlone)
  }

  /// Another attempt comes later.
  mutating func schedule(isDue: Bool, isAlone: Bool = false) {
    state = .scheduled
    isExpired = false
    self.isAlone = isAlone
    worker = Self.nobody
    self.isDue = isDue
  }

  /// Its worker was lost, which the host knows so much of.
  mutating func lose(_ verdict: WorkerLoss.Verdict?, counts: Bool) {
    if isHandlerPending {
      worker = Self.nobody
      switch verdict {
      case .crashed, .suspect:
        handlerTries += 1
        if handlerTries < RandomPlay.policy.attempts { isDue = true } else { phase = .failed }
      case .failed, .lost, nil: break
      }
      return
    }
    if isCancelAsked { return stop() }
    switch verdict {
    case .crashed:
      crashes += 1
      if crashes >= RandomPlay.maxCrashes { return fail(mayRetry: false, isCrash: true) }
      isAlone = true
      requeue()
    case .suspect:
      isAlone = true
      requeue()
    case .failed(let error): fail(mayRetry: error.retryable, staysAlone: error.kind == .memory)
    case .lost, nil:
      guard verdict != nil || counts && state == .running, self.verdict != take else { return giveBack() }
      lostLeases += 1
      if lostLeases >= 5 { fail(mayRetry: false, isCrash: true) } else { requeue() }
    }
  }
}
