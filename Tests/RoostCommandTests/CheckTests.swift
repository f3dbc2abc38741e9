// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

@Suite("roost check and the config")
struct CheckTests {
  let folder: TemporaryDirectory
  let bad = #"""
    {
      "plugins": { "p": { "path": "p.so" } },
      "types": { "t": { "executor": "q/run", "threads": 0 } }
    }
    """#

  init() throws {
    folder = try TemporaryDirectory()
  }

  @Test("Everything wrong with a config is printed, and the exit code is 1", arguments: ["check", "serve"])
  func badConfig(_ verb: String) throws {
    try folder.write("config.json", bad)
    let outcome = try RoostCommand.run([verb], directory: folder.path)
    #expect(outcome.code == 1)
    #expect(
      outcome.errors == """
        config.json:3:33: types.t.executor: there is no plugin "q"; did you mean "p"?
        config.json:3:53: types.t.threads: 0 is out of range; allowed are 1 to 1024
        config.json: plugins.p.path: plugin "p": \(folder.path)/p.so does not exist; build the plugin or correct its path

        """)
    #expect(outcome.output == "")
  }

  @Test("The config is named by --config, then ROOST_CONFIG, then the directory")
  func whichConfig() throws {
    let other = try folder.write("other.json", "[")
    let third = try folder.write("third.json", "[1")
    let environment = ["ROOST_CONFIG": third]
    let named = try RoostCommand.run(["check", "--config=\(other)"], environment: environment, directory: folder.path)
    #expect(named.errors == "\(other):1:2: not JSON: the text ends inside a value, line 1, column 2\n")
    let variable = try RoostCommand.run(["check"], environment: environment, directory: folder.path)
    #expect(variable.errors == "\(third):1:3: not JSON: the text ends inside an array, line 1, column 3\n")
    let missing = try RoostCommand.run(["check"], directory: folder.path)
    #expect(missing.code == 1)
    #expect(missing.errors == "config.json: no such file; name the config with --config or ROOST_CONFIG\n")
  }

  @Test("A config with nothing wrong is ok")
  func goodConfig() throws {
    try folder.write("config.json", #"{"plugins": {}, "types": {}}"#)
    let outcome = try RoostCommand.run(["check"], directory: folder.path)
    #expect(outcome.code == 0)
    #expect(outcome.output == "config.json: ok\n")
    #expect(outcome.errors == "")
    let json = try RoostCommand.run(["check", "--json"], directory: folder.path)
    #expect(json.code == 0)
    #expect(json.output == #"{"file":"config.json","ok":true,"issues":[]}"# + "\n")
  }

  @Test("With --json the issues are a document on standard output")
  func json() throws {
    try folder.write("config.json", bad)
    let outcome = try RoostCommand.run(["check", "--json"], directory: folder.path)
    #expect(outcome.code == 1)
    #expect(outcome.errors == "")
    let report = try #require(try JSONSerialization.jsonObject(with: Data(outcome.output.utf8)) as? [String: Any])
    #expect(report["ok"] as? Bool == false)
    #expect(report["file"] as? String == "config.json")
    let issues = try #require(report["issues"] as? [[String: Any]])
    #expect(issues.map { $0["path"] as? String } == ["types.t.executor", "types.t.threads", "plugins.p.path"])
    #expect(issues.map { $0["line"] as? Int } == [3, 3, nil])
    #expect(issues.map { $0["column"] as? Int } == [33, 53, nil])
  }

  @Test("Variables come from the process' environment")
  func environment() throws {
    let text = bad.replacingOccurrences(of: "0", with: "1").replacingOccurrences(of: "q/run", with: "${WHAT}")
    try folder.write("config.json", text)
    let unset = try RoostCommand.run(["check"], directory: folder.path)
    #expect(unset.errors.contains("types.t.executor: the environment has no WHAT; set it, or give a default"))
    let wrong = try RoostCommand.run(["check"], environment: ["WHAT": "a=b"], directory: folder.path)
    #expect(wrong.errors.contains("types.t.executor: \"${WHAT}\" is not PLUGIN/EXPORT"))
  }
}
