// SPDX-License-Identifier: Apache-2.0
import Foundation
import TaskModel
import TaskStore
import TestSupport
import Testing

@Suite("Everything at once", .timeLimit(.minutes(240)))
struct ChaosTests {
  @Test("Whatever is killed, stopped, cut and replaced in any order, every task ends once with its own result")
  func chaos() async throws {
    let plan = ChaosPlan.ofEnvironment
    print("chaos: seed \(plan.seed), \(plan.tasks) tasks in \(plan.time)")
    let scene = try await ChaosScene()
    let hosts = scene.hosts
    let client = Submitter(
      count: plan.tasks, type: "ledger", perSecond: Double(plan.tasks) / (plan.time / .seconds(1)), isKeyed: true
    ) { hosts.compactMap(\.process.url) }
    let story = try await tell(plan, scene)
    try await scene.calmDown()
    try await eventually(within: .seconds(120), "all are submitted") { () async in
      client.submitted.count == plan.tasks
    }
    #expect(client.surprises == [])
    // A breaker that opened meanwhile tries again after half a minute.
    try? await eventually(within: .seconds(180), "nothing is left to do") { () async throws in
      try !scene.redis.keys().contains { key in
        [":q:", ":sq:", ":hq:", ":due:", ":hdue:", ":flight:", ":run:"].contains { key.contains($0) }
      }
    }
    var tally = try await ChaosTally(client.submitted, scene)
    tally.zombies = try hosts.flatMap { try descendants(of: $0.process.pid) }.count { $0.state == "Z" }
    let repeating = story.count(where: \.mayRepeat)
    print("chaos: seed \(plan.seed): \(story.count) deeds, reloads answered \(scene.reloadAnswers); \(tally)")
    let note = Comment(rawValue: "repeat with ROOST_CHAOS_SEED=\(plan.seed)")
    #expect(tally.lost == [], note)
    #expect(tally.endedTwice == 0, note)
    #expect(tally.wrong == [], note)
    #expect(tally.zombies == 0, note)
    #expect(tally.withoutCallback == [], note)
    // What a worker had run and not written down yet when it was lost: what its threads had, and what was fetched beside it.
    #expect(
      tally.repeated <= repeating * ChaosScene.processes * ChaosScene.threads * 2, note)
  }

  /// Does one thing after the other until the time is over.
  private func tell(_ plan: ChaosPlan, _ scene: ChaosScene) async throws -> [ChaosDeed] {
    var generator = SeededGenerator(seed: plan.seed)
    var story: [ChaosDeed] = []
    let end = ContinuousClock.now + plan.time
    while ContinuousClock.now < end {
      try await pass(.milliseconds(Int.random(in: 300...2000, using: &generator)))
      let deed = ChaosDeed.draw(&generator)
      story.append(deed)
      print("chaos: \(deed)")
      try await scene.perform(deed)
    }
    return story
  }
}

/// What became of the tasks.
private struct ChaosTally: CustomStringConvertible {
  var tasks = 0
  /// Neither there nor final.
  var lost: [TaskID] = []
  /// Final, and not COMPLETED with their own result in one attempt.
  var wrong: [String] = []
  var endedTwice = 0
  var withoutCallback: [TaskID] = []
  var zombies = 0
  /// Runs of the executor beyond one for each task.
  var repeated = 0

  init(_ submitted: [TaskID: Int], _ scene: ChaosScene) async throws {
    tasks = submitted.count
    let journal = scene.hosts.flatMap(\.journal)
    let called = Set(journal.filter { $0.hasPrefix("completed ") }.map { $0.dropFirst("completed ".count) })
    let runs = journal.filter { $0.hasPrefix("ran ") }
    repeated = runs.count - Set(runs).count
    let ids = Array(submitted.keys)
    for start in stride(from: 0, to: ids.count, by: 500) {
      let chunk = Array(ids[start..<min(start + 500, ids.count)])
      for (id, record) in zip(chunk, try await scene.hosts[0].store.records(chunk, parts: .all)) {
        guard let record, record.status.isFinal else {
          lost.append(id)
          continue
        }
        if record.status != .completed || record.result != Array(Submitter.params(submitted[id] ?? -1).utf8)
          || record.attempts != 1
        {
          wrong.append("\(record)")
        }
        if record.handler.phase != .delivered || !called.contains("\(id)") { withoutCallback.append(id) }
      }
    }
    // Each key has one task, and each task stands in the lists of final ones once.
    let ended = try ["done", "dead"].flatMap { list in
      try scene.redis.cli("--raw", "lrange", "roost:{00}:\(list):ledger", "0", "-1").split(separator: "\n")
    }
    endedTwice = ended.count - Set(ended).count + max(0, Set(ended).count - tasks)
  }

  var description: String {
    "\(tasks) tasks: \(lost.count) lost, \(endedTwice) with two outcomes, \(wrong.count) wrong, "
      + "\(withoutCallback.count) callbacks missing, \(zombies) zombies, \(repeated) executions repeated"
  }
}
