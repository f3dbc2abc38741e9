// SPDX-License-Identifier: Apache-2.0
import CRoost
import Foundation
import Testing
import TestSupport

private func command(_ words: [String], detach: Bool? = nil) throws -> LoadedPlugin {
  var settings: [String: Any] = ["command": words]
  if let detach { settings["detach"] = detach }
  let json = try JSONSerialization.data(withJSONObject: settings)
  return try LoadedPlugin("Command", settings: String(decoding: json, as: UTF8.self))
}

private func shell(_ script: String, detach: Bool? = nil) throws -> LoadedPlugin {
  try command(["/bin/sh", "-c", script], detach: detach)
}

/// Whether a process exists and is no zombie.
private func isRunning(_ pid: pid_t) -> Bool {
  guard kill(pid, 0) == 0, let stat = try? String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8) else {
    return false
  }
  return stat.split(separator: ")").last?.hasPrefix(" Z") == false
}

@Suite("Command")
struct CommandTests {
  @Test(
    "Output becomes the result",
    arguments: [
      (#"printf ' {"b":1e2,"a":0.10,"a":1}\n'"#, " {\"b\":1e2,\"a\":0.10,\"a\":1}\n"),
      ("printf 'plain \"text\"\\nof /two lines\\n'", #""plain \"text\"\nof /two lines""#),
      ("printf '\\n'", #""""#), ("printf 'ü\\r\\n'", #""ü\r""#), (":", "null"), ("cat", #"{"n": 1.50}"#),
    ])
  func output(script: String, result: String) throws {
    let outcome = try shell(script).run("run", #"{"n": 1.50}"#)
    #expect(outcome.status == ROOST_OK)
    #expect(outcome.result == result)
  }

  @Test("Output that is not UTF-8 is a failure")
  func notText() throws {
    let outcome = try shell(#"printf '\377\376'"#).run("run", "null")
    #expect(outcome.status == ROOST_FAILED && outcome.failure.message.contains("not UTF-8"))
  }

  @Test("The task's id, type and attempt stand in the environment, beside the host's")
  func environment() throws {
    setenv("ROOST_COMMAND_TEST", "kept", 1)
    let script = #"echo "$ROOST_TASK_ID $ROOST_TASK_TYPE $ROOST_TASK_ATTEMPT $ROOST_COMMAND_TEST""#
    #expect(try shell(script).run("run", "null").result == "\"\(TestTask.id) test.type 2 kept\"")
  }

  @Test("The program is a direct child and leads its own process group, with no signal ignored")
  func family() throws {
    let script =
      "read -r _ _ _ ppid pgrp _ </proc/$$/stat; [ $pgrp = $$ ] && echo $ppid $(grep SigIgn: /proc/$$/status)"
    let words = (try shell(script).run("run", "null").result ?? "").split { " \"\n".contains($0) }
    try #require(words.count == 3, "\(words)")
    #expect(words[0] == "\(getpid())")
    // glibc itself ignores the two real-time signals that it keeps for its own use.
    #expect((UInt64(words[2], radix: 16) ?? .max) & 0x7FFF_FFFF == 0)
  }

  @Test("A megabyte goes in and out at once")
  func megabyte() throws {
    let params = "\"" + String(repeating: "x", count: 1 << 20) + "\""
    #expect(try command(["cat"]).run("run", params).result == params)
  }

  @Test("A program need not read its params")
  func unreadInput() throws {
    let params = "\"" + String(repeating: "x", count: 1 << 20) + "\""
    #expect(try shell("exec <&-; echo 1").run("run", params).result == "1\n")
  }

  @Test("Progress lines are progress, other error lines are logged")
  func progress() throws {
    let outcome = try shell(
      "echo progress 0.4 half way >&2; echo progress bar >&2; echo progress 1 >&2; printf 'no newline' >&2"
    ).run("run", "null")
    #expect(outcome.progress == [.init(fraction: 0.4, note: "half way"), .init(fraction: 1, note: "")])
    #expect(outcome.lines.map(\.message) == ["progress bar", "no newline"])
  }

  @Test("An exit code is a failure with the last 20 error lines")
  func exitCode() throws {
    let outcome = try shell("for i in $(seq 1 30); do echo line $i >&2; done; echo progress 0.5 >&2; exit 7")
      .run("run", "null")
    #expect(outcome.status == ROOST_FAILED)
    #expect(outcome.failure.code == 7 && outcome.failure.retryable)
    #expect(outcome.failure.message == (11...30).map { "line \($0)" }.joined(separator: "\n"))
  }

  @Test("A silent failure still says what happened")
  func silentFailure() throws {
    #expect(try shell("exit 3").run("run", "null").failure.message == "/bin/sh ended with exit code 3")
    let killed = try shell("kill -SEGV $$").run("run", "null")
    #expect(killed.status == ROOST_FAILED && killed.failure.message == "/bin/sh was ended by SIGSEGV")
  }

  @Test("A request to stop ends the whole process group", arguments: [false, true])
  func stop(stubborn: Bool) throws {
    let trap = stubborn ? "trap '' TERM; " : ""
    let plugin = try shell("\(trap)sleep 3600 & echo $! >&2; wait; sleep 3600")
    let task = try plugin.start("run", "null")
    try eventually("the grandchild runs") { !task.lines.isEmpty }
    let grandchild = try #require(pid_t(task.lines[0].message))
    #expect(isRunning(grandchild))
    plugin.stop(task, executor: "run")
    #expect(try task.outcome().status == ROOST_CANCELLED)
    try eventually("the grandchild is gone") { !isRunning(grandchild) }
  }

  @Test("A program gets the time to end by itself")
  func gentleStop() throws {
    let plugin = try shell("trap 'echo goodbye >&2; exit 0' TERM; echo ready >&2; while :; do sleep 0.01; done")
    let task = try plugin.start("run", "null")
    try eventually("it runs") { !task.lines.isEmpty }
    plugin.stop(task, executor: "run", reason: 2)
    let outcome = try task.outcome()
    #expect(outcome.status == ROOST_CANCELLED && outcome.lines.last?.message == "goodbye")
  }

  @Test("A process left behind with the pipes holds nothing up, and is ended")
  func leftBehind() throws {
    let outcome = try shell("sleep 3600 & echo $!").run("run", "null")
    let grandchild = try #require(pid_t((outcome.result ?? "").trimmingCharacters(in: .whitespacesAndNewlines)))
    #expect(outcome.status == ROOST_OK)
    try eventually("it is gone") { !isRunning(grandchild) }
  }

  @Test("With detach the task is left to somebody outside, and so is what the program started")
  func detach() throws {
    let plugin = try shell("sleep 3600 & echo $! >&2", detach: true)
    let outcome = try plugin.run("run", "null")
    #expect(outcome.status == ROOST_DETACHED && outcome.result == nil)
    let grandchild = try #require(pid_t(outcome.lines[0].message))
    #expect(isRunning(grandchild))
    kill(grandchild, SIGKILL)
    #expect(try shell("exit 2", detach: true).run("run", "null").status == ROOST_FAILED)
  }

  @Test("Endless output is a failure, not endless memory")
  func endless() throws {
    let outcome = try command(["/usr/bin/yes"]).run("run", "null")
    #expect(outcome.status == ROOST_FAILED && outcome.failure.message == "/usr/bin/yes wrote more than 64 MiB")
  }

  @Test(
    "A command that cannot be run refuses the config",
    arguments: [
      (["/no/such/program"], "/no/such/program: No such file or directory"), (["/etc/passwd"], "not executable"),
      (["/tmp"], "/tmp: not a file"),
      (["no-such-program-anywhere"], "no program \"no-such-program-anywhere\" on the PATH"),
      ([], "the program is missing"),
    ])
  func refused(words: [String], message: String) throws {
    let refused = try #require(throws: LoadedPlugin.Refused.self) { try command(words) }
    #expect(refused.status == ROOST_REJECTED && refused.message.contains(message), "\(refused.message)")
  }

  @Test("Many at once keep their own pipes")
  func many() throws {
    let plugin = try command(["cat"])
    let tasks = try (0..<32).map { try plugin.start("run", "[\($0)]") }
    for (number, task) in tasks.enumerated() { #expect(try task.outcome().result == "[\(number)]") }
    #expect(plugin.host.misuse == [])
  }
}
