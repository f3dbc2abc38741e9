// SPDX-License-Identifier: Apache-2.0
import FlightBoard
import Foundation
import TestSupport
import Testing

@Suite("The crash mark, in processes that really crash")
struct CrashMarkTests {
  private static let bystander = Pilot.flight(7)
  private static let culprit = Pilot.flight(101)

  struct Ending: CustomTestStringConvertible {
    let how: String
    /// What the mark says; 0: exit().
    let signal: Int32
    let status: Int32

    init(_ how: String, signal: Int32, status: Int32? = nil) {
      self.how = how
      self.signal = signal
      self.status = status ?? 128 + signal
    }

    var testDescription: String { how }
  }

  static let endings = [
    Ending("segv", signal: SIGSEGV), Ending("illegal", signal: SIGILL), Ending("divide", signal: SIGFPE),
    Ending("abort", signal: SIGABRT), Ending("trap", signal: SIGTRAP), Ending("raise", signal: SIGSEGV),
    Ending("overflow", signal: SIGSEGV), Ending("exit", signal: 0, status: 3), Ending("quick", signal: 0, status: 3),
  ]

  @Test(
    "The flight of the thread that takes the process down is named, and the process ends as it would have",
    arguments: endings)
  func named(_ ending: Ending) async throws {
    let pilot = try Pilot()
    try await pilot.start(ending.how)
    #expect(try await pilot.end().status == ending.status)
    #expect(pilot.board.crash == FlightBoard.Crash(flight: Self.culprit, signal: ending.signal))
    #expect(pilot.board.flights == [Self.bystander, Self.culprit])
  }

  @Test("A crash of a thread without a flight names none")
  func bystander() async throws {
    let pilot = try Pilot()
    try await pilot.start("bystander")
    #expect(try await pilot.end().status == 128 + SIGSEGV)
    #expect(pilot.board.crash == FlightBoard.Crash(flight: nil, signal: SIGSEGV))
    #expect(pilot.board.flights == [Self.bystander])
  }

  @Test("Of two that crash at once one is named", arguments: 0..<10)
  func two(_ round: Int) async throws {
    let pilot = try Pilot()
    try await pilot.start("two")
    #expect(try await pilot.end().status == 128 + SIGSEGV)
    let crash = try #require(pilot.board.crash)
    #expect(crash.signal == SIGSEGV)
    #expect([Pilot.flight(101), Pilot.flight(102)].contains(crash.flight))
  }

  @Test("Who is killed marks nothing, and what it had under way can be read")
  func killed() async throws {
    let pilot = try Pilot()
    try await pilot.start("rest")
    pilot.kill(SIGKILL)
    #expect(try await pilot.end().status == 128 + SIGKILL)
    #expect(pilot.board.crash == nil)
    #expect(pilot.board.flights == [Self.bystander, Self.culprit])
  }

  @Test("A signal that somebody sends is no flight's fault")
  func sent() async throws {
    let pilot = try Pilot()
    try await pilot.start("rest")
    pilot.kill(SIGSEGV)
    #expect(try await pilot.end().status == 128 + SIGSEGV)
    #expect(pilot.board.crash == FlightBoard.Crash(flight: nil, signal: SIGSEGV))
  }

  @Test("A handler that was there before still runs, however long it takes", arguments: ["reporter", "slow"])
  func reporter(_ how: String) async throws {
    let pilot = try Pilot()
    try await pilot.start(how)
    #expect(try await pilot.end() == (9, "reporter\n"))
    #expect(pilot.board.crash?.flight == Self.culprit)
  }

  @Test("A handler that came later and calls the one before it is called once, and the process ends")
  func chaining() async throws {
    let pilot = try Pilot()
    try await pilot.start("chaining")
    #expect(try await pilot.end() == (128 + SIGSEGV, "chaining\n"))
    #expect(pilot.board.crash == FlightBoard.Crash(flight: Self.culprit, signal: SIGSEGV))
  }

  @Test("A crash that was survived names nobody once its flight is over, and leaves room for the next")
  func survived() async throws {
    let pilot = try Pilot()
    try await pilot.start("survive")
    pilot.kill(SIGKILL)
    _ = try await pilot.end()
    #expect(pilot.board.crash?.flight == nil)

    let again = try Pilot()
    try await again.start("survive-again")
    #expect(try await again.end().status == 128 + SIGABRT)
    #expect(again.board.crash == FlightBoard.Crash(flight: Pilot.flight(102), signal: SIGABRT))
  }

  @Test("A mark that names nobody is taken away when the process outlives it")
  func outlived() async throws {
    let pilot = try Pilot()
    try await pilot.start("outlive")
    pilot.kill(SIGKILL)
    _ = try await pilot.end()
    #expect(pilot.board.crash == nil)
  }

  @Test("What a flight forks may crash and exit as it likes")
  func forked() async throws {
    let pilot = try Pilot()
    try await pilot.start("fork")
    #expect(try await pilot.end().status == 0)
    #expect(pilot.board.crash == nil)
    #expect(pilot.board.flights == [Self.bystander])
  }
}
