// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

private let id = "0192f0e4000070008000000000000000"

private func record(_ status: String, _ more: String = "") -> String {
  #"{"id":"\#(id)","type":"t","status":"\#(status)","createdAt":"2026-11-24T10:00:00.000Z"\#(more)}"#
}

private let running = record("IN_PROGRESS", #","progress":{"fraction":0.5,"note":"drafting a very long note"}"#)

@Suite("The command line in a terminal")
struct TerminalTests {
  @Test("watch draws a bar within the width, redraws it in place and gives the cursor back")
  func bar() throws {
    let host = try CannedHost { [rounds = Counter()] _ in
      (200, rounds.next() == 1 ? running : record("COMPLETED", #","result":1"#))
    }
    let terminal = try PseudoTerminal(columns: 70)
    let process = try terminal.start(["watch", id, "--url", host.url])
    process.waitUntilExit()
    #expect(process.terminationStatus == 0)
    let text = terminal.text()
    #expect(text.hasPrefix("\u{1b}[?25l\r"))
    #expect(text.hasSuffix("\u{1b}[K\u{1b}[?25h\r\n"))
    let frames = bars(in: text)
    #expect(frames.map(\.count).allSatisfy { $0 < 70 })
    #expect(
      frames == [
        "IN_PROGRESS " + String(repeating: "━", count: 20) + String(repeating: "─", count: 20) + "  50% drafting a…",
        "COMPLETED   " + String(repeating: "━", count: 40) + " 100%",
      ])
    #expect(text.contains("\u{1b}[36m") && text.contains("\u{1b}[32m"))
  }

  @Test("A scheduled task is shown with when it is due, within the width")
  func scheduled() throws {
    let waiting = record(
      "SCHEDULED", #","dueAt":"2026-11-24T10:00:05.000Z","error":{"kind":"exception","message":"it went very wrong"}"#)
    let host = try CannedHost { [rounds = Counter()] request in
      if request.method == "POST" { return (200, #"{"statuses":{"\#(id)":"SCHEDULED"}}"#) }
      return (200, rounds.next() == 1 ? waiting : record("COMPLETED"))
    }
    let terminal = try PseudoTerminal(columns: 60)
    try terminal.start(["watch", id, "--url", host.url]).waitUntilExit()
    #expect(bars(in: terminal.text()).first == "SCHEDULED   due 2026-11-24T10:00:05.000Z exception: it wen…")
    let again = try CannedHost { request in
      request.method == "POST" ? (200, #"{"statuses":{"\#(id)":"SCHEDULED"}}"#) : (200, waiting)
    }
    let status = try PseudoTerminal(columns: 60)
    try status.start(["status", id, "--url", again.url]).waitUntilExit()
    #expect(withoutEscapes(status.text()) == "SCHEDULED due 2026-11-24T10:00:05.000Z\r\n")
  }

  @Test("Ctrl-C in watch gives the cursor back and ends by the signal")
  func interrupt() throws {
    let host = try CannedHost { _ in (200, running) }
    let terminal = try PseudoTerminal(columns: 80)
    let process = try terminal.start(["watch", id, "--url", host.url])
    try eventually("the bar is drawn") { terminal.text().contains("50%") }
    process.interrupt()
    process.waitUntilExit()
    #expect(process.terminationReason == .uncaughtSignal)
    #expect(process.terminationStatus == SIGINT)
    #expect(terminal.text().hasSuffix("\u{1b}[?25h\r\n"))
  }

  @Test("A very narrow terminal gets no bar, and no wrapped line")
  func narrow() throws {
    let host = try CannedHost { _ in (200, record("COMPLETED")) }
    let terminal = try PseudoTerminal(columns: 12)
    try terminal.start(["watch", id, "--url", host.url]).waitUntilExit()
    #expect(bars(in: terminal.text()) == ["COMPLETED …"])
  }

  @Test("list cuts its columns to the width, with wide characters counted as two")
  func list() throws {
    let task = record("FAILED", #","error":{"kind":"exception","message":"文章太长了文章太长了"}"#)
    let host = try CannedHost { _ in (200, #"{"tasks":[\#(task)],"cursor":null}"#) }
    let terminal = try PseudoTerminal(columns: 89)
    try terminal.start(["list", "--url", host.url]).waitUntilExit()
    let lines = terminal.text().components(separatedBy: "\r\n").map(withoutEscapes)
    #expect(
      lines == [
        "ID                                TYPE  STATUS  CREATED                   NOTE",
        "\(id)  t     FAILED  2026-11-24T10:00:00.000Z  exception: 文…", "",
      ])
  }

  @Test("NO_COLOR is obeyed, and a pipe gets no colour")
  func noColour() throws {
    let host = try CannedHost { _ in (200, #"{"statuses":{"\#(id)":"FAILED"}}"#) }
    let words = ["status", id, "--url", host.url]
    let coloured = try PseudoTerminal(columns: 80)
    try coloured.start(words).waitUntilExit()
    #expect(coloured.text() == "\u{1b}[31mFAILED\u{1b}[0m\r\n")
    let plain = try PseudoTerminal(columns: 80)
    try plain.start(words, environment: ["NO_COLOR": "1"]).waitUntilExit()
    #expect(plain.text() == "FAILED\r\n")
    #expect(try RoostCommand.run(words, environment: ["TERM": "xterm"]).output == "FAILED\n")
  }
}

/// What each drawing of the bar showed.
private func bars(in text: String) -> [String] {
  text.components(separatedBy: "\u{1b}[K").dropLast().map { withoutEscapes($0).replacing("\r", with: "") }
}

private func withoutEscapes(_ text: String) -> String {
  text.replacing(/\u{1b}\[[?0-9;]*[A-Za-z]/, with: "")
}
