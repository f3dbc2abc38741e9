// SPDX-License-Identifier: Apache-2.0
import Foundation
import Logging
import PluginFiles
import PluginLoader
import TaskModel
import TestSupport
import Testing

@Suite("Loading plugins")
struct PluginLibraryTests {
  private func failure(_ flags: String..., path: String? = nil, log: Lines = Lines()) throws -> PluginError {
    let directory = try TemporaryDirectory()
    let file = directory.path + "/libMinimal.so"
    if let path {
      try FileManager.default.copyItem(atPath: path, toPath: file)
    } else {
      try CompiledPlugin.compile("minimal", flags + ["-shared", "-fPIC"], to: file)
    }
    return try #require(throws: PluginError.self) { try PluginLibrary(name: "demo", path: file, log: log.sink) }
  }

  @Test("A good plugin tells who it is, with its text repaired")
  func identity() throws {
    let library = try PluginLibrary(name: "demo", path: CompiledPlugin.path("minimal"))
    #expect(library.name == "demo")
    #expect(library.pluginName == "minimal")
    #expect(library.version == "1.2.3")
    #expect(library.toolchain == "gcc-\u{fffd}")
    #expect(library.build.hasPrefix("sha256:"))
    #expect(library.exports.map(\.name) == ["run"])
    _ = try library.makeInstance()
  }

  @Test("Larger structs of a later header are read as far as they are known")
  func larger() throws {
    let library = try PluginLibrary(
      name: "demo", path: CompiledPlugin.path("minimal", "-DLARGER", "-DEXECUTOR_SIZE=96"))
    #expect(library.exports.map(\.name) == ["run"])
    let outcomes = Outcomes()
    let executor = try #require(try library.makeInstance().executor(named: "run"))
    #expect(!executor.hasCancel)
    executor.prepare(FakeCall()).run(outcomes.add)
    #expect(outcomes.all == [.completed(nil)])
  }

  @Test("Smaller structs and sizes that no struct has are refused")
  func smaller() throws {
    #expect(try failure("-DPLUGIN_SIZE=96").code == "PLUGIN_DESCRIPTOR")
    #expect(try failure("-DPLUGIN_SIZE=0").message.contains("its size is 0, not 104 or a larger multiple of 8"))
    #expect(try failure("-DEXECUTOR_SIZE=56").message.contains("a roost_executor has size 56, not 64 or"))
    #expect(try failure("-DEXECUTOR_SIZE=68").code == "PLUGIN_REGISTER")
    #expect(try failure("-DHANDLER_SIZE=32").message.contains("a roost_handler has size 32, not 40 or"))
  }

  @Test("What cannot work is refused with a code of its own")
  func refusals() throws {
    let log = Lines()
    let refused = try failure("-DRETURN_NULL", log: log)
    #expect(refused.code == "PLUGIN_REFUSED")
    #expect(log.all == [FakeCall.Line(level: .error, message: "no licence")])
    let tooNew = try failure("-DABI_MINOR=7")
    #expect(tooNew.code == "PLUGIN_ABI_TOO_NEW")
    #expect(tooNew.message.contains("needs plugin ABI 1.7, this host knows 1.0; use a newer Roost"))
    #expect(try failure("-DCREATE=NULL").message.contains("create is NULL"))
    #expect(try failure("-DREGISTER_STATUS=1").message.contains("register_exports() returned 1"))
    #expect(try failure("-DDUPLICATE").message.contains("registers executor \"run\" twice"))
    #expect(try failure("-DDUPLICATE").code == "PLUGIN_DUPLICATE_EXPORT")
    #expect(try failure("-DRUN=NULL").message.contains("executor \"run\" has no function"))
    #expect(try failure("-DEXECUTOR_NAME=\"a b\"").message.contains("\"a b\" is no name for executor"))
    #expect(try failure("-DSCHEMA=\"{\"").message.contains("the params_schema of executor \"run\" is not JSON"))
    #expect(try failure("-DHANDLER_SIZE=40").message.contains("callback \"note\" has no function"))
    #expect(!refused.mayBeTriedAgain)
  }

  @Test("An undefined symbol and a missing dependency are named")
  func linking() throws {
    let undefined = try failure("-DUNDEFINED")
    #expect(undefined.code == "PLUGIN_SYMBOL_UNDEFINED")
    #expect(undefined.message.contains("uses nobody_defines_this, which nothing defines"))
    let directory = try TemporaryDirectory()
    let source = try directory.write(
      "gone.c", "int from_the_dependency(void); int from_the_dependency(void) { return 0; }")
    try CompiledPlugin.run(["cc", "-shared", "-fPIC", source, "-o", directory.path + "/libgone.so"])
    let plugin = directory.path + "/plugin.so"
    try CompiledPlugin.compile(
      "minimal", ["-DDEPENDENCY", "-shared", "-fPIC", "-L\(directory.path)", "-lgone"], to: plugin)
    let missing = try failure(path: plugin)
    #expect(missing.code == "PLUGIN_DEP_MISSING")
    #expect(missing.message.contains("needs libgone.so, which is not on this machine"))
  }

