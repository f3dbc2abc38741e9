// SPDX-License-Identifier: Apache-2.0
import Config
@testable import TaskHost
import TaskModel
import Testing

@Suite("GET /v1/schedules")
struct ScheduleTests {
  private func schedules(_ text: String) throws -> [Schedule] {
    let config =
      #"{"plugins": {"p": {"path": "p.so"}}, "types": {"work": {"executor": "p/run"}}, "schedules": \#(text)}"#
    return Schedule.all(
      of: try Config.parse(Array(config.utf8), file: "config.json", directory: "/", environment: [:]))
  }

  @Test("Each schedule has its times and zone, when it last made a task and when it is due next")
  func list() async throws {
    let api = try await APIFixture.make()
    api.status.set(
      try schedules(
        #"{"daily": {"type": "work", "cron": "@daily", "timezone": "Asia/Shanghai"}, "a": {"type": "work", "cron": "0 3 29 FEB *"}}"#
      ))
    let answer = try await api.get("/v1/schedules")
    #expect(answer.status == 200)
    let schedules = try #require(answer.json?["schedules"]?.elements)
    #expect(schedules.map { $0["name"]?.text } == ["a", "daily"])
    #expect(schedules.map { $0["cron"]?.text } == ["0 3 29 FEB *", "@daily"])
    #expect(schedules.map { $0["timezone"]?.text } == ["UTC", "Asia/Shanghai"])
    #expect(schedules.map { $0["type"]?.text } == ["work", "work"])
    #expect(schedules.allSatisfy { $0["lastAt"]?.kind == "null" })
    #expect(schedules[0]["nextAt"]?.text?.hasSuffix("-02-29T03:00:00.000Z") == true)
    #expect(schedules[1]["nextAt"]?.text?.hasSuffix("T16:00:00.000Z") == true)
  }

  @Test("What a reload changed is seen by the next request")
  func changed() async throws {
    let api = try await APIFixture.make()
    for (text, names) in [
      (#"{"a": {"type": "work", "cron": "@daily"}}"#, ["a"]),
      (#"{"b": {"type": "work", "cron": "@hourly"}, "a": {"type": "work", "cron": "@yearly"}}"#, ["a", "b"]),
      ("{}", []),
    ] {
      api.status.set(try schedules(text))
      let shown = try await api.get("/v1/schedules").json?["schedules"]?.elements
      #expect(shown?.map { $0["name"]?.text ?? "" } == names)
    }
  }

  @Test("A host without schedules has an empty list")
  func none() async throws {
    let api = try await APIFixture.make()
    #expect(try await api.get("/v1/schedules").text == #"{"schedules":[]}"#)
    #expect(try await api.post("/v1/schedules", "").status == 405)
  }
}
