// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

@Suite("The command line's usage")
struct UsageTests {
  @Test("--version and --help print and end with 0", arguments: ["--version", "--help", "-h", "help"])
  func overview(_ word: String) throws {
    let outcome = try RoostCommand.run([word])
    #expect(outcome.code == 0)
    #expect(outcome.errors == "")
    if word == "--version" {
      #expect(outcome.output.wholeMatch(of: /roost \d+\.\d+\.\d+\n/) != nil)
    } else {
      for verb in UsageTests.verbs { #expect(outcome.output.contains("\n  \(verb)")) }
      #expect(!outcome.output.contains("worker  "))
    }
  }

  static let verbs = [
    "serve", "check", "submit", "status", "result", "watch", "list", "cancel", "retry", "delete", "pause", "resume",
    "schedules", "workers", "reload", "inspect", "bench",
  ]

  @Test("Each verb has a help that ends with 0, whatever else is said", arguments: verbs)
  func helpOfVerb(_ verb: String) throws {
    for words in [[verb, "--help"], [verb, "-h"], [verb, "too", "many", "words", "here", "--help"]] {
      let outcome = try RoostCommand.run(words)
      #expect(outcome.code == 0)
      #expect(outcome.errors == "")
      #expect(outcome.output.contains("Usage: roost \(verb)"))
      #expect(outcome.output.contains("  --help"))
      #expect(!outcome.output.contains("\u{1b}"))
    }
  }

  @Test(
    "What cannot be meant ends with 2, says why and points to the help",
    arguments: [
      ([], "roost: a verb is missing\nSee roost --help.\n"),
      (["sbmit"], "roost: unknown verb \"sbmit\"; did you mean \"submit\"?\nSee roost --help.\n"),
      (["zzz"], "roost: unknown verb \"zzz\"\nSee roost --help.\n"),
      (["--verson"], "roost: unknown option \"--verson\"; did you mean \"--version\"?\nSee roost --help.\n"),
      (
        ["list", "--tpye", "a"], "roost: unknown option \"--tpye\"; did you mean \"--type\"?\nSee roost list --help.\n"
      ),
      (["list", "-x"], "roost: unknown option \"-x\"\nSee roost list --help.\n"),
      (["list", "--type"], "roost: --type needs a value: --type TYPE\nSee roost list --help.\n"),
      (["list", "--json=yes"], "roost: --json takes no value\nSee roost list --help.\n"),
      (["list", "extra"], "roost: unexpected \"extra\"\nSee roost list --help.\n"),
      (["list", "--", "--json"], "roost: unexpected \"--json\"\nSee roost list --help.\n"),
      (
        ["list", "--status", "complete"],
        "roost: there is no status \"complete\"; did you mean \"COMPLETED\"?\nSee roost list --help.\n"
      ),
      (["list", "--limit=0"], "roost: --limit 0 is out of range; allowed are 1 to 500\nSee roost list --help.\n"),
      (["status"], "roost: something is missing: roost status ID…\nSee roost status --help.\n"),
      (["cancel"], "roost: something is missing: roost cancel ID…\nSee roost cancel --help.\n"),
      (["pause"], "roost: something is missing: roost pause TYPE\nSee roost pause --help.\n"),
      (["resume", "a", "b"], "roost: unexpected \"b\"\nSee roost resume --help.\n"),
      (
        ["submit", "t", "--delay", "1s", "--at", "2027-01-01T00:00:00Z"],
        "roost: --delay and --at exclude each other; give one\nSee roost submit --help.\n"
      ),
      (["submit", "t", "--tenant", "a"], "roost: --tenant is not supported yet\nSee roost submit --help.\n"),
      (["submit", "t", "--key"], "roost: --key needs a value: --key KEY\nSee roost submit --help.\n"),
      (
        ["submit", "t", "--batch"],
        "roost: --batch needs PARAMS: @FILE or - with the params of one task on each line\nSee roost submit --help.\n"
      ),
      (
        ["submit", "t", "1", "--batch", "--key", "k"],
        "roost: --key is for one task, not for a batch\nSee roost submit --help.\n"
      ),
      (
        ["submit", "t", "@/nowhere", "--batch"],
        "roost: /nowhere: No such file or directory\nSee roost submit --help.\n"
      ),
      (["submit"], "roost: something is missing: roost submit TYPE [PARAMS]\nSee roost submit --help.\n"),
      (
        ["submit", "t", "{a"],
        "roost: PARAMS is not JSON: a member name in quotes is missing at offset 1\nSee roost submit --help.\n"
      ),
      (
        ["submit", "t", "@/nowhere"],
        "roost: /nowhere: No such file or directory\nSee roost submit --help.\n"
      ),
      (
        ["submit", "t", "-"],
        "roost: standard input is not JSON: the text is empty at offset 0\nSee roost submit --help.\n"
      ),
      (
        ["status", "x", "--url", "localhost:7411"],
        "roost: \"localhost:7411\" is not a URL; write http://HOST:PORT or https://HOST\nSee roost status --help.\n"
      ),
      (["bench", "echo"], "roost: unexpected \"echo\"\nSee roost bench --help.\n"),
      (
        ["bench", "--stages", "submit,drian"],
        "roost: there is no stage \"drian\" among submit, httpSubmit, httpBatch, take, drain, both, latency, idle; did you mean "
          + "\"drain\"?\nSee roost bench --help.\n"
      ),
      (
        ["bench", "--tasks", "many"],
        "roost: --tasks many is not a whole number from 1 to 100000000\nSee roost bench --help.\n"
      ),
      (
        ["bench", "--threads=0"],
        "roost: --threads 0 is not a whole number from 1 to 1024\nSee roost bench --help.\n"
      ),
      (
        ["bench", "--params", "2000000"],
        "roost: --params 2000000 is not a whole number from 1 to 1048576\nSee roost bench --help.\n"
      ),
    ] as [([String], String)])
  func usageErrors(_ words: [String], _ errors: String) throws {
    let outcome = try RoostCommand.run(words)
    #expect(outcome.code == 2)
    #expect(outcome.errors == errors)
    #expect(outcome.output == "")
  }

  @Test(
    "Without a host every verb that asks one ends with 4 and names it",
    arguments: [
      ["submit", "t", "1"], ["status", "a"], ["result", "a"], ["watch", "a"], ["list"], ["cancel", "a"],
      ["retry", "a", "b"], ["delete", "a"], ["pause", "t"], ["resume", "t"],
    ])
  func unreachable(_ words: [String]) throws {
    let port = ClosedPort()
    for outcome in [
      try RoostCommand.run(words + ["--url", port.url]),
      try RoostCommand.run(words, environment: ["ROOST_URL": port.url]),
    ] {
      #expect(outcome.code == 4)
      #expect(
        outcome.errors == "roost: cannot reach \(port.url): Connection refused; is the host running? "
          + "Start it with roost serve, or name another with --url\n")
      #expect(outcome.output == "")
    }
  }

  @Test("A host whose name is unknown is unreachable too")
  func unknownName() throws {
    let outcome = try RoostCommand.run(["list", "--url", "http://host.invalid"])
    #expect(outcome.code == 4)
    #expect(outcome.errors.hasPrefix("roost: cannot reach http://host.invalid: "))
  }
}
