// SPDX-License-Identifier: Apache-2.0
import Redis
import TaskModel
import TaskStore
import TestSupport
import Threading

/// What users and schedules do.
extension RandomPlay {
  func submit() async throws {
    var submission = Submission(type: anyType(), params: chance(20) ? .text(1500) : Array("null".utf8))
    submission.priority = [.high, .normal, .normal, .low].randomElement(using: &random) ?? .normal
    if chance(30) { submission.key = ["a", "b", "c"].randomElement(using: &random) }
    if chance(20) { submission.due = chance(70) ? .after(.milliseconds(1)) : .at(Self.future) }
    if chance(20) { submission.expires = .at(chance(50) ? Self.past : Self.future) }
    if submission.key != nil { try fixture.nextMillisecond() }
    let receipt = try await chance(30) ? submitAwaited(submission) : fixture.store.submit(submission)
    step = "submit \(receipt.id) \(submission.type), key \(submission.key ?? "none"), due \(submission.due as Any)"
    if let key = submission.key, let owner = owner(of: key, submission.type) {
      hold(receipt.id == owner && !receipt.isNew && receipt.status == tasks[owner]?.state.status, "a key that is taken")
      return
    }
    hold(receipt.isNew && tasks[receipt.id] == nil)
    var expected = ExpectedTask(type: submission.type)
    if let due = submission.due {
      expected.state = .scheduled
      expected.isDue = due != .at(Self.future)
    }
    (expected.key, expected.priority) = (submission.key, submission.priority)
    expected.isExpired = submission.expires == .at(Self.past)
    add(expected, receipt.id)
  }

  /// Submits it and waits for its end.
  private func submitAwaited(_ submission: Submission) async throws -> Receipt {
    awaited += 1
    return try await withCheckedContinuation { [told, store = fixture.store] continuation in
      store.submit(submission, awaitingFinal: .seconds(600)) {
        continuation.resume(returning: $0)
      } final: {
        told.withLock { $0 += 1 }
      }
    }.get()
  }

  func add(_ expected: ExpectedTask, _ id: TaskID) {
    tasks[id] = expected
    order.append(id)
    if let key = expected.key { claims["\(expected.type):\(key)"] = id }
  }

  /// Who has the key: the task that got it last, while it is there and, in the type whose keys live short, not final.
  func owner(of key: String, _ type: String) -> TaskID? {
    guard let id = claims["\(type):\(key)"], let task = tasks[id] else { return nil }
    return task.isFinal && type == Self.telling.name ? nil : id
  }

  /// A due time of a schedule, which is dealt with once.
  func fire() throws {
    let isNew = fired == 0 || chance(60)
    if isNew { fired += 1 }
    let due = Timestamp(millis: 1_000_000 + Int64(fired))
    let answer = try housekeeping.fire(
      "s", due: due, Submission(type: "work", params: .one), of: StoreFixture.type, now: due)
    step = "fire \(fired): \(answer)"
    guard isNew else { return hold(answer == .done(last: due)) }
    guard case .stored(let id) = answer else { return hold(false) }
    add(ExpectedTask(type: "work"), id)
  }

  func pause() async throws {
    let type = anyType()
    let pauses = chance(50)
    step = "pause \(type): \(pauses)"
    try await fixture.store.setPaused(type, pauses)
    if pauses { paused.insert(type) } else { paused.remove(type) }
    hold(try await fixture.store.states(of: [type])[type]?.isPaused == pauses)
  }

  func recall() async throws {
    guard let id = anyTask(), let task = tasks[id] else { return }
    step = "call the handler of \(id) again"
    do {
      hold(try await fixture.store.callHandler(id) == task.state.status)
      hold(task.hasHandlers && (task.phase == .delivered || task.phase == .failed))
      tasks[id]?.phase = .pending
      tasks[id]?.handlerTries = 0
      tasks[id]?.worker = ExpectedTask.nobody
      tasks[id]?.isDue = false
    } catch .handlerPending { hold(task.isHandlerPending) } catch .noHandler {
      hold(!task.hasHandlers && (task.state == .completed || task.state == .failed))
    } catch { hold(error == .forbidden(id, status: task.state.status)) }
  }

