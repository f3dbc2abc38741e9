// SPDX-License-Identifier: Apache-2.0
import Redis
import TaskModel
import TaskStore
import TestSupport
import Testing

private let past = Timestamp(millis: 1000)
private let large = String(decoding: [UInt8].text(2000), as: UTF8.self)

extension ScriptScene {
  static let all: [ScriptScene] =
    [
      submit, submitMore, take, takeInTurns, takeHandlers, completeOutcomes, completeReports, completeTwice, hello,
      heartbeat, reap, settle,
      cancel, cancelTaken, cancelScheduled, cancelDetached, retry, retryKeyed, delete, deleteKeyed, recall, resume,
      fire,
      fireFull, retain, watch, register, heartbeatExpiry, completeExpiring,
    ] + losses + plain

  static let submit = ScriptScene(script: .submit, name: "new tasks", prepare: { _ in }) { world in
    async let first = world.fixture.submit()
    async let second = world.fixture.submit(type: "telling")
    async let third = world.fixture.submit(large)
    world.ids = try await [first, second, third]
  }

  static let submitMore = ScriptScene(script: .submit, name: "keys, priorities, due and expiry times") { world in
    world.ids.append(try await world.fixture.submit { $0.key = "taken" })
    // Only a type that may be full is looked at.
    let backlogs = ["work": Housekeeping.Backlog(pending: 1, scheduled: 0)]
    world.fixture.store.note(backlogs)
  } act: { world in
    async let repeated = world.fixture.submit { $0.key = "taken" }
    async let first = world.fixture.submit {
      $0.key = "new"
      $0.priority = .high
    }
    async let second = world.fixture.submit { $0.key = "new" }
    async let third = world.fixture.submit(type: "telling") {
      $0.due = .after(.seconds(60))
      $0.expires = .at(past)
    }
    async let fourth = world.fixture.submit { $0.priority = .low }
    world.ids = try await Array(Set([repeated, first, second, third, fourth]))
    #expect(world.ids.count == 4)
  }

  static let takeInTurns = ScriptScene(script: .take, name: "tasks of all priorities") { world in
    for priority in [TaskPriority.low, .normal, .high] {
      world.ids.append(try await world.fixture.submit { $0.priority = priority })
    }
    world.ids.append(
      try await world.fixture.submit {
        $0.priority = .high
        $0.expires = .at(past)
      })
    _ = try world.worker()
  } act: { world in
    try world.workers[0].take()
  }

  static let take = ScriptScene(script: .take, name: "tasks and a ghost") { world in
    try await world.submit(3)
    _ = try await world.fixture.store.cancel(world.ids[1])
    _ = try world.worker()
  } act: { world in
    try world.workers[0].take()
  }

  static let takeHandlers = ScriptScene(script: .take, name: "handler calls") { world in
    let worker = try await world.busyWorker(3, "telling")
    try worker.write { _ in .completed(result: .one) }
    try worker.write { _ in .givenBack }
    try await world.insist { try await world.fixture.store.delete(world.ids[1]) }
    world.deleted = [world.ids[1]]
  } act: { world in
    try world.workers[0].take("telling", handlers: true)
  }

  static let completeOutcomes = ScriptScene(script: .complete, name: "outcomes") { world in
    let worker = try await world.busyWorker(7)
    try await world.submit(3, "telling")
    try worker.take("telling")
    try worker.write { $0.task.id == world.ids[5] ? .running(deadline: nil) : nil }
    _ = try await world.fixture.store.cancel(world.ids[4])
  } act: { world in
    try world.workers[0].write { held in
      switch world.ids.firstIndex(of: held.task.id) {
      case 0: .completed(result: .text(2000))
      case 1: .failed(.broken)
      case 2: .retry(.broken, at: past)
      case 3: .detached(deadline: past)
      case 4: .givenBack
      case 5: .givenBack
      case 6: .stopped
      case 7: .completed(result: .one)
      case 8: .failed(.broken)
      default: .completed(result: .text(3000))
      }
    }
  }

