// SPDX-License-Identifier: Apache-2.0
import Foundation
import HTTPClient
import TaskModel
import TaskStore
import TestSupport
import Testing

@Suite("Log lines and progress of a task")
struct NewsTests {
  private struct Line: Decodable, Equatable {
    var at: String
    var level: String
    var message: String
  }

  private func lines(_ host: HostFixture, _ id: TaskID) async throws -> [Line] {
    let record = try #require(try await host.final(id))
    #expect(record.status == .completed)
    return try record.log.map { try JSONDecoder().decode(Line.self, from: Data($0)) }
  }

  @Test("The last hundred lines stay with the record, each cut to a bound, and go to the host's log too")
  func log() async throws {
    let host = try await HostFixture(["types": HostFixture.types(["chatter"])])
    let few = try await lines(host, try await host.submit("chatter", "3"))
    #expect(few.map(\.message).prefix(2) == ["line 1", "line 2"])
    #expect(few.map(\.level) == ["info", "warning", "error"])
    #expect(few[2].message.utf8.count <= 1024)
    #expect(few[2].message.hasSuffix("…"))
    #expect(few[0].at.wholeMatch(of: /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z/) != nil)
    let many = try await lines(host, try await host.submit("chatter", "250"))
    #expect(many.count == 100)
    #expect(many.dropLast().map(\.message) == (151...249).map { "line \($0)" })
    #expect(host.lines(containing: #""message":"line 2""#).count == 2)
  }

  @Test("Lines for developers are kept when the host's log shows them")
  func debug() async throws {
    let host = try await HostFixture(["types": HostFixture.types(["chatter"]), "log": #"{"level": "debug"}"#])
    let lines = try await lines(host, try await host.submit("chatter", "2"))
    #expect(lines.map(\.level) == ["info", "debug", "error"])
  }

  @Test("A flood of lines costs a few writes")
  func flood() async throws {
    let host = try await HostFixture(["types": HostFixture.types(["chatter"])])
    let lines = try await lines(host, try await host.submit("chatter", "50000"))
    #expect(lines.count == 100)
    #expect(lines.dropLast().last?.message == "line 49999")
    #expect(lines.last?.level == "error")
  }

  @Test("However often progress is reported, it is written at most four times a second")
  func progress() async throws {
    let host = try await HostFixture(
      ["types": #"{"eager": {"executor": "workbench/eager"}}"#, "lease": #""10s""#], observed: false)
    let traffic = try await Traffic(socket: host.directory.path + "/data/redis.sock", in: host.directory)
    let clock = ContinuousClock()
    let start = clock.now
    let reply = try host.send("POST", "/v1/tasks", #"{"type":"eager","params":1000000}"#)
    #expect(reply.status == 202)
    let id = try #require(try JSONNode.parse(reply.body)["id"]?.text)
    #expect(try host.send("GET", "/v1/tasks/\(id)?wait=50s").text.contains("COMPLETED"))
    let seconds = (clock.now - start) / .seconds(1)
    let writes = try traffic.ofTasks.filter { $0 == "complete" }.count
    // The first report, four a second, the outcome.
    #expect(Double(writes) <= 2 + 4 * seconds, "\(writes) writes in \(seconds) s")
  }

  @Test("Progress of an attempt that failed is shown until the next one is")
  func earlierProgress() async throws {
    func types(_ backoff: String) -> String {
      let retry = #"{"attempts": 2, "backoff": "\#(backoff)", "maxBackoff": "24h"}"#
      return HostFixture.types(["fading"], extra: #", "timeout": "300ms", "retry": \#(retry)"#)
    }
    let host = try await HostFixture(["types": types("24h")])
    let waiting = try await host.submit("fading")
    try await eventually("it waits for its second attempt") {
      try await host.store.record(waiting)?.status == .scheduled
    }
    #expect(try await host.store.record(waiting)?.progress?.note == "nearly there")

    let other = try await HostFixture(["types": types("1ms")])
    let record = try #require(try await other.final(try await other.submit("fading")))
    #expect(record.attempts == 2)
    #expect(record.progress?.fraction == 0)
    #expect(record.progress?.note == "")
  }
}
