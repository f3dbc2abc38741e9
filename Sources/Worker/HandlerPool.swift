// SPDX-License-Identifier: Apache-2.0
internal import FlightBoard
internal import Synchronization
internal import TaskModel
internal import TaskStore
internal import Threading
internal import WorkerControl

/// The threads that call a type's handlers.
final class HandlerPool: Sendable {
  private let type: LoadedType
  /// The type's place in the assignment.
  private let index: Int
  /// The slot of the first thread on the flight board; the others follow.
  private let firstSlot: Int
  private let state = Monitor(State())
  private let outstanding = Atomic<Int>(0)
  private let heldBytes = Atomic<Int>(0)

  private struct State {
    var waiting: [HandlerCall] = []
    var running: [TaskID: HandlerCall] = [:]
    var isOver = false
  }

  init(_ type: LoadedType, index: Int, firstSlot: Int) {
    self.type = type
    self.index = index
    self.firstSlot = firstSlot
  }

  /// Outcomes, and bytes of them, that wait for their handler calls; more hold the type back rather than fill memory.
  private static let most = (calls: 1024, bytes: 16 << 20)

  var outstandingCount: Int { outstanding.load(ordering: .relaxed) }
  /// A slow handler must hold its type back.
  var isFull: Bool { outstandingCount > Self.most.calls || heldBytes.load(ordering: .relaxed) > Self.most.bytes }
  private var isNeeded: Bool { type.callback != nil || type.exceptionHandler != nil }
  /// How many calls of the handler queue the type should take now.
  var wanted: Int { max(0, type.definition.handlerThreads - outstandingCount) }

  func start(_ core: WorkerCore) {
    // A type that lost its handlers may still owe calls from before: one thread reports them as failed.
    for number in 1...(isNeeded ? type.definition.handlerThreads : 1) {
      NativeThread(name: "\(type.name.prefix(10))#h\(number)") {
        FlightRecorder.withAlternateStack { self.work(core, slot: self.firstSlot + number - 1) }
      }.detach()
    }
  }

  func add(_ calls: [HandlerCall]) {
    outstanding.add(calls.count, ordering: .relaxed)
    heldBytes.add(calls.reduce(0) { $0 + $1.byteCount }, ordering: .relaxed)
    state.withLock { $0.waiting.append(contentsOf: calls) }
    if calls.count == 1 { state.signal() } else { state.broadcast() }
  }

  func removeWaiting() -> [HandlerCall] {
    let waiting = state.withLock { state in
      defer { state.waiting = [] }
      return state.waiting
    }
    haveLeft(waiting)
    return waiting
  }

  private func haveLeft(_ calls: [HandlerCall]) {
    outstanding.subtract(calls.count, ordering: .relaxed)
    heldBytes.subtract(calls.reduce(0) { $0 + $1.byteCount }, ordering: .relaxed)
  }

  var isBusy: Bool { state.withLock { !$0.running.isEmpty } }

  func requestStop() {
    for call in state.withLock({ Array($0.running.values) }) { call.requestStop() }
  }

  func end() {
    state.withLock { $0.isOver = true }
    state.broadcast()
  }

  private func work(_ core: WorkerCore, slot: Int) {
    while true {
      let next = state.wait { state -> HandlerCall?? in
        if state.isOver { return .some(nil) }
        if state.waiting.isEmpty { return nil }
        let call = state.waiting.removeFirst()
        state.running[call.id] = call
        return call
      }
      guard case .some(.some(let call)) = next, let now = core.lease.mayStart() else { return }
      let flight = core.recorder.begin(slot, .handler, call.id, take: call.take, type: index, at: now)
      var write: TaskWrite?
      FlightRecorder.flying(flight) { write = call.run() }
      core.recorder.end(slot)
      state.withLock { $0.running[call.id] = nil }
      haveLeft([call])
      if let write { core.post(write, call) }
    }
  }
}
