// SPDX-License-Identifier: Apache-2.0
import TaskModel
import TaskStore
import TestSupport
import Testing

private let past = Timestamp(millis: 1000)

extension SceneWorld {
  /// Lets the worker be gone, with what is known of its end.
  func reap(_ worker: String, _ loss: WorkerLoss) throws {
    let reap = { try self.fixture.housekeeping().reap(worker, loss) }
    do { _ = try reap() } catch { _ = try reap() }
  }

  /// New tasks of which one may have taken its worker down.
  func suspects(_ count: Int, _ type: String = "work", _ more: (inout Submission) -> Void = { _ in }) async throws {
    var fresh: [TaskID] = []
    for _ in 0..<count { fresh.append(try await fixture.submit(type: type, more)) }
    ids += fresh
    let worker = try TestWorker(fixture)
    try reap(worker.id, WorkerLoss(findings: worker.take(type).map { .init($0, .suspect) }))
    workers.removeAll { $0.id == worker.id }
  }

  /// The worker is gone; what it held, each with its index among the ids.
  func gone(_ worker: TestWorker, _ finding: (Int, TakenTask) -> WorkerLoss.Verdict?) -> WorkerLoss {
    gone = [worker.id]
    workers = []
    return WorkerLoss(
      findings: worker.held.compactMap { held in
        let index = ids.firstIndex(of: held.task.id) ?? 0
        return finding(index, held.task).map { .init(held.task, $0) }
      })
  }
}

extension ScriptScene {
  static let losses: [ScriptScene] = [
    reapAttempts, reapCulprit, reapOften, reapHandlers, reapOverdue, takeAlone, completeOverdue, completeAlone,
    helloOverdue, heartbeatOverdue, heartbeatAlone, cancelAlone, retryAlone, resumeAlone,
  ]

  static let reapAttempts = ScriptScene(script: .reap, name: "crashed, suspected and failed attempts") { world in
    let worker = try await world.busyWorker(7, "patient")
    try worker.write { [1, 3, 6].contains(world.ids.firstIndex(of: $0.task.id)) ? .running(deadline: nil) : nil }
    _ = try await world.fixture.store.cancel(world.ids[5], within: .zero)
    world.losses = world.gone(worker) { index, _ in
      [.crashed(.crash), .suspect, .failed(.late), .failed(.greedy), .failed(.late), .crashed(.crash), nil][index]
    }
  } act: { world in
    try world.reap(world.gone[0], world.losses)
  }

  static let reapCulprit = ScriptScene(script: .reap, name: "tasks that are to run alone") { world in
    for priority in TaskPriority.allCases {
      world.ids.append(
        try await world.fixture.submit {
          $0.priority = priority
          $0.key = priority.name
          $0.expires = .after(.seconds(3600))
        })
    }
    let worker = try world.worker()
    try worker.take()
    world.losses = world.gone(worker) { index, _ in index == 0 ? .suspect : .crashed(.crash) }
  } act: { world in
    try world.reap(world.gone[0], world.losses)
  }

  static let reapOften = ScriptScene(script: .reap, name: "a task whose worker is lost for the fifth time") { world in
    try await world.submit(2, "patient")
    for round in 1...5 {
      let worker = try world.worker()
      try worker.take("patient")
      try worker.write { $0.task.id == world.ids[0] || round < 5 ? .running(deadline: nil) : nil }
      if round < 5 { try world.reap(worker.id, WorkerLoss()) }
      world.workers = []
      world.gone = [worker.id]
    }
  } act: { world in
    try world.reap(world.gone[0], WorkerLoss())
  }

  static let reapHandlers = ScriptScene(script: .reap, name: "handler calls that crashed or may have") { world in
    let worker = try await world.busyWorker(4, "patient")
    try worker.write { $0.task.id == world.ids[1] ? .failed(.broken) : .completed(result: .one) }
    try worker.write { $0.task.id == world.ids[0] ? .handlerAgain("no", at: past) : .givenBack }
    _ = try world.fixture.housekeeping().beat(host: world.fixture.store.hostID, types: ["patient"], workers: [])
    try worker.take("patient", handlers: true)
    world.losses = world.gone(worker) { index, _ in
      [.crashed(.crash), .crashed(.crash), .suspect, .failed(.late)][index]
    }
  } act: { world in
    try world.reap(world.gone[0], world.losses)
  }

  static let reapOverdue = ScriptScene(script: .reap, name: "attempts that a timeout was decided for") { world in
    let worker = try await world.busyWorker(2, "patient")
    try worker.write { $0.task.id == world.ids[0] ? .running(deadline: past) : nil }
    try worker.write { _ in .overdue }
    world.losses = world.gone(worker) { _, _ in nil }
  } act: { world in
    try world.reap(world.gone[0], world.losses)
  }

