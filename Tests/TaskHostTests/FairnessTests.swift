// SPDX-License-Identifier: Apache-2.0
import Foundation
import TaskModel
import TaskStore
import TestSupport
import Testing

@Suite("A free thread is never behind a long task")
struct FairnessTests {
  @Test(
    "Short tasks pass through the threads that long ones leave free, in whichever process they are",
    arguments: [1, 2, 3])
  func shortBesideLong(_ long: Int) async throws {
    let host = try await HostFixture(
      [
        "types": HostFixture.types(["gate"], threads: 2),
        "workers": #"{"workbench": {"processes": 2}}"#,
      ], workers: 2)
    // The pools learn first that this type is quick, and take ahead.
    var short: [TaskID] = []
    for number in 0..<300 { short.append(try await host.submit("gate", "\(number)")) }
    var waiting: [TaskID] = []
    for _ in 0..<long { waiting.append(try await host.submit("gate", #""wait""#)) }
    for number in 300..<600 { short.append(try await host.submit("gate", "\(number)")) }
    for (number, id) in short.enumerated() {
      let record = try #require(try await host.final(id))
      #expect(record.status == .completed)
      #expect(record.result == Array("\(number)".utf8))
    }
    #expect(try await host.store.statuses(waiting) == waiting.map { _ in .inProgress })
    for id in waiting { #expect(host.count("gate \(id)") == 1) }
    try host.openGate()
    for id in waiting { #expect(try await host.final(id)?.status == .completed) }
    // What stood behind a long task was given back, which costs no attempt.
    for id in short { #expect(try await host.store.record(id)?.attempts == 1) }
  }
}
