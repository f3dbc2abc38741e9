// SPDX-License-Identifier: Apache-2.0
import FlightBoard
import Foundation
import TaskModel
import TestSupport
import Testing

/// A process that has flights and ends badly (`Pilot/pilot.c`), and its board.
// @unchecked: one test owns it.
final class Pilot: @unchecked Sendable {
  let board: FlightBoard
  private let folder: TemporaryDirectory
  private let program: String
  private var output = Pipe()
  private var pid: pid_t = 0

  init() throws {
    folder = try TemporaryDirectory()
    program = folder.path + "/pilot"
    let (sources, shims) = (BuildProducts.sources, BuildProducts.sources + "/Sources/CSystemShims")
    let compiled = try run(
      "/usr/bin/cc",
      [
        "-std=gnu11", "-O1", "-pthread", "-I", shims + "/include", sources + "/Tests/FlightBoardTests/Pilot/pilot.c",
        shims + "/flight_board.c", shims + "/crash_mark.c", "-o", program,
      ])
    guard compiled.status == 0 else { throw SpawnFailed(description: compiled.errors) }
    board = try #require(FlightBoard(slots: 4))
  }

  deinit {
    guard pid > 0 else { return }
    Glibc.kill(pid, SIGKILL)
    waitpid(pid, nil, 0)
  }

  /// Starts it; one that rests is waited for until it does.
  func start(_ how: String) async throws {
    output = Pipe()
    let write = output.fileHandleForWriting
    pid = try spawn(
      program, ["pilot", how], directory: folder.path,
      descriptors: [-1, write.fileDescriptor, 2, -1, board.descriptor])
    try write.close()
    if ["rest", "spin", "survive", "outlive"].contains(how) {
      let pid = pid
      try await eventually("the pilot rests") { () async in FileManager.default.fileExists(atPath: "/proc/\(pid)/stat")
      }
      #expect(output.fileHandleForReading.availableData == Data("ready\n".utf8))
    }
  }

  func kill(_ signal: Int32) { Glibc.kill(pid, signal) }

  /// Its exit status, or 128 and the signal, and what it said.
  func end() async throws -> (status: Int32, said: String) {
    let status = try await exitStatus(of: pid, within: .seconds(20))
    pid = 0
    return (status, String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self))
  }

  /// The flights, all of which follow from one number each.
  func checkedFlights() throws -> [Flight] {
    let flights = board.flights
    for flight in flights {
      let number = UInt32(truncatingIfNeeded: flight.task.high)
      try #require(flight == Self.flight(number))
    }
    return flights
  }

  static func flight(_ number: UInt32) -> Flight {
    Flight(
      kind: number % 2 == 0 ? .attempt : .handler, task: TaskID(high: UInt64(number), low: ~UInt64(number)),
      take: number, type: Int(number ^ 0x5555), startedAt: Int64(number) * 3)
  }
}
