// SPDX-License-Identifier: Apache-2.0
internal import FlightBoard
internal import Synchronization
internal import TaskModel
internal import TaskStore
internal import WorkerControl
internal import Threading

/// The threads of one type, and what waits for them.
final class Pool: Sendable {
  let type: LoadedType
  let handlers: HandlerPool
  /// The type's place in the assignment.
  private let index: Int
  private let state: Monitor<State>
  /// Taken and not ended, running ones included.
  private let outstanding = Atomic<Int>(0)
  /// Bytes of the params of those.
  private let heldBytes = Atomic<Int>(0)
  /// The recent mean run time in nanoseconds; 0: not known yet.
  private let meanRun = Atomic<Int64>(0)
  /// Set while tasks that waited too long were given back: the mean does not yet know of the long one before them.
  private let isBlocked = Atomic<Bool>(false)

  private struct State {
    var waiting: [Attempt] = []
    var head = 0
    var running: [ObjectIdentifier: Attempt] = [:]
    /// Slots of the flight board that no attempt has.
    var freeSlots: [Int]
    /// Attempts that have ended since the start.
    var finished: Int64 = 0
    var isOver = false

    var waitingCount: Int { waiting.count - head }

    mutating func removeWaiting() -> [Attempt] {
      let removed = Array(waiting[head...])
      waiting.removeAll(keepingCapacity: true)
      head = 0
      return removed
    }
  }

  /// What a type takes ahead is what its threads finish in this time (nanoseconds).
  static let aheadOf: Int64 = 10_000_000
  static let mostAhead = 512
  /// What waits longer than this behind busy threads is given back, since another worker may have a free one.
  static let patience: Int64 = 20_000_000
  /// With more bytes of params here nothing is taken ahead.
  static let mostBytesAhead = 1 << 20

  /// Slots of the flight board from `firstSlot` on are the type's, one for each of its threads.
  init(_ type: LoadedType, index: Int, firstSlot: Int) {
    self.type = type
    self.index = index
    let threads = type.definition.threads
    state = Monitor(State(freeSlots: Array(firstSlot..<firstSlot + threads)))
    handlers = HandlerPool(type, index: index, firstSlot: firstSlot + threads)
  }

  /// How many attempts run, and how many have ended since the start.
  var attempts: (busy: Int, finished: Int64) { state.withLock { ($0.running.count, $0.finished) } }
  var isIdle: Bool { outstanding.load(ordering: .relaxed) == 0 }

  /// How many more tasks the type should take now.
  var wanted: Int {
    if handlers.isFull { return 0 }
    let threads = type.definition.threads
    let mean = meanRun.load(ordering: .relaxed)
    var ahead = 0
    if mean > 0, mean < Self.aheadOf, !isBlocked.load(ordering: .relaxed),
      heldBytes.load(ordering: .relaxed) < Self.mostBytesAhead
    {
      ahead = min(Self.mostAhead, threads * Int(Self.aheadOf / mean))
    }
    return max(0, threads + ahead - outstanding.load(ordering: .relaxed))
  }

  func start(_ core: WorkerCore) {
    for number in 1...type.definition.threads {
      NativeThread(name: "\(type.name.prefix(11))#\(number)") {
        FlightRecorder.withAlternateStack { self.work(core) }
      }.detach()
    }
    handlers.start(core)
  }

  /// Hands over a batch with one wake-up.
  func add(_ attempts: [Attempt]) {
    outstanding.add(attempts.count, ordering: .relaxed)
    heldBytes.add(attempts.reduce(0) { $0 + $1.params.count }, ordering: .relaxed)
    state.withLock { state in
      if state.head > 1024, state.head * 2 > state.waiting.count {
        state.waiting.removeFirst(state.head)
        state.head = 0
      }
      state.waiting.append(contentsOf: attempts)
    }
    if attempts.count == 1 { state.signal() } else { state.broadcast() }
  }

