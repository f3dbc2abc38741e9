// SPDX-License-Identifier: Apache-2.0
import Foundation
import HTTPClient
import TaskModel
import TaskStore
import TestSupport
import Testing

/// A host that has each of some bad plugins in a worker of its own, together with neighbours of a good one, and the good
/// one in a further worker.
final class Zoo: Sendable {
  let host: HostFixture
  private let members: [BadPlugin]
  /// The process of the worker that nobody hurts.
  private let farPid: Int
  private let pulse: Pulse

  init(_ members: [BadPlugin]) async throws {
    self.members = members
    host = try await HostFixture(Self.config(members), workers: members.count + 1, start: false)
    for member in members {
      try compilePlugin("BadPlugins/" + member.source, to: host.directory.path + "/\(member.name).so")
    }
    try await host.start()
    farPid = try #require(try Self.pid(ofWorker: "far", host))
    pulse = Pulse(of: try #require(host.process.url))
  }

  deinit { pulse.stop() }

  private static func config(_ members: [BadPlugin]) -> [String: String] {
    func good(_ name: String) -> String {
      #""\#(name)": {"path": "libworkbench.so", "settings": {"journal": "\#(name).journal"}}"#
    }
    var plugins = [good("far")]
    var types = [#""far": {"executor": "far/nap", "threads": 2}"#]
    var workers: [String] = []
    for member in members {
      let name = member.name
      plugins.append(#""\#(name)": {"path": "\#(name).so", "settings": {"pids": "\#(name).pids"}}"#)
      plugins.append(good("\(name).near"))
      types.append(#""\#(name)": {"executor": "\#(name)/run", "threads": 1\#(member.type)}"#)
      types.append(
        #""\#(name).near": {"executor": "\#(name).near/gate", "worker": "\#(name)", "threads": 7}"#)
      workers.append(#""\#(name)": \#(member.worker)"#)
    }
    func object(_ parts: [String]) -> String { "{" + parts.joined(separator: ",\n") + "}" }
    return ["plugins": object(plugins), "types": object(types), "workers": object(workers)]
  }

  // MARK: One plugin

  /// Lets it misbehave among its neighbours, and checks what comes of them all.
  func watch(_ member: BadPlugin) async throws {
    var near: [TaskID] = []
    for _ in 0..<member.neighbours { near.append(try await host.submit("\(member.name).near", #""wait""#)) }
    try await eventually("the neighbours of \(member.name) run") { () async in
      let journal = Set(lines("\(member.name).near.journal"))
      return near.allSatisfy { journal.contains("gate \($0)") }
    }
    let bad = try await host.submit(member.name, member.params)
    var far: [TaskID] = []
    for _ in 0..<5 { far.append(try await host.submit("far", "20")) }
    if member.isCancelled {
      try await eventually("\(member.name) runs") { () async in !pids(member).isEmpty }
      #expect(try host.send("POST", "/v1/tasks/\(bad)/cancel").status == 202)
    }
    if member.opening == .afterDeath {
      try await eventually(within: .seconds(40), "the worker of \(member.name) dies") { () async in
        pids(member).first.map { !isAlive($0) } ?? false
      }
      try openGate(of: member)
    }
    let record = try await final(bad, of: member)
    #expect(pids(member).filter(isAlive) == [], "\(member.name): the code is gone before the task has ended")
    check(record, of: member)
    try await expectUnharmed(far, "far from \(member.name)")
    try openGate(of: member)
    try await expectUnharmed(near, "near \(member.name)")
  }

  /// The record when everything is decided, the handler call too.
  private func final(_ id: TaskID, of member: BadPlugin) async throws -> TaskRecord {
    await host.store.awaitFinal(id, within: .seconds(60))
    if case .handlerGivenUp = member.ending {
      try await eventually(within: .seconds(40), "the callback of \(member.name) is given up") { () async throws in
        try await host.store.record(id)?.handler.phase == .failed
      }
    }
    return try #require(try await host.store.record(id), "the task of \(member.name)")
  }

  private func check(_ record: TaskRecord, of member: BadPlugin) {
    let error = record.error.flatMap { try? JSONNode.parse($0) }
    let note = Comment(rawValue: "\(member.name): \(record)")
    switch member.ending {
    case .crash(let signal):
      #expect(record.status == .failed, note)
      #expect(error?["kind"]?.text == "crash", note)
      #expect(error?["signal"]?.text == signal, note)
      #expect(record.crashes == 2, note)
      #expect(record.attempts == 0, note)
    case .failed(let kinds):
      #expect(record.status == .failed, note)
      #expect(kinds.map(\.name).contains(error?["kind"]?.text ?? ""), note)
    case .completed(let result):
      #expect(record.status == .completed, note)
      #expect(record.result.map { String(decoding: $0, as: UTF8.self) } == result, note)
      #expect(record.crashes == 0, note)
    case .cancelled:
      #expect(record.status == .cancelled, note)
      #expect(record.crashes == 0, note)
    case .handlerGivenUp:
      #expect(record.status == .completed, note)
      #expect(record.handler.attempts == 2, note)
    }
    guard case .crash = member.ending, member.hasLastWords else { return }
    let output = error?["detail"]?["output"]?.elements?.compactMap(\.text) ?? []
    // A task is known by its plugin's name in the config, a C plugin by that of the file that takes its pids.
    #expect(output.contains { $0.contains("last words of \(member.name)") }, note)
  }

  private func expectUnharmed(_ ids: [TaskID], _ place: String) async throws {
    for id in ids {
      await host.store.awaitFinal(id, within: .seconds(60))
      let record = try await host.store.record(id)
      let note = Comment(rawValue: "\(place): \(String(describing: record))")
      #expect(record?.status == .completed, note)
      #expect(record?.attempts == 1, note)
      #expect(record?.crashes == 0, note)
    }
  }

  // MARK: The host afterwards

  /// The host lives, answered all along, and has nothing but its workers and its Redis.
  func expectOrder() async throws {
    pulse.stop()
    #expect(pulse.others == [], "the host stays ready")
    #expect(isAlive(host.process.pid))
    #expect(try Self.pid(ofWorker: "far", host) == farPid, "the worker of others goes on")
    let redis = try #require(try host.redisPid())
    var strays: [ProcessEntry] = []
    try? await eventually(within: .seconds(10), "nothing is left of the bad plugins") { () async throws in
      let known = Set(try workers().compactMap { $0["pid"]?.integer.map(pid_t.init) } + [redis])
      strays = try descendants(of: host.process.pid).filter { $0.state == "Z" || !known.contains($0.pid) }
      return strays.isEmpty
    }
    #expect(strays == [])
    try await eventually("nothing is in flight or queued") { () async throws in
      try host.redis("keys", "roost:{00}:*").split(separator: "\n").allSatisfy { key in
        !["flight:", ":q:", ":sq:", ":hq:", ":run:", ":due:", ":hdue:"].contains { key.contains($0) }
      }
    }
  }

  func workers() throws -> [JSONNode] { try Self.workers(host) }

  private static func workers(_ host: HostFixture) throws -> [JSONNode] {
    try JSONNode.parse(try host.send("GET", "/v1/workers").body)["workers"]?.elements ?? []
  }

  private static func pid(ofWorker name: String, _ host: HostFixture) throws -> Int? {
    try workers(host).first { $0["name"]?.text?.contains("/\(name)/") == true }?["pid"]?.integer
  }

  // MARK: What they wrote down

  /// The processes that must be gone when the task has ended.
  func pids(_ member: BadPlugin) -> [pid_t] { lines("\(member.name).pids").compactMap { pid_t($0) } }

  func openGate(of member: BadPlugin) throws {
    try host.directory.write("\(member.name).near.journal.open", "")
  }

  private func lines(_ file: String) -> [String] {
    ((try? String(contentsOfFile: host.directory.path + "/" + file, encoding: .utf8)) ?? "").split(separator: "\n")
      .map(String.init)
  }
}