  static let takeAlone = ScriptScene(script: .take, name: "tasks that run alone, and ghosts") { world in
    try await world.suspects(4)
    try await world.insist { _ = try await world.fixture.store.cancel(world.ids[0]) }
    try await world.insist { try await world.fixture.store.retry(world.ids[0]) }
    try await world.insist { _ = try await world.fixture.store.cancel(world.ids[1]) }
    _ = try world.worker()
  } act: { world in
    try world.workers[0].take(from: .alone)
  }

  static let completeOverdue = ScriptScene(script: .complete, name: "attempts that are overdue") { world in
    let worker = try await world.busyWorker(5, "patient")
    try worker.write { $0.task.id == world.ids[3] ? .running(deadline: past) : nil }
  } act: { world in
    let worker = world.workers[0]
    try worker.write { _ in .overdue }
    try worker.write { held in
      switch world.ids.firstIndex(of: held.task.id) {
      case 0: .givenBack
      case 1: .retry(.late, at: past)
      case 2: .completed(result: .one)
      case 3: .detached(deadline: past)
      default: nil
      }
    }
  }

  static let completeAlone = ScriptScene(script: .complete, name: "outcomes of tasks that run alone") { world in
    try await world.suspects(5)
    try world.worker().take(from: .alone)
  } act: { world in
    let worker = world.workers[0]
    try worker.write { _ in .running(deadline: nil) }
    try worker.write { held in
      switch world.ids.firstIndex(of: held.task.id) {
      case 0: .completed(result: .one)
      case 1: .failed(.broken)
      case 2: .retry(.broken, at: past)
      case 3: .detached(deadline: past)
      default: .givenBack
      }
    }
  }

  static let helloOverdue = ScriptScene(script: .hello, name: "a lost attempt that is overdue") { world in
    let worker = try await world.busyWorker(2, "patient")
    try worker.write { _ in .overdue }
    worker.forget()
  } act: { world in
    try world.workers[0].connect()
  }

  private static func beat(
    _ world: SceneWorld, _ types: [String], isClockTrusted: Bool = true
  ) throws -> Housekeeping.Report {
    let beat = {
      try world.fixture.housekeeping().beat(
        host: world.fixture.store.hostID, types: types, workers: world.workers.map(\.beat),
        latest: isClockTrusted ? RedisClock.forever : Timestamp(millis: 1))
    }
    do { return try beat() } catch { return try beat() }
  }

  static let heartbeatOverdue = ScriptScene(script: .heartbeat, name: "a lost attempt that is overdue") { world in
    let worker = try await world.busyWorker(2, "patient")
    try worker.write { $0.task.id == world.ids[0] ? .running(deadline: past) : nil }
    try worker.write { _ in .overdue }
    worker.forget()
  } act: { world in
    // Of another type: what is due again at once would be moved by a repeat.
    _ = try beat(world, ["work"])
  }

  static let heartbeatAlone = ScriptScene(script: .heartbeat, name: "tasks that run alone, and a clock that jumped") {
    world in
    try await world.suspects(2)
    let worker = try await world.busyWorker(1, "patient")
    try worker.write { _ in .detached(deadline: past) }
  } act: { world in
    let alone = try beat(world, ["work", "patient"], isClockTrusted: false).alone
    #expect(alone == ["work": 2])
  }

  static let cancelAlone = ScriptScene(script: .cancel, name: "a task that waits to run alone") { world in
    try await world.suspects(2)
  } act: { world in
    try await world.insist { _ = try await world.fixture.store.cancel(world.ids[1]) }
  }

  static let retryAlone = ScriptScene(script: .retry, name: "a task that crashed") { world in
    let worker = try await world.busyWorker(2, "patient")
    let loss = world.gone(worker) { _, _ in .crashed(.crash) }
    try world.reap(worker.id, loss)
    let other = try world.worker()
    try other.take("patient", handlers: true)
    try other.write { _ in .handlerDelivered }
  } act: { world in
    try await world.insist { _ = try await world.fixture.store.retry(.tasks(world.ids)) }
  }

  static let resumeAlone = ScriptScene(script: .pause, name: "a type whose tasks run alone") { world in
    try await world.suspects(1)
    try await world.fixture.store.setPaused("work", true)
  } act: { world in
    for _ in 0..<3 { try await world.insist { try await world.fixture.store.setPaused("work", false) } }
  }
}
