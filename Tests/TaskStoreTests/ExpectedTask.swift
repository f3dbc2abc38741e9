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
  /// Whether it fails where it is met before its start.
  var isExpired = false

  static let nobody = "0000000000000000"
  var isActive: Bool { state == .taken || state == .running }
  var isFinal: Bool { state.status.isFinal }
  var isHandlerPending: Bool { isFinal && phase == .pending }
  var hasHandlers: Bool { type == "telling" }

  mutating func finish(_ state: StoredRecord.State, mine: Bool) {
    self.state = state
    isDue = false
    phase = hasHandlers && state != .cancelled ? .pending : .none
    if !mine { worker = Self.nobody }
  }

  mutating func stop() { finish(.cancelled, mine: false) }

  /// An attempt has begun, which a mark has shown or not.
  mutating func began() { if state == .taken { attempts += 1 } }

  mutating func giveBack() {
    if isActive, isCancelAsked { return stop() }
    if state == .running { attempts -= 1 }
    if isActive { state = .pending }
    worker = Self.nobody
  }
}
