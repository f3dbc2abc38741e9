// SPDX-License-Identifier: Apache-2.0
import Foundation
import HTTPClient
import TaskModel
import TaskStore
import TestSupport
import Testing

@Suite("Upgrade under load", .timeLimit(.minutes(5)))
struct UpgradeTests {
  @Test("At 1,000 tasks a second a plugin is replaced twenty times: none is lost, none fails, each names its build")
  func twentyBuilds() async throws {
    let host = try await HostFixture([
      "types": HostFixture.types(["echo"], extra: #", "retention": {"age": "1h", "count": 1000000}"#)
    ])
    let file = host.directory.path + "/libworkbench.so"
    let url = try #require(host.process.url)
    let first = try digest(of: file)
    let client = Submitter(count: 200_000, perSecond: 1000) { [url] }
    for build in 1...20 {
      let before = client.submitted.count
      try await eventually("tasks come before build \(build)") { () async in client.submitted.count >= before + 300 }
      try compilePlugin("TestPlugins/workbench.c", to: host.directory.path + "/new.so", flags: ["-DBUILD=\(build)"])
      try replace(file, by: host.directory.path + "/new.so", inPlace: build % 2 == 0)
      let reply = try HTTPClient(url).send("POST", "/v1/reload", timeout: .seconds(60))
      #expect(reply.status == 200)
      #expect(reply.text == #"{"generation":\#(build + 1),"restartNeeded":[]}"#)
    }
    let before = client.submitted.count
    try await eventually("tasks come after the last build") { () async in client.submitted.count >= before + 300 }
    let count = client.end()
    try await eventually("all are submitted") { () async in client.submitted.count == count }
    #expect(client.surprises == [])
    try await eventually(within: .seconds(60), "all are final") { () async in
      (try? await host.store.states(of: ["echo"]))?["echo"]?.counts[.completed] == count
    }
    let builds = try await builds(of: client.submitted, host.store)
    #expect(builds.isSuperset(of: [first, try digest(of: file)]))
    print("upgrade: \(count) tasks by \(builds.count) of 21 builds")
    try await eventually("the old workers are gone") { () async throws in try host.workerPids().count == 1 }
  }

  /// The builds that ran the tasks, each of which is COMPLETED with its own result in one attempt.
  private func builds(of tasks: [TaskID: Int], _ store: TaskStore) async throws -> Set<String> {
    var builds: Set<String> = []
    let ids = Array(tasks.keys)
    for start in stride(from: 0, to: ids.count, by: 500) {
      let chunk = Array(ids[start..<min(start + 500, ids.count)])
      for (id, record) in zip(chunk, try await store.records(chunk, parts: .all)) {
        let number = try #require(tasks[id])
        if record?.status != .completed || record?.attempts != 1
          || record?.result != Array(Submitter.params(number).utf8)
        {
          Issue.record("task \(id) of \(number): \(String(describing: record))")
        }
        builds.insert(record?.origin?.build ?? "none")
      }
    }
    return builds
  }

  private func digest(of file: String) throws -> String {
    "sha256:" + (try TestSupport.run("/usr/bin/sha256sum", [file]).output.prefix(64))
  }

  /// In place, as `cp` does, or by renaming, as a careful deployment does.
  private func replace(_ file: String, by new: String, inPlace: Bool) throws {
    if inPlace {
      let content = try Data(contentsOf: URL(fileURLWithPath: new))
      let handle = try FileHandle(forWritingTo: URL(fileURLWithPath: file))
      try handle.truncate(atOffset: 0)
      try handle.write(contentsOf: content)
      try handle.close()
    } else {
      guard rename(new, file) == 0 else { throw POSIXError(POSIXErrorCode(rawValue: errno) ?? .EIO) }
    }
  }
}
