// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

@Suite("Measuring a machine")
struct BenchTests {
  /// A folder for the directories of hosts; nothing may be left in it, nor any process that names it.
  private let folder: TemporaryDirectory

  init() throws { folder = try TemporaryDirectory() }

  private func bench(_ words: String...) throws -> RoostCommand.Outcome {
    try RoostCommand.run(["bench"] + words, environment: ["TMPDIR": folder.path])
  }

  private func expectNothingLeft() throws {
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == [])
    #expect(try run("/usr/bin/pgrep", ["-f", folder.path]).output == "")
  }

  private func stages(_ outcome: RoostCommand.Outcome) throws -> [String: [String: Any]] {
    let document = try #require(try JSONSerialization.jsonObject(with: Data(outcome.output.utf8)) as? [String: Any])
    return try #require(document["stages"] as? [String: [String: Any]])
  }

  private static let ofEachTask: Set = [
    "tasks", "seconds", "tasksPerSecond", "redisMicrosPerTask", "redisCallsPerTask", "cpuMicrosPerTask",
    "hostMicrosPerTask", "workerMicrosPerTask", "hostRSSBytes", "workerRSSBytes",
  ]
  private static let times: Set = ["p50Millis", "p95Millis", "p99Millis", "maxMillis"]

  @Test("A short run of every stage answers all its numbers, and leaves no process and no file")
  func everything() throws {
    let outcome = try bench(
      "--tasks", "300", "--rate", "300", "--connections", "4", "--parked", "20", "--result", "20", "--slow", "--json")
    #expect((outcome.code, outcome.errors) == (0, ""))
    let document = try #require(try JSONSerialization.jsonObject(with: Data(outcome.output.utf8)) as? [String: Any])
    let machine = try #require(document["machine"] as? [String: Any])
    #expect(
      Set(machine.keys) == ["cores", "cpu", "kernel", "redisVersion", "fsync", "embeddedRedis"])
    #expect(machine["fsync"] as? String == "everysec")
    #expect(document["failures"] == nil)
    let stages = try stages(outcome)
    let (all, times) = (Self.ofEachTask, Self.times)
    let expected: [String: Set<String>] = [
      "submit": all.union(["bytesPerPendingTask"]),
      "httpSubmit": all.union(times), "httpBatch": all, "take": all,
      "drain": all.union(["bytesPerPendingTask", "bytesPerFinishedTask", "slowTasksPerSecond"]),
      "both": all.union(["redisTrimMicrosPerTask", "slowTasksPerSecond"]),
      "latency": all.union(times).union(["http", "slowTasksPerSecond"]),
      "idle": [
        "seconds", "hostCorePercent", "workerCorePercent", "redisCallsPerSecond", "hostRSSBytes", "workerRSSBytes",
      ],
    ]
    #expect(Set(stages.keys) == Set(expected.keys))
    for (stage, members) in expected {
      // A run of a few milliseconds may end before a long task does.
      let found = Set(try #require(stages[stage]).keys)
      #expect(found.symmetricDifference(members).isSubset(of: ["slowTasksPerSecond"]), "\(stage): \(found)")
      for (name, value) in stages[stage] ?? [:] where !name.hasPrefix("bytesPer") {
        if let number = value as? Double { #expect(number >= 0, "\(stage) \(name)") }
      }
      if let tasks = stages[stage]?["tasks"] as? Int { #expect(tasks >= 300) }
    }
    let http = Set(try #require(stages["latency"]?["http"] as? [String: Any]).keys)
    #expect(http.subtracting(["slowTasksPerSecond"]) == all.union(times))
    try expectNothingLeft()
  }

  @Test("The table has a line for each stage that was asked for, and no line is wider than 80 columns")
  func table() throws {
    let outcome = try bench("--tasks", "200", "--stages", "drain,submit", "--threads", "3")
    #expect((outcome.code, outcome.errors) == (0, ""))
    let lines = outcome.output.split(separator: "\n").map(String.init)
    #expect(lines[1] == "200 tasks a stage, params of 99 bytes, the same as results")
    #expect(lines[2] == "1 process of 3 threads")
    // The first line is as long as the names of machine and kernel.
    #expect(lines.dropFirst().allSatisfy { $0.count <= 80 })
    #expect(lines[3].contains("CPU µs a task"))
    #expect(lines[4].hasPrefix("stage      tasks/s"))
    #expect(lines[5].hasPrefix("submit  "))
    #expect(lines[6].hasPrefix("drain  "))
  }

  @Test("A Redis of somebody else keeps all that it had and nothing more")
  func foreignRedis() throws {
    let redis = try RedisServer()
    let foreign = ["roost-bench", "roost-bench-none:x", "roost:{00}:t:1", "other"]
    for key in foreign { try redis.cli("set", key, "kept") }
    let outcome = try bench(
      "--tasks", "2500", "--stages", "submit,both", "--redis", "unix://\(redis.directory.path)/redis.sock", "--json")
    #expect((outcome.code, outcome.errors) == (0, ""))
    #expect(try stages(outcome)["both"]?["tasks"] as? Int == 2500)
    #expect(try redis.keys() == foreign.sorted())
    #expect(try redis.cli("get", "roost:{00}:t:1") == "kept")
    try expectNothingLeft()
  }

  @Test("A Redis that refuses MONITOR is measured without the figure that needs it")
  func withoutMonitor() throws {
    let redis = try RedisServer()
    try redis.cli("acl", "setuser", "default", "-monitor")
    let outcome = try bench(
      "--tasks", "300", "--stages", "both,idle", "--redis", "unix://\(redis.directory.path)/redis.sock", "--json")
    #expect((outcome.code, outcome.errors) == (0, ""))
    let stages = try stages(outcome)
    let both = Set(try #require(stages["both"]).keys)
    #expect(both == Self.ofEachTask.subtracting(["redisCallsPerTask"]).union(["redisTrimMicrosPerTask"]))
    #expect(stages["idle"]?["seconds"] != nil)
    #expect(stages["idle"]?["redisCallsPerSecond"] == nil)
  }

  @Test(
    "Ctrl-C while tasks are submitted leaves none of them in a Redis of somebody else", arguments: ["submit", "both"])
  func interruptedBeforeForeignRedis(_ stage: String) throws {
    let redis = try RedisServer()
    try redis.cli("set", "other", "kept")
    let process = RoostCommand.make(
      ["bench", "--tasks", "100000000", "--stages", stage, "--redis", "unix://\(redis.directory.path)/redis.sock"],
      environment: ["TMPDIR": folder.path], directory: "/")
    try process.run()
    // More than goes first.
    try eventually("tasks are stored") { Int(try redis.cli("dbsize")) ?? 0 > 10_000 }
    kill(process.processIdentifier, SIGINT)
    process.waitUntilExit()
    #expect(process.terminationReason == .uncaughtSignal)
    #expect(try redis.keys() == ["other"])
    try expectNothingLeft()
  }

  @Test("Ctrl-C ends the host and removes what it kept", arguments: [SIGINT, SIGTERM])
  func interrupted(_ signal: Int32) throws {
    let process = RoostCommand.make(
      ["bench", "--stages", "idle"], environment: ["TMPDIR": folder.path], directory: "/")
    process.standardOutput = FileHandle.nullDevice
    try process.run()
    try eventually("a worker runs") { try run("/usr/bin/pgrep", ["-f", folder.path]).output.contains("\n") }
    kill(process.processIdentifier, signal)
    process.waitUntilExit()
    #expect(process.terminationReason == .uncaughtSignal)
    #expect(process.terminationStatus == signal)
    try expectNothingLeft()
  }

  @Test("What cannot run says why and ends with 1")
  func failures() throws {
    let noPlugin = try bench("--plugin", "/nowhere/libEcho.so", "--stages", "idle")
    #expect((noPlugin.code, noPlugin.output) == (1, ""))
    #expect(
      noPlugin.errors
        == "roost: the plugin to measure with is missing: there is no /nowhere/libEcho.so; --plugin names nothing\n")
    let noRedis = try bench("--redis", "unix:///nowhere/redis.sock", "--stages", "submit", "--json")
    #expect(noRedis.code == 1)
    #expect(noRedis.errors.hasPrefix("roost: stage submit: "))
    #expect(noRedis.output.contains(#""failures":{"submit":""#))
    try expectNothingLeft()
  }
}