  static let completeReports = ScriptScene(script: .complete, name: "marks, progress and handlers") { world in
    let worker = try await world.busyWorker(4, "telling")
    try worker.write { _ in .completed(result: .one) }
    try await world.submit(3)
    try worker.take()
  } act: { world in
    try world.workers[0].write { held in
      switch world.ids.firstIndex(of: held.task.id) {
      case 0: .handlerDelivered
      case 1: .handlerFailed("no")
      case 2: .handlerAgain("not yet", at: past)
      case 3: .givenBack
      case 4: .running(deadline: nil)
      case 5: .progress(Progress(fraction: 0.5, note: "half"))
      default: nil
      }
    }
  }

  static let completeTwice = ScriptScene(script: .complete, name: "several writes of one task") { world in
    _ = try await world.busyWorker(3)
  } act: { world in
    let worker = world.workers[0]
    try worker.write { _ in .running(deadline: nil) }
    try worker.write {
      $0.task.id == world.ids[0] ? .detached(deadline: past) : .progress(Progress(fraction: 1, note: ""))
    }
    try worker.write { _ in .retry(.broken, at: past) }
  }

  static let completeExpiring = ScriptScene(script: .complete, name: "tasks with keys, expiry and logs") { world in
    for key in ["a", "b", "c", "d"] {
      world.ids.append(
        try await world.fixture.submit {
          $0.key = key
          $0.expires = .after(.seconds(3600))
          $0.priority = .low
        })
    }
    for type in ["work", "telling", "work"] {
      world.ids.append(try await world.fixture.submit(type: type) { $0.expires = .after(.seconds(3600)) })
    }
    let worker = try world.worker()
    try worker.take()
    try worker.take("telling")
    _ = try await world.fixture.store.cancel(world.ids[6])
  } act: { world in
    let worker = world.workers[0]
    try worker.write { _ in .log([Array("{}".utf8), Array(#"{"level":"info"}"#.utf8)]) }
    try worker.write { held in
      switch world.ids.firstIndex(of: held.task.id) {
      case 0: .completed(result: .one)
      case 1: .retry(.broken, at: past)
      case 2: .givenBack
      case 4, 5, 6: .expired
      default: .running(deadline: Timestamp(millis: 4_000_000_000_000))
      }
    }
  }

  static let hello = ScriptScene(script: .hello, name: "batches that were lost") { world in
    let worker = try await world.busyWorker(2)
    try await world.submit(3)
    _ = try await world.fixture.store.cancel(world.ids[0])
    world.proxy.spoilNext(.take, .loseAnswer)
    // The hello that follows the lost answer is not to find the batch: it is lost, too.
    world.proxy.intercept { request in
      request.script == .take ? .loseAnswer : request.script == .hello ? .loseRequest : .pass
    }
    _ = try? worker.take()
    world.proxy.intercept(nil)
  } act: { world in
    try world.workers[0].connect()
  }

  static let heartbeat = ScriptScene(script: .heartbeat, name: "lost batches, due tasks, deadlines") { world in
    let worker = try await world.busyWorker(2)
    try worker.write { $0.task.id == world.ids[0] ? .retry(.broken, at: past) : .detached(deadline: past) }
    try await world.submit(3, "telling")
    try worker.take("telling")
    try worker.write { held in
      held.task.id == world.ids[2]
        ? .detached(deadline: past) : held.task.id == world.ids[3] ? .completed(result: .one) : nil
    }
    try worker.write { $0.task.id == world.ids[3] ? .handlerAgain("not yet", at: past) : nil }
    try await world.submit(2)
    world.proxy.intercept { request in
      request.script == .take ? .loseAnswer : request.script == .hello ? .loseRequest : .pass
    }
    _ = try? worker.take()
    world.proxy.intercept(nil)
  } act: { world in
    let beat = {
      try world.fixture.housekeeping().beat(
        host: world.fixture.store.hostID, types: ["work", "telling"], workers: [world.workers[0].beat])
    }
    do { _ = try beat() } catch { _ = try beat() }
  }

  static let heartbeatExpiry = ScriptScene(script: .heartbeat, name: "what has expired") { world in
    for type in ["work", "telling"] {
      for due in [nil, Submission.Moment.after(.milliseconds(20))] {
        world.ids.append(
          try await world.fixture.submit(type: type) {
            $0.due = due
            $0.expires = .at(past)
          })
      }
    }
  } act: { world in
    let beat = {
      try world.fixture.housekeeping().beat(
        host: world.fixture.store.hostID, types: ["work", "telling"], workers: [])
    }
    do { _ = try beat() } catch { _ = try beat() }
  }

  static let reap = ScriptScene(script: .reap, name: "a dead worker") { world in
    let worker = try await world.busyWorker(4)
    try worker.write { $0.task.id == world.ids[1] ? .running(deadline: nil) : nil }
    _ = try await world.fixture.store.cancel(world.ids[2])
    try await world.submit(2, "telling")
    try worker.take("telling")
    try worker.write { $0.task.id == world.ids[4] ? .completed(result: .one) : nil }
    world.gone = [worker.id]
    world.workers = []
  } act: { world in
    let reap = { try world.fixture.housekeeping().reap(world.gone[0]) }
    do { _ = try reap() } catch { _ = try reap() }
  }

  static let settle = ScriptScene(script: .settle, name: "detached tasks") { world in
    let worker = try await world.busyWorker(1, "telling")
    try worker.write { _ in .detached(deadline: past) }
    try await world.submit(1)
    try worker.take()
    try worker.write { _ in .detached(deadline: past) }
  } act: { world in
    try await world.insist { _ = try await world.fixture.store.settle(world.ids[0], .completed(result: .text(2000))) }
  }

  static let cancel = ScriptScene(script: .cancel, name: "a task that waits") { world in
    try await world.submit(1)
  } act: { world in
    try await world.insist { _ = try await world.fixture.store.cancel(world.ids[0]) }
  }

  static let cancelTaken = ScriptScene(script: .cancel, name: "a task that a worker has") { world in
    _ = try await world.busyWorker(1)
  } act: { world in
    try await world.insist { _ = try await world.fixture.store.cancel(world.ids[0], within: .zero) }
  }

  static let cancelScheduled = ScriptScene(script: .cancel, name: "a task that waits for its retry") { world in
    try await world.busyWorker(1).write { _ in .retry(.broken, at: past) }
  } act: { world in
    try await world.insist { _ = try await world.fixture.store.cancel(world.ids[0]) }
  }

  static let cancelDetached = ScriptScene(script: .cancel, name: "a detached task") { world in
    try await world.busyWorker(1).write { _ in .detached(deadline: past) }
  } act: { world in
    try await world.insist { _ = try await world.fixture.store.cancel(world.ids[0]) }
  }

  static let retry = ScriptScene(script: .retry, name: "a failed task with progress") { world in
    let worker = try await world.busyWorker(1)
    try worker.write { _ in .progress(Progress(fraction: 0.5, note: "half")) }
    try worker.write { _ in .failed(.broken) }
  } act: { world in
    try await world.insist { try await world.fixture.store.retry(world.ids[0]) }
  }

  static let retryKeyed = ScriptScene(script: .retry, name: "tasks with keys, priorities and logs") { world in
    for key in ["a", "b"] {
      world.ids.append(
        try await world.fixture.submit {
          $0.key = key
          $0.priority = .low
          $0.expires = .after(.seconds(60))
        })
    }
    let worker = try world.worker()
    try worker.take()
    try worker.write { _ in .log([Array("{}".utf8)]) }
    try worker.write { _ in .failed(.broken) }
  } act: { world in
    try await world.insist { _ = try await world.fixture.store.retry(.tasks(world.ids)) }
  }

  static let deleteKeyed = ScriptScene(script: .delete, name: "tasks with keys and logs") { world in
    for key in ["a", "b"] { world.ids.append(try await world.fixture.submit { $0.key = key }) }
    let worker = try world.worker()
    try worker.take()
    try worker.write { _ in .log([Array("{}".utf8)]) }
    try worker.write { _ in .failed(.broken) }
    world.deleted = Set(world.ids)
  } act: { world in
    try await world.insist { _ = try await world.fixture.store.delete(.tasks(world.ids)) }
  }

  static let recall = ScriptScene(script: .recall, name: "a handler that was given up") { world in
    let worker = try await world.busyWorker(1, "telling")
    try worker.write { _ in .failed(.broken) }
    try worker.write { _ in .handlerFailed("no") }
  } act: { world in
    try await world.insist { _ = try await world.fixture.store.callHandler(world.ids[0]) }
  }

  static let resume = ScriptScene(script: .pause, name: "a type that is paused") { world in
    world.ids.append(try await world.fixture.submit { $0.priority = .high })
    try await world.fixture.store.setPaused("work", true)
  } act: { world in
    for _ in 0..<3 { try await world.insist { try await world.fixture.store.setPaused("work", false) } }
  }

  private static func fire(_ world: SceneWorld, _ definition: TypeDefinition) throws {
    var submission = Submission(type: "work", params: .text(2000))
    submission.priority = .high
    let due = Timestamp(millis: 1_700_000_000_000)
    func fire() throws -> Housekeeping.Firing {
      try world.fixture.housekeeping().fire("hourly", due: due, submission, of: definition, now: due)
    }
    do { _ = try fire() } catch { _ = try fire() }
    #expect(try fire() == .done(last: due))
  }

  static let fire = ScriptScene(script: .fire, name: "a due time") { world in
    _ = try world.fixture.housekeeping().know("hourly", from: Timestamp(millis: 1_600_000_000_000))
  } act: { world in
    try fire(world, StoreFixture.type)
  }

  static let fireFull = ScriptScene(script: .fire, name: "a due time of a type that is full") { world in
    try await world.submit(1)
  } act: { world in
    var definition = StoreFixture.type
    definition.queueCapacity = 1
    try fire(world, definition)
  }

  static let delete = ScriptScene(script: .delete, name: "a task with large bodies and a pending handler") { world in
    try await world.submit(1, "telling", params: large)
    let worker = try world.worker()
    try worker.take("telling")
    try worker.write { _ in .completed(result: .text(2000)) }
    world.deleted = [world.ids[0]]
  } act: { world in
    try await world.insist { try await world.fixture.store.delete(world.ids[0]) }
  }

  static let retain = ScriptScene(script: .retain, name: "old, deleted and pending ones") { world in
    try await world.submit(1, "telling")
    try await world.submit(3, "telling", params: large)
    let worker = try world.worker()
    try worker.take("telling")
    try worker.write { _ in .completed(result: .text(2000)) }
    try worker.write { $0.task.id == world.ids[0] ? nil : .handlerDelivered }
    try await world.fixture.store.delete(world.ids[1])
    world.deleted = Set(world.ids.dropFirst())
  } act: { world in
    let retain = { try world.fixture.housekeeping().retain(type: "telling", list: "done", count: 0, before: past) }
    do { _ = try retain() } catch { _ = try retain() }
  }

  static let watch = ScriptScene(script: .watch, name: "a task that waits") { world in
    try await world.submit(1)
  } act: { world in
    await world.fixture.store.awaitFinal(world.ids[0], within: .milliseconds(1))
  }

  static let register = ScriptScene(script: .register, name: "a host that was forgotten") { world in
    try await world.submit(1)
    try world.fixture.housekeeping().reap(world.fixture.store.hostID)
  } act: { world in
    world.ids.append(try await world.fixture.submit())
  }
}
