// SPDX-License-Identifier: Apache-2.0
import Foundation
import TaskModel
import TaskStore
import TestSupport
import Testing

@Suite("Workers and hosts that are killed or stopped")
struct LostWorkerTests {
  @Test("Workers killed under load lose no task and end none twice")
  func killedUnderLoad() async throws {
    let host = try await HostFixture(["workers": #"{"workbench": {"processes": 2}}"#], workers: 2)
    let ids = try await submit(host, "nap", "8", count: 400)
    var kills = 0
    // One more within a minute, and the breaker opens.
    for threshold in [40, 120, 200, 300] {
      try await eventually("\(threshold) have ended") { () async in entries(host, "completed") >= threshold }
      try await eventually("a worker is there") { () async throws in
        guard let pid = try host.workerPids().randomElement() else { return false }
        kills += kill(pid, SIGKILL) == 0 ? 1 : 0
        return true
      }
    }
    #expect(kills == 4)
    for id in ids {
      let record = try #require(try await host.final(id))
      #expect(record.status == .completed)
      #expect(record.attempts == 1)
    }
    try await eventually("every callback was called") { () async in
      let journal = Set(host.journal)
      return ids.allSatisfy { journal.contains("completed \($0)") }
    }
    #expect(try host.redis("llen", "roost:{00}:done:nap") == "400")
    try await nothingIsHeld(host)
  }

  @Test("A worker that stands still for longer than its lease is replaced, and its tasks run elsewhere")
  func stoppedWorker() async throws {
    let host = try await HostFixture(["lease": #""1s""#])
    let id = try await host.submit("gate", #""wait""#)
    try await eventually("it runs") { () async in host.count("gate \(id)") == 1 }
    let worker = try #require(try host.workerPids().first)
    kill(worker, SIGSTOP)
    try await eventually("it runs in another") { () async in host.count("gate \(id)") == 2 }
    #expect(!isAlive(worker), "a task is given back only when what ran it is gone")
    try host.openGate()
    let record = try #require(try await host.final(id))
    #expect(record.status == .completed)
    #expect(record.attempts == 1)
    try await nothingIsHeld(host)
  }

  @Test("A machine that stands still and comes back neither writes nor starts what another host took over")
  func stoppedMachine() async throws {
    let redis = try RedisServer()
    let changes = ["lease": #""1s""#, "types": HostFixture.types(["nap", "gate"], threads: 2)]
    let first = try await HostFixture(changes.merging(["name": #""first""#]) { $1 }, redis: redis)
    var ids = [try await first.submit("gate", #""wait""#)]
    try await eventually("it runs") { () async in first.journal.count == 1 }
    // Tasks that take little time are taken ahead: some wait in the worker when it stops.
    let machine = [first.process.pid] + (try first.workerPids())
    ids += try await submit(first, "nap", "5", count: 400)
    try await eventually("some have ended") { () async in first.journal.count > 60 }
    for pid in machine { kill(pid, SIGSTOP) }
    let (started, called) = (entries(first, "nap"), entries(first, "completed"))
    #expect(started < 400, "it was stopped too late to show anything")

    let second = try await HostFixture(changes.merging(["name": #""second""#]) { $1 }, redis: redis)
    try second.openGate()
    for id in ids { #expect(try await second.final(id)?.status == .completed) }
    try await eventually("every callback was called") { () async in
      Set(first.journal + second.journal).isSuperset(of: ids.map { "completed \($0)" })
    }
    let before = try await second.store.records(Array(ids.prefix(500)), parts: .all).map { $0?.finishedAt }
    #expect(second.lines(containing: "whose heartbeat had stopped").count >= 1)

    try first.openGate()
    for pid in machine { kill(pid, SIGCONT) }
    try await eventually("its worker has ended and another is ready") { () async in
      first.lines(containing: "is ready").count == 2
    }
    #expect(!machine.dropFirst().contains(where: isAlive))
    // Each of the two threads may have been on its way.
    #expect(entries(first, "nap") <= started + 2, "it started nothing more")
    #expect(entries(first, "completed") <= called + 4, "it called no callback")
    #expect(try await second.store.records(Array(ids.prefix(500)), parts: .all).map { $0?.finishedAt } == before)
    #expect(try redis.cli("llen", "roost:{00}:done:nap") == "400")
    #expect(try redis.cli("llen", "roost:{00}:done:gate") == "1")
    // Both are whole again.
    try await second.stop()
    let late = try await first.submit("nap", "1")
    #expect(try await first.final(late)?.status == .completed)
    try await eventually("its callback was called") { () async in first.count("completed \(late)") == 1 }
  }

  @Test("Two living hosts of one name are told so, once")
  func sameName() async throws {
    let redis = try RedisServer()
    let first = try await HostFixture(["name": #""twin""#, "lease": #""500ms""#], redis: redis)
    let warning = "another host is named twin"
    let second = try await HostFixture(["name": #""twin""#, "lease": #""500ms""#], redis: redis)
    try await eventually("both say so") { () async in
      first.lines(containing: warning).count == 1 && second.lines(containing: warning).count == 1
    }
    try await second.stop()
    // A successor of a killed host is no second one.
    try await first.stop(SIGKILL)
    try await first.start()
    let id = try await first.submit("nap", "3000")
    #expect(try await first.final(id)?.status == .completed)
    #expect(first.lines(containing: warning).count == 1)
    #expect(second.lines(containing: warning).count == 1)
  }

  @Test("Of two hosts on one Redis the one that is killed is followed by the other after a lease time")
  func killedHost() async throws {
    let redis = try RedisServer()
    let first = try await HostFixture(["name": #""first""#, "lease": #""1s""#], redis: redis)
    let ids = try await submit(first, "gate", #""wait""#, count: 8)
    try await eventually("four run") { () async in first.journal.count == 4 }
    let second = try await HostFixture(["name": #""second""#, "lease": #""1s""#], redis: redis)
    try await eventually("the other runs the rest") { () async in second.journal.count == 4 }
    try second.openGate()
    try await first.stop(SIGKILL)
    for id in ids {
      let record = try #require(try await second.final(id))
      #expect(record.status == .completed)
      #expect(record.attempts == 1)
    }
    try await eventually("every callback was called") { () async in
      Set(second.journal).isSuperset(of: ids.map { "completed \($0)" })
    }
    try await eventually("the dead host and its worker are forgotten") { () async throws in
      try redis.cli("hlen", "roost:{00}:leases") == "1" && redis.cli("keys", "roost:{00}:flight:*") == ""
    }
  }

  /// A host whose type `command` runs a shell script in the host's directory.
  private func host(running script: String, settings: String = "") async throws -> HostFixture {
    let words = #"{"command": ["/bin/sh", "-c", "\#(script)"]\#(settings)}"#
    return try await HostFixture(
      [
        "plugins": HostFixture.plugins(
          journal: "journal",
          more: #", "command": {"path": "\#(BuildProducts.plugin("Command"))", "settings": \#(words)}"#),
        "types": #"{"command": {"executor": "command/run", "callback": "workbench/written"}}"#,
      ])
  }

  /// The process ids that the script has written down.
  private func pids(_ host: HostFixture) -> [pid_t] {
    ((try? String(contentsOfFile: host.directory.path + "/pids", encoding: .utf8)) ?? "").split(separator: "\n")
      .compactMap { pid_t($0) }
  }

  @Test("A program ends with its worker even when the host was killed too")
  func programOfKilledHost() async throws {
    let host = try await host(running: "echo $$ >> pids; exec sleep 1000")
    _ = try await host.submit("command")
    try await eventually("the program runs") { () async in pids(host).count == 1 }
    let program = pids(host)[0]
    #expect(isAlive(program))
    try await host.stop(SIGKILL)
    try await eventually("the program is gone") { () async in !isAlive(program) }
  }

  @Test("What a killed host left behind in sessions of its own ends when a host starts again")
  func leftByKilledHost() async throws {
    let host = try await host(running: "setsid sh -c 'echo $$ >> pids; exec sleep 1000' & sleep 1000")
    _ = try await host.submit("command")
    try await eventually("it has left one behind") { () async in pids(host).count == 1 }
    let left = pids(host)[0]
    try await host.stop(SIGKILL)
    #expect(isAlive(left))
    try await host.start()
    try await eventually("it is gone") { () async in !isAlive(left) }
  }

  @Test("Processes that programs left behind do not stay as zombies of the host")
  func zombies() async throws {
    let host = try await host(
      running: "setsid sh -c 'echo $$ >> pids; while [ ! -e open ]; do sleep 0.02; done' & "
        // Until it has a session of its own it would be ended with the program.
        + "while [ ! -e pids ]; do sleep 0.01; done")
    let id = try await host.submit("command")
    #expect(try await host.final(id)?.status == .completed)
    try await eventually("it left one") { () async in pids(host).count == 1 }
    let left = pids(host)[0]
    #expect(isAlive(left), "a process with a session of its own outlives its task")
    try host.directory.write("open", "")
    try await eventually("nothing is left of it") { () async in kill(left, 0) != 0 }
    #expect(try host.workerPids().count == 1)
  }

  @Test("What a killed worker left behind is gone before its task runs again")
  func grandchildren() async throws {
    let host = try await host(running: script)
    let id = try await host.submit("command")
    try await eventually("it has left three behind") { () async in pids(host).count == 3 }
    for pid in try host.workerPids() { kill(pid, SIGKILL) }
    let record = try #require(try await host.final(id))
    #expect(record.result.map { String(decoding: $0, as: UTF8.self) } == #""gone""#)
    #expect(record.attempts == 1)
  }

  /// The first time it leaves a child, one that has a session of its own and one whose parent has gone; then it looks for them.
  private let script = #"""
    if [ -e pids ]; then
    for pid in $(cat pids); do if kill -0 $pid; then echo $pid is there; exit; fi; done; echo gone;
    else
    sh -c 'echo $$ >> new; exec sleep 1000' & setsid sh -c 'echo $$ >> new; exec sleep 1000' &
    sh -c 'setsid sleep 1000 & echo $! >> new';
    while [ $(wc -l < new) -lt 3 ]; do sleep 0.01; done; mv new pids; sleep 1000; fi
    """#.replacing("\n", with: " ")

  // MARK: Common steps

  private func submit(_ host: HostFixture, _ type: String, _ params: String, count: Int) async throws -> [TaskID] {
    var ids: [TaskID] = []
    for _ in 0..<count { ids.append(try await host.submit(type, params)) }
    return ids
  }

  private func entries(_ host: HostFixture, _ word: String) -> Int {
    host.journal.count { $0.hasPrefix(word) }
  }

  private func nothingIsHeld(_ host: HostFixture) async throws {
    try await eventually("nothing is in flight or queued") { () async throws in
      try host.redis("keys", "roost:{00}:*").split(separator: "\n").allSatisfy { key in
        !["flight:", ":q:", ":hq:", ":run:", ":due:", ":hdue:", ":away:"].contains { key.contains($0) }
      }
    }
  }
}
