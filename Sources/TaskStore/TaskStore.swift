// SPDX-License-Identifier: Apache-2.0
internal import Redis
package import TaskModel
internal import Synchronization
internal import Threading

/// Tasks in Redis, as a host sees them; every operation may be called from any thread.
package final class TaskStore: Sendable {
  package let keys: Keys
  package let address: RedisAddress
  package let clock = RedisClock()
  let link: StoreLink
  let types = TypeRegistry()
  let watcher: FinalWatcher
  private let registration: HostRegistration
  private let ids = TaskIDGenerator()
  private let refreshes = Lock(Refreshes())
  private let dueNotice = Lock<@Sendable (Int64) -> Void>({ _ in })
  private let origins = Monitor(Origins())

  /// `name` is the host's, a label for people.
  package init(address: RedisAddress, prefix: String, name: String) {
    self.address = address
    keys = Keys(prefix: prefix)
    registration = HostRegistration(name: name)
    link = StoreLink(address: address, keys: keys, clock: clock, registration: registration)
    watcher = FinalWatcher(address: address, keys: keys, link: link)
  }

  /// Connects in the background, and goes on trying; makes the host and its types known.
  package func start(types: [TypeDefinition]) {
    registration.setTypes(types)
    self.types.setOwn(types)
    link.start()
    watcher.start()
  }

  /// This host runs other types from now on; Redis hears of it as soon as it can be reached.
  package func replaceTypes(_ types: [TypeDefinition]) {
    registration.setTypes(types)
    self.types.setOwn(types)
    link.reconnect()
    // Which of those before are parked now is read on the connection that tells Redis.
    refreshTypes()
  }

  package func close() {
    watcher.close()
    link.close()
  }

  /// Whether Redis answers and knows this host.
  package var isConnected: Bool { link.isConnected && registration.isKnown }
  /// Whether Redis has known this host at any time.
  package var wasConnected: Bool { registration.isKnown }
  /// Why this Redis can never be used, if that was found.
  package var refusal: String? { registration.refusal }
  /// The id under which Redis knows this host; it changes when its lease was lost.
  package var hostID: String { registration.host }
  /// How many tasks of each type wait, as housekeeping counted them.
  package func note(_ backlogs: [String: Housekeeping.Backlog]) { link.backlogs.note(backlogs) }
  /// Redis does not know this host any more: make it known again.
  package func registerAgain() { link.reconnect() }

  // MARK: Submitting

  /// Stores a task.
  ///
  /// The id is told once Redis has it; `complete` runs on the store's thread and must not block.
  ///
  /// The params must have been checked to be JSON.
  package func submit(
    _ submission: Submission, _ complete: @escaping @Sendable (Result<Receipt, TaskStoreError>) -> Void
  ) {
    submit(submission, as: nil, complete)
  }

  /// Stores a task and waits for its end; `complete` is called as by `submit`.
  ///
  /// If it is stored, `final` is called once after that: when the task is final or gone, or after `limit`; it runs on a thread of
  /// the store and must not block. Redis is asked for the message by the record itself; a call of its own follows only where the
  /// key is another task's, or nobody listened all the time.
  package func submit(
    _ submission: Submission, awaitingFinal limit: Duration,
    _ complete: @escaping @Sendable (Result<Receipt, TaskStoreError>) -> Void, final: @escaping @Sendable () -> Void
  ) {
    var submission = submission
    submission.isWatched = true
    let id = ids.next(at: clock.now)
    let deadline = MonotonicClock.now + limit.millis * 1_000_000
    watcher.expect(id, until: deadline, final)
    submit(submission, as: id) { [watcher] result in
      complete(result)
      switch result {
      case .success(let receipt) where receipt.isNew: watcher.wasStored(id)
      case .success(let receipt):
        watcher.wasNotStored(id)
        watcher.wait(for: receipt.id, until: deadline, final)
      case .failure: watcher.wasNotStored(id)
      }
    }
  }

  private func submit(
    _ submission: Submission, as id: TaskID?, _ complete: @escaping @Sendable (Result<Receipt, TaskStoreError>) -> Void
  ) {
    guard let definition = types[submission.type] else {
      refreshTypes { [self] error in
        if let error { return complete(.failure(error)) }
        guard types[submission.type] != nil else { return complete(.failure(.unknownType(submission.type))) }
        submit(submission, as: id, complete)
      }
      return
    }
    guard submission.params.count <= definition.maxParams else {
      return complete(
        .failure(.tooLarge(what: "params", bytes: submission.params.count, limit: definition.maxParams)))
    }
    let now = clock.now
    let resolved = submission.resolved(at: now)
    var complete = complete
    if let next = resolved.next(from: now) { complete = noticing(next, complete) }
    link.submit(
      StoreLink.Pending(
        submission: resolved, definition: definition, id: id ?? ids.next(at: now), createdAt: now,
        deadline: MonotonicClock.now + StoreLink.patience,
        complete: complete))
  }

  /// Heartbeats move what is due, and know what comes next; of what comes sooner they are to be told.
  private static let soonMillis: Int64 = 1000

  /// `notice` is called when a task of this store comes due, or expires, in so many milliseconds, less than a second; on the store's
  /// thread, and must not block.
  package func whenDueSoon(_ notice: @escaping @Sendable (_ millis: Int64) -> Void) {
    dueNotice.withLock { $0 = notice }
  }

  private func noticing(
    _ due: Timestamp, _ complete: @escaping @Sendable (Result<Receipt, TaskStoreError>) -> Void
  ) -> @Sendable (Result<Receipt, TaskStoreError>) -> Void {
    { [self] result in
      let left = due.millis - clock.now.millis
      if left < Self.soonMillis, case .success = result { dueNotice.withLock { $0 }(left) }
      complete(result)
    }
  }

  package func submit(_ submission: Submission) async throws(TaskStoreError) -> Receipt {
    try await withCheckedContinuation { continuation in
      submit(submission) { continuation.resume(returning: $0) }
    }.get()
  }

  // MARK: Types

  package var knownTypes: [TypeDefinition] { types.all }
  package func definition(of type: String) -> TypeDefinition? { types[type] }
  package func isParked(_ type: String) -> Bool { types.isParked(type) }

  /// How many living hosts have the name, as of the last `refreshTypes`.
  package func livingHosts(named name: String) -> Int { types.livingHosts(named: name) }

  /// Reads again which types there are and which hosts live.
  ///
  /// However many ask at once, one reading is under way, and one for all who asked since it began.
  package func refreshTypes(_ complete: @escaping @Sendable (TaskStoreError?) -> Void = { _ in }) {
    let isFirst = refreshes.withLock { refreshes in
      refreshes.waiting.append(complete)
      defer { refreshes.isUnderWay = true }
      return !refreshes.isUnderWay
    }
    if isFirst { readTypes() }
  }

  private struct Refreshes {
    var isUnderWay = false
    var waiting: [@Sendable (TaskStoreError?) -> Void] = []
  }

  private func readTypes() {
    let asked = refreshes.withLock { refreshes in
      defer { refreshes.waiting = [] }
      return refreshes.waiting
    }
    read({ [keys] _ in TypeRegistry.commands(keys) }) { [self] answer in
      var failure: TaskStoreError?
      switch answer {
      case .success(let replies): types.refresh(replies, now: clock.now)
      case .failure(let error): failure = error
      }
      for complete in asked { complete(failure) }
      let isWanted = refreshes.withLock { refreshes in
        refreshes.isUnderWay = !refreshes.waiting.isEmpty
        return refreshes.isUnderWay
      }
      if isWanted { readTypes() }
    }
  }

  /// What Redis knows of a type beside its definition.
  package struct TypeState: Sendable, Equatable {
    package var counts: [TaskStatus: Int] = [:]
    /// Nothing of it is taken, on no host.
    package var isPaused = false

    package init() {}
  }

  /// How many tasks of each type have each status and whether it is paused, for several types in one round trip.
  package func states(of types: [String]) async throws(TaskStoreError) -> [String: TypeState] {
    let names = TaskStatus.allCases.map(\.rawValue)
    let replies = try await read { [keys] _ in
      types.flatMap { type in
        var command = RedisCommand(words: "HMGET", keys.counters(type))
        for name in names { command.add(name) }
        return [command, RedisCommand(words: "HEXISTS", keys.control, "paused:\(type)")]
      }
    }
    var result: [String: TypeState] = [:]
    for (index, type) in types.enumerated() where replies.count > 2 * index + 1 {
      var state = TypeState()
      state.isPaused = replies[2 * index + 1] == .integer(1)
      for (status, value) in zip(TaskStatus.allCases, replies[2 * index].arrayValue ?? []) {
        state.counts[status] = Int(max(0, value.integerValue ?? 0))
      }
      result[type] = state
    }
    return result
  }

  // MARK: Talking to Redis

  func read(
    _ commands: @escaping @Sendable (ScriptConnection) -> [RedisCommand],
    _ complete: @escaping @Sendable (StoreLink.Answer) -> Void
  ) {
    link.send(
      StoreLink.Request(
        commands: commands, isRead: true, deadline: MonotonicClock.now + StoreLink.patience, complete: complete))
  }

  func read(
    _ commands: @escaping @Sendable (ScriptConnection) -> [RedisCommand]
  ) async throws(TaskStoreError) -> [RedisReply] {
    try await withCheckedContinuation { continuation in
      read(commands) { continuation.resume(returning: $0) }
    }.get()
  }

  /// One call that changes something; it is not repeated when its answer is lost.
  func act(
    _ command: @escaping @Sendable (ScriptConnection) -> [RedisCommand]
  ) async throws(TaskStoreError) -> [RedisReply] {
    let replies = try await withCheckedContinuation { continuation in
      link.send(
        StoreLink.Request(
          commands: command, isRead: false, deadline: MonotonicClock.now + StoreLink.patience,
          complete: { continuation.resume(returning: $0) }))
    }.get()
    // The link lets only those errors through that stand for want of memory; nothing was changed then.
    if case .error = replies.last { throw .outOfMemory }
    return replies
  }

  // MARK: Origins

  func origin(_ number: UInt32) -> TaskRecord.Origin? { origins.withLock { $0.known[number] } }

  private struct Origins {
    var known: [UInt32: TaskRecord.Origin] = [:]
    /// The registration that they were read under: a Redis that forgot it counts anew.
    var host = ""
  }

  /// Reads the origins that are not known yet; they change only with the data of Redis.
  func learnOrigins(_ numbers: Set<UInt32>) async throws(TaskStoreError) {
    let host = registration.host
    let missing = origins.withLock { origins in
      if origins.host != host { origins = Origins(host: host) }
      return numbers.filter { $0 != 0 && origins.known[$0] == nil }
    }
    guard !missing.isEmpty else { return }
    let ordered = Array(missing)
    let replies = try await read { [keys] _ in
      var command = RedisCommand(words: "HMGET", keys.origins)
      for number in ordered { command.add(Int64(number)) }
      return [command]
    }
    let found = TaskRecord.Origin.read(replies.first, ordered)
    origins.withLock { if $0.host == host { $0.known.merge(found) { $1 } } }
  }
}
