// SPDX-License-Identifier: Apache-2.0
import Foundation
import TaskModel
import TestSupport
import Testing

@testable import FlightBoard

@Suite("The flight board")
struct FlightBoardTests {
  private let id = TaskID(high: 0x0192_f000_0000_7000, low: 0x8000_0000_0000_0a00)

  @Test("What the worker notes is what the host reads, and nothing once it is over")
  func notes() throws {
    let board = try #require(FlightBoard(slots: 3))
    let recorder = try #require(FlightRecorder(descriptor: board.descriptor, slots: 3))
    #expect(board.flights.isEmpty)
    _ = recorder.begin(2, .handler, id, take: 7, type: 1, at: 5)
    _ = recorder.begin(0, .attempt, id, take: .max, type: 0, at: 4)
    let flights = board.flights
    #expect(flights.map(\.kind) == [.attempt, .handler])
    #expect(flights.map(\.task) == [id, id])
    #expect(flights.map(\.take) == [.max, 7])
    #expect(flights.map(\.type) == [0, 1])
    #expect(flights.map(\.startedAt) == [4, 5])
    recorder.end(2)
    recorder.end(0)
    #expect(board.flights.isEmpty)
    #expect(board.crash == nil)
  }

  @Test("A descriptor that is no board of that size is refused")
  func wrongDescriptor() throws {
    let board = try #require(FlightBoard(slots: 3))
    #expect(FlightRecorder(descriptor: board.descriptor, slots: 4) == nil)
    #expect(FlightRecorder(descriptor: 2, slots: 3) == nil)
    #expect(FlightRecorder(descriptor: -1, slots: 3) == nil)
  }

  @Test("A worker cannot cut off the memory that its host reads")
  func sealed() throws {
    let board = try #require(FlightBoard(slots: 3))
    #expect(ftruncate(board.descriptor, 0) == -1)
    #expect(errno == EPERM)
  }

  @Test("The worker's memory may hold anything: what makes no sense is left out")
  func spoilt() throws {
    let board = try #require(FlightBoard(slots: 3))
    let memory = try #require(mmap(nil, 256, PROT_READ | PROT_WRITE, MAP_SHARED, board.descriptor, 0))
    memset(memory, 0xff, 256)
    #expect(board.flights.isEmpty)
    #expect(board.crash?.flight == nil)
    munmap(memory, 256)
  }

  @Test("A flight is read whole or not at all, also when its writer dies in the middle")
  func whole() async throws {
    let pilot = try Pilot()
    try await pilot.start("spin")
    var seen = 0
    for _ in 0..<100_000 { seen += try pilot.checkedFlights().count }
    #expect(seen > 0)
    for _ in 0..<20 {
      pilot.kill(SIGKILL)
      _ = try await pilot.end()
      _ = try pilot.checkedFlights()
      try await pilot.start("spin")
    }
    pilot.kill(SIGKILL)
    _ = try await pilot.end()
  }
}