  /// Retries or deletes several, some of them twice, or all that failed.
  func actOnMany() async throws {
    let type = anyType()
    let retries = chance(50)
    let ids = (0..<4).compactMap { _ in anyTask() }
    let isByType = chance(50)
    step = "\(retries ? "retry" : "delete") \(isByType ? "failed \(type)" : "\(ids)")"
    var count = 0
    let chosen = isByType ? order.filter { tasks[$0]?.type == type && tasks[$0]?.state == .failed } : ids
    if retries {
      // The order in which those of one key come decides who gets it back: as the store goes, the latest first.
      let keyed = Set(chosen.compactMap { tasks[$0]?.key })
      guard keyed.isEmpty else { return }
      for id in chosen where mayRetry(id) {
        revive(id)
        count += 1
      }
      hold(
        isByType
          ? try await fixture.store.retry(.failed(type: type, kind: nil)) == count
          : try await fixture.store.retry(.tasks(ids)) == count)
    } else {
      for id in chosen where tasks[id]?.isFinal ?? false {
        forget(id)
        count += 1
      }
      hold(
        isByType
          ? try await fixture.store.delete(.failed(type: type, kind: nil)) == count
          : try await fixture.store.delete(.tasks(ids)) == count)
    }
  }

  func settle() async throws {
    guard let id = anyTask(), let task = tasks[id] else { return }
    step = "settle \(id)"
    let ends: [(TaskStore.Settlement, StoredRecord.State)] = [
      (.completed(result: .text(1500)), .completed), (.completed(result: .one), .completed),
      (.failed(.broken), .failed), (.cancelled, .cancelled),
    ]
    let (settlement, state) = ends.randomElement(using: &random) ?? ends[0]
    do {
      hold(try await fixture.store.settle(id, settlement) == state.status)
      hold(task.state == .detached)
      tasks[id]?.finish(state, mine: false)
    } catch { hold(error == .forbidden(id, status: task.state.status)) }
  }

  func cancel() async throws {
    guard let id = anyTask(), let task = tasks[id] else { return }
    step = "cancel \(id)"
    do {
      let isDone = try await fixture.store.cancel(id, within: .zero) == .cancelled
      hold(isDone == !task.isActive)
      if isDone { tasks[id]?.stop() } else { tasks[id]?.isCancelAsked = true }
    } catch { hold(task.isFinal && error == .forbidden(id, status: task.state.status)) }
  }

  func retry() async throws {
    guard let id = anyTask(), let task = tasks[id] else { return }
    step = "retry \(id)"
    if task.key != nil { try fixture.nextMillisecond() }
    do {
      try await fixture.store.retry(id)
      hold(mayRetry(id))
      revive(id)
    } catch .handlerPending { hold(task.isHandlerPending) } catch .keyTaken {
      hold(task.key.flatMap { owner(of: $0, task.type) } ?? id != id)
    } catch {
      hold(error == .forbidden(id, status: task.state.status))
    }
  }

  func mayRetry(_ id: TaskID) -> Bool {
    guard let task = tasks[id], task.state == .failed || task.state == .cancelled, task.phase != .pending else {
      return false
    }
    return task.key.map { (owner(of: $0, task.type) ?? id) == id } ?? true
  }

  func revive(_ id: TaskID) {
    guard let task = tasks[id] else { return }
    tasks[id] = ExpectedTask(
      type: task.type, take: task.take, round: task.round + 1, priority: task.priority, key: task.key)
    if let key = task.key { claims["\(task.type):\(key)"] = id }
  }

  func delete() async throws {
    guard let id = anyTask(), let task = tasks[id] else { return }
    step = "delete \(id)"
    do {
      try await fixture.store.delete(id)
      hold(task.isFinal)
      forget(id)
    } catch { hold(!task.isFinal && error == .forbidden(id, status: task.state.status)) }
  }

  func forget(_ id: TaskID) {
    if let task = tasks[id], let key = task.key, claims["\(task.type):\(key)"] == id {
      claims["\(task.type):\(key)"] = nil
    }
    tasks[id] = nil
    order.removeAll { $0 == id }
  }
}