  @Test("A broken file is refused before dlopen sees it")
  func brokenFile() throws {
    let directory = try TemporaryDirectory()
    let whole = try Data(contentsOf: URL(fileURLWithPath: CompiledPlugin.path("minimal")))
    try whole.prefix(whole.count / 2).write(to: URL(fileURLWithPath: directory.path + "/half.so"))
    let error = try #require(throws: PluginError.self) {
      try PluginLibrary(name: "demo", path: directory.path + "/half.so")
    }
    #expect(error.code == "PLUGIN_TRUNCATED")
  }

  @Test("The host's table is whole, and registering is over when register_exports() has returned")
  func host() throws {
    let behaviour = try Behaviour()
    #expect(try behaviour.seen(15) == 1)
    #expect(try behaviour.function("test_register_late", as: (@convention(c) () -> Int32).self)() == 1)
    #expect(behaviour.instance.executor(named: "late") == nil)
  }

  @Test("One file under two names is two plugins with their own settings, instances and logs")
  func twoNames() throws {
    let path = try CompiledPlugin.path("behaviour")
    let lines = [Lines(), Lines()]
    let instances = try zip(["one", "two"], lines).map { name, lines in
      try PluginLibrary(name: name, path: path, log: lines.sink).makeInstance(
        settings: Array("{\"n\":\"\(name)\"}".utf8))
    }
    for (instance, name) in zip(instances, ["one", "two"]) {
      let outcomes = Outcomes()
      instance.executor(named: "settings")?.prepare(FakeCall()).run(outcomes.add)
      #expect(outcomes.all.first?.text == "{\"n\":\"\(name)\"}")
      instance.executor(named: "status")?.prepare(FakeCall("77")).run(outcomes.add)
      #expect(outcomes.all.last?.error?.message.contains("\"\(name)/status\"") == true)
    }
    #expect(lines.map { $0.count("plugin \"one\" broke") } == [1, 0])
    #expect(lines.map { $0.count("plugin \"two\" broke") } == [0, 1])
    #expect(instances.allSatisfy { $0.stop(deadlineMillis: 0) })
  }

  @Test("Refused settings are told from a failure that may be tried again")
  func settings() throws {
    let path = try CompiledPlugin.path("behaviour")
    let library = try PluginLibrary(name: "demo", path: path, log: Lines().sink)
    func failure(_ settings: String) throws -> PluginError {
      try #require(throws: PluginError.self) { try library.makeInstance(settings: Array("{\"\(settings)\":1}".utf8)) }
    }
    let refused = try failure("refuse")
    #expect(refused == .settingsRefused(library.place, reason: "endpoint is no URL \u{fffd}"))
    #expect(!refused.mayBeTriedAgain)
    #expect(
      refused.message
        == "plugin \"demo\": \(path) refuses its settings: endpoint is no URL \u{fffd}; correct plugins.demo.settings")
    let silent = try failure("silent")
    #expect(silent == .createFailed(library.place, reason: "it did not say why"))
    #expect(silent.mayBeTriedAgain)
    // A status that create() may not return is a failure, and a reason without its NUL ends with the buffer.
    let overflow = try failure("overflow")
    #expect(overflow == .createFailed(library.place, reason: String(repeating: "m", count: 2048)))
  }

  @Test("An instance that fails to start is destroyed without stop()")
  func start() throws {
    let behaviour = try Behaviour()
    let error = try #require(throws: PluginError.self) {
      try behaviour.library.makeInstance(settings: Array("{\"nostart\":1}".utf8))
    }
    #expect(error == .startFailed(behaviour.library.place, reason: "no connection"))
    #expect(error.mayBeTriedAgain)
    #expect(try behaviour.count(.destroys) == 1)
    #expect(try behaviour.count(.stops) == 0)
  }

  @Test("stop() comes before destroy(), once, and never while a call is pending")
  func stop() throws {
    let behaviour = try Behaviour()
    let outcomes = Outcomes()
    try behaviour.executor("pending").prepare(FakeCall()).run(outcomes.add)
    #expect(!behaviour.instance.stop(deadlineMillis: 1))
    #expect(try behaviour.count(.stops) == 0)
    try behaviour.finish(0)
    #expect(behaviour.instance.stop(deadlineMillis: 4711))
    #expect(!behaviour.instance.stop(deadlineMillis: 2))
    #expect(try behaviour.seen(8) == 4711)
    #expect(try behaviour.count(.stops) == 1)
    #expect(try behaviour.count(.destroys) == 1)
  }

  @Test("The description is JSON with every export")
  func probe() throws {
    let path = try CompiledPlugin.path("behaviour")
    let description = try PluginProbe.inspect(path: path, name: "demo")
    let decoded = try JSONSerialization.jsonObject(with: Data(description.json))
    let object = try #require(decoded as? [String: Any])
    #expect(object["name"] as? String == "behaviour")
    #expect(object["version"] as? String == "1.0.0")
    #expect(object["toolchain"] as? String == "gcc")
    #expect(object["build"] as? String == description.build)
    let exports = try #require(object["exports"] as? [[String: Any]])
    #expect(exports.count == 21)
    #expect(exports.first?["kind"] as? String == "executor")
    #expect((exports.first?["paramsSchema"] as? [String: String]) == ["type": "object"])
    #expect(exports.suffix(2).map { $0["kind"] as? String } == ["callback", "exceptionHandler"])
    #expect(exports.suffix(2).map { $0["name"] as? String } == ["note", "note"])
  }
}
