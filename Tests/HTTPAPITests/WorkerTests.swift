// SPDX-License-Identifier: Apache-2.0
@testable import TaskHost
import TaskModel
import TaskStore
import TestSupport
import Testing

@Suite("GET /v1/workers and /v1/plugins")
struct WorkerTests {
  private func worker(_ number: Int, generation: Int, _ flights: [HostStatus.Worker.Flight] = []) -> HostStatus.Worker {
    HostStatus.Worker(
      id: "00000000000000a\(number)", name: "host-1/plugin/\(number)", pid: Int32(100 + number),
      generation: generation, flights: flights)
  }

  private func flight(_ id: TaskID) -> HostStatus.Worker.Flight {
    HostStatus.Worker.Flight(task: id, type: "work", startedAt: Timestamp(millis: 1_795_518_213_120))
  }

  @Test("Each worker has its place in the host and what it runs, with the progress that was told")
  func workers() async throws {
    let api = try await APIFixture.make()
    let (told, silent) = (try await api.submit("1"), try await api.submit("2"))
    let session = try await api.worker()
    try await session.begin()
    let taken = try await session.take("work", .running(deadline: nil))
    #expect(taken.map(\.id) == [told, silent])
    try await session.say(.progress(Progress(fraction: 0.4, note: "drafting")), of: taken.filter { $0.id == told })
    api.status.set(workers: [worker(1, generation: 1, [flight(told), flight(silent)]), worker(2, generation: 2)])
    let answer = try await api.get("/v1/workers")
    #expect(answer.status == 200)
    let times = #""type":"work","startedAt":"2026-11-24T11:03:33.120Z""#
    #expect(
      answer.text == #"{"workers":[{"id":"00000000000000a1","name":"host-1/plugin/1","host":"host-1","pid":101,"#
        + #""generation":1,"threads":[{"task":"\#(told)",\#(times),"progress":{"fraction":0.4,"note":"drafting"}},"#
        + #"{"task":"\#(silent)",\#(times)}]},{"id":"00000000000000a2","name":"host-1/plugin/2","host":"host-1","#
        + #""pid":102,"generation":2,"threads":[]}]}"#)
  }

  @Test("While Redis is away the workers are listed without progress")
  func withoutRedis() async throws {
    let api = try await APIFixture.make()
    let id = try await api.submit()
    api.status.set(workers: [worker(1, generation: 1, [flight(id)])])
    try await offPool { [redis = api.redis] in redis.stop(9) }
    let answer = try await api.get("/v1/workers")
    #expect(answer.status == 200)
    let threads = answer.json?["workers"]?.elements?.first?["threads"]?.elements
    #expect(threads?.map { $0["task"]?.text } == ["\(id)"])
    #expect(threads?.first?["progress"] == nil)
  }

  @Test("Each plugin has the build that is loaded and its exports")
  func plugins() async throws {
    let api = try await APIFixture.make()
    #expect(try await api.get("/v1/plugins").text == #"{"plugins":[]}"#)
    #expect(try await api.get("/v1/workers").text == #"{"workers":[]}"#)
    api.status.set(plugins: [
      HostStatus.Plugin(
        name: "article", version: "1.0.0", build: "sha256:ab", path: "plugins/libArticle.so",
        exports: [("generate", .executor), ("log", .callback), ("log", .exceptionHandler)])
    ])
    #expect(
      try await api.get("/v1/plugins").text
        == #"{"plugins":[{"name":"article","version":"1.0.0","build":"sha256:ab","path":"plugins/libArticle.so","#
        + #""exports":[{"name":"generate","kind":"executor"},{"name":"log","kind":"callback"},"#
        + #"{"name":"log","kind":"exceptionHandler"}]}]}"#)
  }
}
