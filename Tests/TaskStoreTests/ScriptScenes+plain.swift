// SPDX-License-Identifier: Apache-2.0
import TaskModel
import TaskStore
import TestSupport
import Testing

private let past = Timestamp(millis: 1000)

/// What is written past the scripts, and what outdates it.
extension ScriptScene {
  static let plain: [ScriptScene] = [submitPlain, completePlain, completeMixed, watchTaken, watchRunning]

  /// The host knows that no type is near its capacity.
  private static func noteRoom(_ world: SceneWorld) {
    let none = Housekeeping.Backlog(pending: 0, scheduled: 0)
    world.fixture.store.note(["work": none, "telling": none])
  }

  static let submitPlain = ScriptScene(script: .submitted, name: "plain tasks of two types", prepare: noteRoom) {
    world in
    let fixture = world.fixture
    async let first = fixture.submit()
    async let second = fixture.submit(type: "telling")
    async let third = fixture.submit("[3]")
    world.ids = try await [first, second, third]
    world.ids.append(try await fixture.submit())
  }

  static let completePlain = ScriptScene(script: .completed, name: "plain tasks") { world in
    _ = try await world.busyWorker(3)
  } act: { world in
    try world.workers[0].write { _ in .completed(result: .one) }
  }

  static let completeMixed = ScriptScene(script: .complete, name: "plain tasks and others") { world in
    _ = try await world.busyWorker(6)
  } act: { world in
    try world.workers[0].write { held in
      switch world.ids.firstIndex(of: held.task.id) {
      case 0: .failed(.broken)
      case 1: .retry(.broken, at: past)
      case 2: .detached(deadline: past)
      case 3: .givenBack
      default: .completed(result: .one)
      }
    }
  }

  static let watchTaken = ScriptScene(script: .watch, name: "a task that a worker has") { world in
    _ = try await world.busyWorker(2)
  } act: { world in
    await world.fixture.store.awaitFinal(world.ids[0], within: .milliseconds(1))
  }

  static let watchRunning = ScriptScene(script: .watch, name: "a task that runs") { world in
    try await world.busyWorker(2).write { _ in .running(deadline: nil) }
  } act: { world in
    await world.fixture.store.awaitFinal(world.ids[0], within: .milliseconds(1))
  }
}
