// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

@Suite("The life of a task by the command line")
struct TaskLifeTests {
  @Test("A delayed task is shown as SCHEDULED with its time, and runs when it is due")
  func later() async throws {
    let host = try await ServingHost(programs(), workers: 1)
    let soon = try host.roost("submit", "echo", "[1]", "--delay", "300ms", "--wait")
    #expect((soon.code, soon.output, soon.errors) == (0, "[1]\n", ""))
    let past = try host.roost("submit", "echo", "[2]", "--at", "2001-01-01T00:00:00Z", "--wait")
    #expect((past.code, past.output) == (0, "[2]\n"))
    let id = try host.submit("echo", "3", "--delay", "1h")
    #expect(try host.roost("status", id).output == "SCHEDULED\n")
    let list = try host.roost("list", "--status", "scheduled")
    #expect(list.output.contains(/STATUS     DUE +NOTE\n\S+  echo  SCHEDULED  20\S+Z\n/), "\(list.output)")
    #expect(try host.roost("list", "--type", "echo").output.contains(/SCHEDULED  20\S+Z  due 20\S+Z\n/))
    // In five years, whenever this runs.
    let year = 1970 + Int(Date().timeIntervalSince1970 / 31_556_952) + 5
    let at = try host.submit("echo", "3", "--at", "\(year)-01-01t00:00:00+08:00")
    let due = "SCHEDULED  \(year - 1)-12-31T16:00:00.000Z\n"
    #expect(try host.roost("list", "--status", "scheduled").output.contains(due))
    let cancelled = try host.roost("cancel", id, at)
    #expect((cancelled.code, cancelled.output) == (0, "\(id) CANCELLED\n\(at) CANCELLED\n"))
    let late = try host.roost("submit", "echo", "4", "--delay", "1s", "--expires", "1ms", "--wait")
    #expect(late.code == 1)
    #expect(late.errors.contains("FAILED: expired"))
  }

  @Test("What waits is cancelled at once, what is final or unknown is refused")
  func cancel() async throws {
    let host = try await ServingHost(programs(), workers: 1)
    let paused = try host.roost("pause", "echo")
    #expect((paused.code, paused.output) == (0, "echo is paused: 0 PENDING, 0 SCHEDULED, 0 IN_PROGRESS\n"))
    let id = try host.submit("echo", "1")
    let other = try host.submit("echo", "2")
    #expect(try host.roost("status", id).output == "PENDING\n")
    let cancelled = try host.roost("cancel", id)
    #expect((cancelled.code, cancelled.output, cancelled.errors) == (0, "CANCELLED\n", ""))
    let again = try host.roost("cancel", id)
    #expect((again.code, again.output) == (1, ""))
    #expect(again.errors.contains("CANCELLED"))
    #expect(try host.roost("cancel", unknown).code == 3)
    let resumed = try host.roost("resume", "echo", "--json")
    #expect(resumed.output.contains(#""paused":false"#))
    #expect(try host.roost("watch", other).code == 0)
    #expect(try host.roost("pause", "nothing").code == 3)
    #expect(try host.roost("watch", id).errors.contains("CANCELLED"))
  }

  @Test("A running task is asked to stop, and can be neither retried nor deleted nor finished from outside")
  func running() async throws {
    let host = try await ServingHost(programs(), workers: 1)
    let id = try host.submit("slow")
    try await eventually("it runs") { () async throws in
      try host.roost("status", id).output == "IN_PROGRESS\n"
    }
    for verb in ["retry", "delete"] {
      let refused = try host.roost(verb, id)
      #expect((refused.code, refused.output) == (1, ""), "\(verb)")
      #expect(refused.errors.contains("IN_PROGRESS"), "\(verb)")
    }
    let put = try run("/usr/bin/curl", ["-s", "-X", "PUT", "-d", "1", "\(host.url)/v1/tasks/\(id)/result"])
    #expect(put.output.contains(#""code":"forbidden_transition","status":"IN_PROGRESS""#))
    let cancelled = try host.roost("cancel", id)
    #expect(cancelled.code == 0, "\(cancelled.errors)")
    try host.directory.write("open", "")
    _ = try host.roost("watch", id)
  }

  @Test("A failed task is retried and deleted")
  func retry() async throws {
    let host = try await ServingHost(programs(), workers: 1)
    let id = try host.submit("bad")
    #expect(try host.roost("watch", id).code == 1)
    let retried = try host.roost("retry", id)
    #expect((retried.code, retried.output, retried.errors) == (0, "PENDING\n", ""))
    #expect(try host.roost("watch", id).code == 1)
    let done = try host.submit("echo")
    #expect(try host.roost("watch", done).code == 0)
    #expect(try host.roost("retry", done).code == 1)
    #expect(try host.roost("retry", unknown).code == 3)
    let deleted = try host.roost("delete", id, done)
    #expect((deleted.code, deleted.output, deleted.errors) == (0, "", ""))
    #expect(try host.roost("status", id, done).code == 3)
    #expect(try host.roost("delete", id).code == 3)
  }

