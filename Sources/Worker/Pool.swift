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
  private let firstSlot: Int
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
    /// What runs, by place among the type's slots of the flight board.
    var places: [Attempt?]
    var freePlaces: [Int]
    /// Attempts that have ended since the start.
    var finished: Int64 = 0
    var isOver = false

    init(threads: Int) {
      places = Array(repeating: nil, count: threads)
      freePlaces = Array(0..<threads)
    }

    var waitingCount: Int { waiting.count - head }
    var running: [Attempt] { places.compactMap { $0 } }
    var busyCount: Int { places.count - freePlaces.count }

    /// The next attempt with a place for it; nil when there is none or every place is taken.
    mutating func startNext() -> (attempt: Attempt, place: Int)? {
      // An attempt that another thread finishes keeps its place among the threads.
      guard waitingCount > 0, let place = freePlaces.popLast() else { return nil }
      let attempt = waiting[head]
      head += 1
      if head == waiting.count {
        waiting.removeAll(keepingCapacity: true)
        head = 0
      }
      places[place] = attempt
      return (attempt, place)
    }

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
    self.firstSlot = firstSlot
    state = Monitor(State(threads: type.definition.threads))
    handlers = HandlerPool(type, index: index, firstSlot: firstSlot + type.definition.threads)
  }

  /// How many attempts run, and how many have ended since the start.
  var attempts: (busy: Int, finished: Int64) { state.withLock { ($0.busyCount, $0.finished) } }
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
    while true {
      let next = state.wait { state -> (attempt: Attempt, place: Int)?? in
        if state.isOver { return .some(nil) }
        return state.startNext().map { .some($0) }
      }
      guard case .some(.some(let (attempt, place))) = next, let now = core.lease.mayStart() else { return }
      let flight = core.recorder.begin(
        firstSlot + place, .attempt, attempt.task.id, take: attempt.task.record.take, type: index, at: now)
      FlightRecorder.flying(flight) {
        attempt.run(flight) { outcome in self.ended(attempt, attempt.end(with: outcome), place, core) }
      }
    }
  }

  private func ended(_ attempt: Attempt, _ ending: Attempt.Ending, _ place: Int, _ core: WorkerCore) {
    let run = ending.endedAt - attempt.startedAt
    let mean = meanRun.load(ordering: .relaxed)
    // An exponential mean over about eight runs; a race between two threads loses one sample, which does no harm.
    meanRun.store(mean == 0 ? max(1, run) : max(1, mean + (run - mean) / 8), ordering: .relaxed)
    isBlocked.store(false, ordering: .relaxed)
    core.recorder.end(firstSlot + place)
    let isAnybodyHeldUp = state.withLock { state in
      state.places[place] = nil
      state.freePlaces.append(place)
      state.finished += 1
      return state.waitingCount > 0
    }
    outstanding.subtract(1, ordering: .relaxed)
    heldBytes.subtract(attempt.params.count, ordering: .relaxed)
    // Matters after an attempt that was finished by another thread; else this thread comes back itself.
    if isAnybodyHeldUp { state.signal() }
    core.post(ending, attempt)
  }

  var running: [Attempt] { state.withLock { $0.running } }
  /// Tasks that were taken and have not ended.
  var ids: [TaskID] {
    state.withLock { state in state.waiting[state.head...].map(\.task.id) + state.running.map(\.task.id) }
  }

  /// Removes what has waited too long while every thread is busy.
  func overdue(at now: Int64) -> [Attempt] {
    let late = state.withLock { state -> [Attempt] in
      guard state.waitingCount > 0, state.freePlaces.isEmpty,
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
      let running = state.running.filter { ids.contains($0.task.id) }
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