  private func work(_ core: WorkerCore) {
    let threads = type.definition.threads
    while true {
      let next = state.wait { state -> (attempt: Attempt, slot: Int)?? in
        if state.isOver { return .some(nil) }
        // An attempt that another thread finishes keeps its place among the threads, and so a slot is free.
        guard state.waitingCount > 0, state.running.count < threads, let slot = state.freeSlots.popLast() else {
          return nil
        }
        let attempt = state.waiting[state.head]
        state.head += 1
        if state.head == state.waiting.count {
          state.waiting.removeAll(keepingCapacity: true)
          state.head = 0
        }
        state.running[ObjectIdentifier(attempt)] = attempt
        return (attempt, slot)
      }
      guard case .some(.some(let (attempt, slot))) = next, core.lease.mayStart() else { return }
      let flight = core.recorder.begin(slot, .attempt, attempt.task.id, take: attempt.task.record.take, type: index)
      FlightRecorder.flying(flight) {
        attempt.run(flight) { attempt, ending in self.ended(attempt, ending, slot, core) }
      }
    }
  }

  private func ended(_ attempt: Attempt, _ ending: Attempt.Ending, _ slot: Int, _ core: WorkerCore) {
    let run = attempt.elapsed
    let mean = meanRun.load(ordering: .relaxed)
    // An exponential mean over about eight runs; a race between two threads loses one sample, which does no harm.
    meanRun.store(mean == 0 ? max(1, run) : max(1, mean + (run - mean) / 8), ordering: .relaxed)
    isBlocked.store(false, ordering: .relaxed)
    core.recorder.end(slot)
    let isAnybodyHeldUp = state.withLock { state in
      state.running[ObjectIdentifier(attempt)] = nil
      state.freeSlots.append(slot)
      state.finished += 1
      return state.waitingCount > 0
    }
    outstanding.subtract(1, ordering: .relaxed)
    heldBytes.subtract(attempt.params.count, ordering: .relaxed)
    // Matters after an attempt that was finished by another thread; else this thread comes back itself.
    if isAnybodyHeldUp { state.signal() }
    core.post(ending, attempt)
  }

  var running: [Attempt] { state.withLock { Array($0.running.values) } }
  /// Tasks that were taken and have not ended.
  var ids: [TaskID] {
    state.withLock { state in state.waiting[state.head...].map(\.task.id) + state.running.values.map(\.task.id) }
  }

  /// Removes what has waited too long while every thread is busy.
  func overdue(at now: Int64) -> [Attempt] {
    let late = state.withLock { state -> [Attempt] in
      guard state.waitingCount > 0, state.running.count >= type.definition.threads,
        now - state.waiting[state.head].takenAt > Self.patience
      else { return [] }
      return state.removeWaiting()
    }
    if !late.isEmpty { isBlocked.store(true, ordering: .relaxed) }
    haveLeft(late)
    return late
  }

  /// Removes everything that has not started.
  func removeWaiting() -> [Attempt] {
    let waiting = state.withLock { $0.removeWaiting() }
    haveLeft(waiting)
    return waiting
  }

  /// Removes those of the tasks that have not started, and tells which of them run.
  func remove(_ ids: Set<TaskID>) -> (removed: [Attempt], running: [Attempt]) {
    let found = state.withLock { state -> (removed: [Attempt], running: [Attempt]) in
      let running = state.running.values.filter { ids.contains($0.task.id) }
      guard state.waiting[state.head...].contains(where: { ids.contains($0.task.id) }) else { return ([], running) }
      let waiting = state.removeWaiting()
      state.waiting = waiting.filter { !ids.contains($0.task.id) }
      return (waiting.filter { ids.contains($0.task.id) }, running)
    }
    haveLeft(found.removed)
    return found
  }

  private func haveLeft(_ attempts: [Attempt]) {
    outstanding.subtract(attempts.count, ordering: .relaxed)
    heldBytes.subtract(attempts.reduce(0) { $0 + $1.params.count }, ordering: .relaxed)
  }

  func end() {
    state.withLock { $0.isOver = true }
    state.broadcast()
    handlers.end()
  }
}
