// SPDX-License-Identifier: Apache-2.0
internal import CRoost
internal import Synchronization
internal import Threading
internal import TaskModel

/// One attempt at a task: made before it runs, so that another thread can cancel it while `run` blocks.
package final class RunningAttempt: Sendable {
  package typealias Completion = @Sendable (AttemptOutcome) -> Void

  let call: any TaskCall
  let texts: CallTexts
  private let loaded: LoadedExecutor
  private let state = Lock(State())
  /// Held while the plugin's cancel() runs, so that a run() that has returned can wait for it.
  private let cancelling = Lock<Void>(())

  private enum Stage {
    case prepared
    /// run() has not returned.
    case running
    /// run() returned ROOST_PENDING and finish() is missing.
    case pending
    /// Nothing more can change the outcome.
    case over
  }
  private struct State {
    var stage = Stage.prepared
    var data = CallData()
    /// What finish() said.
    var finished: roost_status?
    var wasCancelled = false
    var cancelIsUnderWay = false
    var handle: Handle?
    var completion: Completion?
  }
  /// Unchecked, because it is a number in a pointer's clothes.
  private struct Handle: @unchecked Sendable {
    let task: OpaquePointer?
  }
  private struct Ending {
    let status: roost_status
    let data: CallData
    let handle: Handle?
    let completion: Completion?
  }

  init(_ call: any TaskCall, _ loaded: LoadedExecutor) {
    self.call = call
    self.loaded = loaded
    texts = CallTexts(call.facts, data: loaded.executor.data)
  }

  private var instance: PluginInstance { loaded.instance }

  /// Runs the executor on the calling thread, once.
  ///
  /// `completion` is called exactly once: on this thread before `run` returns, or, when the executor said ROOST_PENDING,
  /// on the thread that calls finish() (on cancel()'s if that is under way then). No lock is held meanwhile.
  package func run(_ completion: @escaping Completion) {
    instance.enter()
    let handle = Handle(task: TaskHandles.shared.issue(to: self))
    state.withLock { state in
      precondition(state.stage == .prepared, "an attempt runs once")
      state.stage = .running
      state.handle = handle
      state.completion = completion
    }
    let status = loaded.executor.run(instance.pointer, handle.task)
    if status == ROOST_PENDING {
      if let ending = runReturnedPending() { end(ending) }
    } else {
      end(runReturned(status))
    }
  }

  /// Calls the executor's cancel function, at most once, if it has one and the attempt is under way.
  ///
  /// Does nothing before `run` has begun (the executor asks stop_requested() itself) and before the call's
  /// `stopRequested()` is non-zero. May be called from any thread; waits for other [control thread] calls to end.
  package func cancel() {
    guard let function = loaded.executor.cancel, call.stopRequested() != 0 else { return }
    let ending = ControlThread.take { () -> Ending? in
      cancelling.withLock { _ -> Ending? in
        guard let handle = beginCancel() else { return nil }
        function(instance.pointer, handle.task)
        return endCancel()
      }
    }
    if let ending { end(ending) }
  }

  private func beginCancel() -> Handle? {
    state.withLock { state in
      guard state.stage == .running || state.stage == .pending, !state.wasCancelled, state.finished == nil else {
        return nil
      }
      state.wasCancelled = true
      state.cancelIsUnderWay = true
      return state.handle
    }
  }

  private func endCancel() -> Ending? {
    state.withLock { state in
      state.cancelIsUnderWay = false
      guard state.stage == .pending, let status = state.finished else { return nil }
      return Self.close(&state, status)
    }
  }

  private func runReturnedPending() -> Ending? {
    state.withLock { state in
      state.stage = .pending
      // The text is lent to cancel() too, so its end is this attempt's.
      guard let status = state.finished, !state.cancelIsUnderWay else { return nil }
      return Self.close(&state, status)
    }
  }

  private func runReturned(_ status: roost_status) -> Ending {
    let (ending, wasFinished, mustWait) = state.withLock { state in
      (Self.close(&state, status), state.finished != nil, state.cancelIsUnderWay)
    }
    if mustWait { cancelling.withLock { _ in } }
    if wasFinished {
      instance.host.misused(
        "finish() was called for task \(texts.facts.id), whose run() returned \(status), not ROOST_PENDING")
    }
    return ending
  }

  private static func close(_ state: inout State, _ status: roost_status) -> Ending {
    state.stage = .over
    defer {
      state.data = CallData()
      state.completion = nil
    }
    return Ending(status: status, data: state.data, handle: state.handle, completion: state.completion)
  }

  private func end(_ ending: Ending) {
    let outcome = outcome(ending.status, ending.data)
    TaskHandles.shared.release(ending.handle?.task)
    instance.leave()
    ending.completion?(outcome)
  }

  private func outcome(_ status: roost_status, _ data: CallData) -> AttemptOutcome {
    switch status {
    case ROOST_OK:
      switch data.result {
      case .none: return .completed(nil)
      case .accepted(let json): return .completed(json)
      case .refused(let reason): return .failed(TaskError(kind: .exception, message: reason))
      }
    case ROOST_FAILED: return .failed(data.failure(otherwise: "\(loaded.words) failed without saying why"))
    case ROOST_REJECTED:
      return .rejected(data.failure(.rejected, otherwise: "\(loaded.words) refused the params without saying why"))
    case ROOST_DETACHED: return .detached
    case ROOST_CANCELLED:
      if call.stopRequested() != 0 { return .cancelled }
      return .failed(data.failure(otherwise: "\(loaded.words) said it was cancelled, but nobody asked it to stop"))
    default:
      let reason = "\(loaded.words) ended with status \(status), which is not allowed there"
      instance.host.misused("\(reason); it counts as ROOST_FAILED")
      return .failed(data.failure(otherwise: reason))
    }
  }
}

extension RunningAttempt: HandleTarget {
  var host: HostContext { instance.host }

  func setResult(_ json: roost_bytes) -> roost_status {
    if json.isBroken { host.misused("set_result() was called with \(json.length) bytes at NULL") }
    let result = CallData.Result(json, limit: texts.facts.maxResult)
    guard change("set_result", { $0.result = result }) else { return ROOST_FAILED }
    if case .accepted = result { return ROOST_OK }
    return ROOST_FAILED
  }

  func setError(_ error: TaskErrorReport) {
    _ = change("set_error") { $0.error = error }
  }

  func progress(_ fraction: Double, _ note: roost_bytes) {
    guard change("progress", { _ in }) else { return }
    call.progress(fraction, note.text())
  }

  func finish(_ status: roost_status) {
    let (ending, wasMisused) = state.withLock { state -> (Ending?, Bool) in
      guard state.stage != .over, state.stage != .prepared, state.finished == nil else { return (nil, true) }
      state.finished = status
      // Before run() has returned its status is needed; while cancel() is under way it ends the attempt.
      guard state.stage == .pending, !state.cancelIsUnderWay else { return (nil, false) }
      return (Self.close(&state, status), false)
    }
    if wasMisused { host.misused("finish() was called for task \(texts.facts.id), which is over or finished already") }
    if let ending { end(ending) }
  }

  /// Changes what the outcome will be made of; false, with a line in the log, once finish() was called or run() returned.
  private func change(_ function: StaticString, _ change: (inout CallData) -> Void) -> Bool {
    let isOpen = state.withLock { state in
      guard state.stage == .running || state.stage == .pending, state.finished == nil else { return false }
      change(&state.data)
      return true
    }
    if !isOpen { host.misused("\(function)() was called for task \(texts.facts.id) after its end") }
    return isOpen
  }
}