  @Test("All failed tasks of a type are retried and deleted, or those of one kind")
  func bulk() async throws {
    let host = try await ServingHost(programs(), workers: 1)
    let ids = try (0..<3).map { _ in try host.submit("bad") }
    for id in ids { #expect(try host.roost("watch", id).code == 1) }
    let none = try host.roost("retry", "--type", "bad", "--kind", "timeout")
    #expect((none.code, none.output, none.errors) == (0, "0\n", ""))
    #expect(try host.roost("retry", "--type", "bad", "--kind", "exception", "--json").output == "{\"count\":3}\n")
    for id in ids { #expect(try host.roost("watch", id).code == 1) }
    #expect(try host.roost("delete", "--type", "bad").output == "3\n")
    #expect(try host.roost("status", ids[0]).code == 3)
    for (words, code, message) in [
      (["retry"], 2, "name tasks by ID, or a type"), (["retry", "--kind", "timeout"], 2, "goes with --type"),
      (["delete", ids[0], "--type", "bad"], 2, "exclude each other"), (["retry", "--type", "nothing"], 3, "nothing"),
      (["retry", "--type", "bad", "--kind", "timeuot"], 2, "did you mean \"timeout\"?"),
    ] as [([String], Int32, String)] {
      let outcome = try RoostCommand.run(words, environment: ["ROOST_URL": host.url])
      #expect(outcome.code == code && outcome.errors.contains(message), "\(words): \(outcome.errors)")
    }
  }

  @Test("schedules lists when each last made a task and is due next")
  func schedules() async throws {
    let config = programs().replacing(
      "\"workers\":",
      with: """
        "schedules": {"new-year": {"type": "echo", "cron": "@yearly", "timezone": "Asia/Shanghai"}}, "workers":
        """)
    let host = try await ServingHost(config, workers: 1)
    let outcome = try host.roost("schedules")
    #expect(outcome.code == 0 && outcome.errors == "")
    let row = /new-year  echo  @yearly  Asia\/Shanghai  -     20\d\d-12-31T16:00:00\.000Z\n/
    #expect(outcome.output.hasPrefix("NAME      TYPE  CRON     TIMEZONE       LAST  NEXT\n"), "\(outcome.output)")
    #expect(outcome.output.contains(row), "\(outcome.output)")
    #expect(try host.roost("schedules", "--json").output.contains(#""lastAt":null,"nextAt":"20"#))
  }

  @Test("A key is used once, and other options reach the record")
  func members() async throws {
    let host = try await ServingHost(programs(), workers: 1)
    let id = try host.submit("echo", "1", "--key", "order 7", "--priority", "low")
    #expect(try host.submit("echo", "2", "--key", "order 7") == id)
    #expect(try host.roost("submit", "echo", "3", "--key", "order 7", "--wait").output == "1\n")
    let record = try host.roost("submit", "echo", "3", "--key", "order 7", "--wait", "--json").output
    #expect(record.contains(#""priority":"low","key":"order 7""#))
    #expect(try host.roost("delete", id).code == 0)
    #expect(try host.submit("echo", "2", "--key", "order 7") != id)
  }

  @Test("Values that cannot be meant end with 2 and name what is wrong")
  func badValues() async throws {
    let host = try await ServingHost(programs(), workers: 1)
    for (options, message) in [
      (["--delay", "-5s"], "delay"), (["--delay", "36500d"], "3650d"), (["--at", "tomorrow"], "runAt"),
      (["--at", "2999-01-01T00:00:00Z"], "3650d"), (["--expires", "-1h"], "expires"), (["--timeout", "0s"], "timeout"),
      (["--timeout", "-1s"], "timeout"), (["--priority", "hihg"], "did you mean \"high\"?"), (["--key", ""], "key"),
      (["--key", String(repeating: "k", count: 100_000)], "1 to 256"),
    ] {
      let outcome = try RoostCommand.run(["submit", "echo", "1"] + options, environment: ["ROOST_URL": host.url])
      #expect((outcome.code, outcome.output) == (2, ""), "\(options): \(outcome.errors)")
      #expect(outcome.errors.contains(message), "\(options): \(outcome.errors)")
      #expect(outcome.errors.utf8.count < 400)
    }
    for words in [["list", "--type", "a b"], ["list", "--status", "BAD"], ["list", "--callback", "lost"]] {
      #expect(try RoostCommand.run(words, environment: ["ROOST_URL": host.url]).code == 2)
    }
    #expect(try host.roost("list", "--json").output == "{\"tasks\":[],\"cursor\":null}\n")
  }

  @Test("A batch of 2,500 tasks comes back in order, with its errors by line")
  func batch() async throws {
    let host = try await ServingHost(programs(), workers: 1)
    try host.roost("pause", "echo").expect(code: 0)
    let lines = (0..<2500).map { "{\"n\": \($0)}" }
    let ids = try host.roost("submit", "echo", "-", "--batch", input: lines.joined(separator: "\n"))
    #expect((ids.code, ids.errors) == (0, ""))
    let names = ids.output.split(separator: "\n").map(String.init)
    #expect(Set(names).count == 2500 && names == names.sorted())
    let page = try host.roost("list", "--limit", "1", "--json").output
    #expect(page.contains(names[2499]))
    try host.roost("resume", "echo").expect(code: 0)
    let large = "\"\(String(repeating: "x", count: 1 << 20))\""
    let mixed = try host.roost(
      "submit", "echo", "-", "--batch", "--wait", input: "{\"n\":\n[1,  2]\n\n\(large)\n\"last\"\n")
    #expect(mixed.code == 1)
    #expect(mixed.output == "[1,  2]\n\"last\"\n")
    let errors = mixed.errors.split(separator: "\n")
    #expect(errors.count == 2)
    #expect(errors[0].hasPrefix("roost: line 1: not JSON: "))
    #expect(errors[1].hasPrefix("roost: line 4: params of 1048578 bytes"))
    let nothing = try host.roost("submit", "nothing", "1", "--batch")
    #expect(nothing.code == 1)
    #expect(nothing.errors.contains("roost: line 1: no host runs tasks of type \"nothing\""))
  }
}

extension RoostCommand.Outcome {
  fileprivate func expect(code expected: Int32) { #expect(code == expected, "\(errors)") }
}
