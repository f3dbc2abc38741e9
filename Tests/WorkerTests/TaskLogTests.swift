// SPDX-License-Identifier: Apache-2.0
import Foundation
import Logging
import TaskModel
import TaskStore
import Testing
import Threading

@testable import Worker

@Suite("The lines of a task that are not written yet")
struct TaskLogTests {
  private struct Line: Decodable {
    var at: String
    var level: String
    var message: String
  }

  private func lines(_ count: Int, _ message: (Int) -> String = { "\($0)" }) throws -> [Line] {
    var log = TaskLog()
    for number in 0..<count { log.add(.info, message(number), at: MonotonicClock.now) }
    return try log.json(RedisClock()).map { try JSONDecoder().decode(Line.self, from: Data($0)) }
  }

  @Test("The last hundred are kept", arguments: [1, 99, 100, 101, 199, 200, 201, 999])
  func limit(_ count: Int) throws {
    #expect(try lines(count).map(\.message) == (max(0, count - 100)..<count).map(String.init))
  }

  @Test("After a flood the first line says how many were left out", arguments: [1100, 1101, 12_345])
  func flood(_ count: Int) throws {
    let lines = try lines(count)
    #expect(lines.count == 100)
    #expect(lines[0].message == "\(count - 99) lines before this were left out")
    #expect(lines[0].level == "warning")
    #expect(lines.dropFirst().map(\.message) == (count - 99..<count).map(String.init))
  }

  @Test("A message is cut between characters, and stays one line")
  func cut() throws {
    let lines = try lines(1) { _ in "a\nb" + String(repeating: "ä", count: 2000) }
    #expect(lines[0].message.utf8.count <= 1024)
    #expect(lines[0].message.hasPrefix("a\nbä"))
    #expect(lines[0].message.hasSuffix("ä…"))
  }
}
