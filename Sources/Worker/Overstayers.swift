// SPDX-License-Identifier: Apache-2.0
internal import CSystemShims
internal import Glibc
internal import TaskModel
internal import TaskStore
internal import Synchronization
internal import Threading
internal import WorkerControl

/// Attempts whose code was told to stop and went on beyond its grace: the process must end to be rid of them.
final class Overstayers: Sendable {
  private struct State {
    var all: [Attempt] = []
    var unreported: [WorkerMessage.Overstay] = []
  }

  private let state = Lock(State())
  /// Readable while there is something to report.
  let descriptor: Int32

  init() {
    descriptor = roost_eventfd()
  }

  deinit {
    close(descriptor)
  }

  func add(_ attempt: Attempt, _ reason: StopReason) {
    let overstay = WorkerMessage.Overstay(
      task: attempt.task.id.description, take: attempt.task.record.take, reason: reason == .cancel ? .cancel : .timeout)
    state.withLock { state in
      state.all.append(attempt)
      state.unreported.append(overstay)
    }
    var one: UInt64 = 1
    _ = write(descriptor, &one, 8)
  }

  /// What was not reported yet.
  func news() -> [WorkerMessage.Overstay] {
    var count: UInt64 = 0
    _ = read(descriptor, &count, 8)
    return state.withLock { state in
      defer { state.unreported = [] }
      return state.unreported
    }
  }

  /// How many go on still.
  var count: Int { state.withLock { $0.all }.count { !$0.isOver } }
}
