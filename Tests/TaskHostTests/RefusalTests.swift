// SPDX-License-Identifier: Apache-2.0
import Foundation
import HTTPClient
import TestSupport
import Testing

@Suite("What a host refuses to start with")
struct RefusalTests {
  let folder: TemporaryDirectory

  init() throws {
    folder = try TemporaryDirectory()
  }

  /// Runs a verb on `config.json` of the folder to its end; its exit code and what it wrote to standard error.
  private func run(
    _ verb: String, _ config: String? = nil, environment: [String: String]? = nil
  ) async throws -> (code: Int32, errors: String) {
    if let config { try folder.write("config.json", config) }
    let file = try folder.write("errors", "")
    let errors = open(file, O_WRONLY | O_TRUNC | O_CLOEXEC)
    defer { close(errors) }
    let pid = try spawn(
      BuildProducts.roost, ["roost", verb], environment: environment, directory: folder.path,
      descriptors: [-1, -1, errors])
    let code = try await exitStatus(of: pid, within: .seconds(40))
    return (code, try String(contentsOfFile: file, encoding: .utf8))
  }

  private func config(plugins: String, types: String = "{}", more: String = "") -> String {
    #"{"http": {"listen": "127.0.0.1:0"}, "plugins": \#(plugins), "types": \#(types)\#(more)}"#
  }

  private func workbench() throws -> String {
    try FileManager.default.copyItem(atPath: Workbench.shared.path(), toPath: folder.path + "/libworkbench.so")
    return "libworkbench.so"
  }

  @Test("A config that cannot be used: every mistake is told, and the exit code is 1", arguments: ["serve", "check"])
  func badConfig(_ verb: String) async throws {
    let missing = try await run(verb)
    #expect(missing.code == 1)
    #expect(missing.errors == "config.json: no such file; name the config with --config or ROOST_CONFIG\n")
    let text = try await run(verb, "{\"plugins\": {},\n  types: {}}")
    #expect(text.code == 1)
    #expect(text.errors.hasPrefix("config.json:2:3: not JSON: "))
    #expect(text.errors.hasSuffix("line 2, column 3\n"))
    let range = try await run(verb, #"{"plugins": {}, "types": {}, "lease": "0s"}"#)
    #expect(range.code == 1)
    #expect(range.errors.hasPrefix("config.json:1:39: lease: 0s is out of range"), "\(range.errors)")
    let many = try await run(
      verb,
      #"""
      {"plugins": {"p": {"path": "p.so"}}, "lease": "2s", "leese": "1s", "lease": "1s",
       "types": {"t": {"executor": "p/run", "threads": 1025, "timeout": 5}}}
      """#)
    #expect(many.code == 1)
    let lines = many.errors.split(separator: "\n")
    #expect(lines.count == 5, "\(many.errors)")
    for words in ["leese", "lease", "types.t.threads", "types.t.timeout", "plugins.p.path"] {
      #expect(lines.contains { $0.contains(words) }, "\(words)")
    }
  }

  @Test("Plugin files that cannot be loaded are told all at once, each with what to do", arguments: ["serve", "check"])
  func badPlugins(_ verb: String) async throws {
    let whole = try Data(contentsOf: URL(fileURLWithPath: minimal("good.so")))
    try whole.prefix(whole.count / 2).write(to: URL(fileURLWithPath: folder.path + "/half.so"))
    try folder.write("empty.so", "")
    try folder.write("text.so", "this is not a library\n")
    try FileManager.default.createDirectory(atPath: folder.path + "/folder.so", withIntermediateDirectories: false)
    try FileManager.default.copyItem(atPath: folder.path + "/good.so", toPath: folder.path + "/open.so")
    chmod(folder.path + "/open.so", 0o757)
    try minimal("noentry.so", "-DENTRY=roost_plugin_v9")
    try minimal("null.so", "-DRETURN_NULL")
    try minimal("new.so", "-DABI_MINOR=999")
    try minimal("undefined.so", "-DUNDEFINED")
    try minimal("crash.so", constructor: "__builtin_trap()")
    try minimal("exit.so", constructor: "_exit(0)")
    let expected = [
      "absent": "does not exist; build the plugin or correct its path",
      "crash": "ended the process that loaded it (signal 4 (Illegal instruction)); run `roost inspect` on it under gdb",
      "empty": "is empty; copy it again, under another name first, then rename it",
      "exit": "ended the process that loaded it (exit status 0); run `roost inspect` on it under gdb",
      "folder": "is a directory, not a file; give the path of the .so itself",
      "half": "bytes; copy it again, under another name first, then rename it",
      "new": "this host knows",
      "noentry": "exports no roost_plugin_v1 (the closest export is roost_plugin_v9); rebuild it",
      "null": "refused to load: its entry returned NULL; see what it logged just before",
      "open": "chmod o-w", "text": "is not an ELF file; give the path of a shared library",
      "undefined": "uses nobody_defines_this, which nothing defines; link the library that defines it",
    ]
    let plugins = expected.keys.map { #""\#($0)": {"path": "\#($0).so"}"# }.joined(separator: ", ")
    let outcome = try await run(verb, config(plugins: "{\(plugins), \"good\": {\"path\": \"good.so\"}}"))
    #expect(outcome.code == 1)
    let lines = outcome.errors.split(separator: "\n").filter { $0.hasPrefix("config.json") }
    #expect(lines.count == expected.count, "\(outcome.errors)")
    for (name, words) in expected {
      let line = lines.first { $0.contains("plugins.\(name).path: plugin \"\(name)\": ") }
      #expect(line?.contains(words) == true, "\(name): \(outcome.errors)")
    }
    #expect(outcome.errors.contains("no licence"), "what the plugin logged before it refused")
  }

  @Test("Plugins that hang while they are loaded are given up, also one that closed what it is to answer through")
  func hangingPlugin() async throws {
    try minimal("hang.so", constructor: "for (;;) pause()")
    try minimal("mute.so", constructor: "for (int i = 0; i < 64; i++) close(i); for (;;) pause()")
    let outcome = try await run(
      "serve", config(plugins: #"{"hang": {"path": "hang.so"}, "mute": {"path": "mute.so"}}"#))
    #expect(outcome.code == 1)
    for name in ["hang", "mute"] {
      #expect(
        outcome.errors.contains(
          "plugins.\(name).path: plugin \"\(name)\": \(folder.path)/\(name).so did not finish loading within 10 s; "),
        "\(outcome.errors)")
    }
    #expect(try leftOver() == [])
  }

  @Test("An export that the plugin lacks is answered with those it has", arguments: ["serve", "check"])
  func missingExports(_ verb: String) async throws {
    let plugins = #"{"w": {"path": "\#(try workbench())", "settings": {"journal": "j"}}}"#
    let types = #"{"t": {"executor": "w/eco", "callback": "w/fail", "exceptionHandler": "w/stubborn"}}"#
    let outcome = try await run(verb, config(plugins: plugins, types: types))
    #expect(outcome.code == 1)
    let lines = outcome.errors.split(separator: "\n").map(String.init)
    try #require(lines.count == 3, "\(outcome.errors)")
    let start = "config.json: types.t.executor: plugin \"w\" has no executor \"eco\"; it has: "
    #expect(lines[0].hasPrefix(start))
    let names = lines[0].dropFirst(start.count).components(separatedBy: ", ")
    #expect(names == names.sorted() && Set(names).isSuperset(of: ["echo", "nap", "fail"]))
    #expect(lines[1].hasPrefix("config.json: types.t.callback: plugin \"w\" has no callback \"fail\"; it has: "))
    #expect(lines[1].hasSuffix(", written"))
    #expect(lines[2].hasSuffix("plugin \"w\" has no exception handler \"stubborn\"; it has: written"))
  }

  @Test("Factories that refuse their settings end the host with their own words, all of them")
  func refusedSettings() async throws {
    let plugins = #"""
      {"w": {"path": "\#(try workbench())", "settings": {"jurnal": "x"}},
       "command": {"path": "\#(BuildProducts.plugin("Command"))", "settings": {"command": ["no-such-program"]}}}
      """#
    let types = #"{"t": {"executor": "w/echo"}, "u": {"executor": "command/run"}}"#
    let outcome = try await run("serve", config(plugins: plugins, types: types))
    #expect(outcome.code == 1)
    #expect(outcome.errors.contains("settings.journal must be the path of a file"))
    #expect(outcome.errors.contains("no program \\\"no-such-program\\\" on the PATH"))
    let last = outcome.errors.split(separator: "\n").suffix(2)
    #expect(last.contains { $0.contains("plugins.w: plugin \"w\": ") && $0.contains("settings.journal must be") })
    #expect(
      last.contains { $0.contains("plugins.command: plugin \"command\": ") && $0.contains("\"no-such-program\"") })
    #expect(try leftOver() == [])
  }

  @Test("Refused settings end the host although Redis is away and the other workers wait for it")
  func refusedSettingsWithoutRedis() async throws {
    let plugins = #"""
      {"w": {"path": "\#(try workbench())", "settings": {"journal": "j"}},
       "command": {"path": "\#(BuildProducts.plugin("Command"))", "settings": {"command": []}}}
      """#
    let types = #"{"t": {"executor": "w/echo"}, "u": {"executor": "command/run"}}"#
    let more = #", "redis": {"url": "unix://\#(folder.path)/none.sock"}"#
    let outcome = try await run("serve", config(plugins: plugins, types: types, more: more))
    #expect(outcome.code == 1)
    #expect(outcome.errors.contains("settings.command: the program is missing"))
    #expect(try leftOver() == [])
  }

  @Test("A port that is taken is named")
  func portTaken() async throws {
    let holder = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    defer { close(holder) }
    let port = try boundPort(holder)
    #expect(listen(holder, 1) == 0)
    let outcome = try await run(
      "serve", #"{"http": {"listen": "127.0.0.1:\#(port)"}, "plugins": {}, "types": {}}"#)
    #expect(outcome.code == 1)
    #expect(outcome.errors.contains("cannot listen on 127.0.0.1:\(port): the port is taken; end what listens there"))
  }

  @Test("Without redis-server the host says how to get one")
  func noRedisServer() async throws {
    let none = try await run(
      "serve", config(plugins: "{}"), environment: ["PATH": folder.path])
    #expect(none.code == 1)
    #expect(
      none.errors.contains(
        "neither redis-server nor valkey-server is installed; run `apt-get install redis-server`, name the program in "
          + "redis.embedded.server, or use a Redis that runs already with redis.url"))
    let named = try await run(
      "serve", config(plugins: "{}", more: #", "redis": {"embedded": {"server": "no-such-server"}}"#))
    #expect(named.code == 1)
    #expect(named.errors.contains("redis.embedded.server: no-such-server is not installed"))
    #expect(!named.errors.contains("neither"))
  }

  @Test("A redis-server that ends at once ends the host, with where to look")
  func brokenRedisServer() async throws {
    let outcome = try await run(
      "serve", config(plugins: "{}", more: #", "redis": {"embedded": {"server": "/bin/false"}}"#))
    #expect(outcome.code == 1)
    #expect(outcome.errors.contains("the embedded Redis does not start: exit status 1; see "))
    #expect(outcome.errors.contains("/data/redis.log"))
  }

  @Test("A second host on the directory of a living one is refused with its pid")
  func directoryInUse() async throws {
    let first = try await HostFixture(["name": #""first""#], observed: false)
    let outcome = try await run(
      "serve", config(plugins: "{}", more: #", "redis": {"embedded": {"directory": "\#(first.directory.path)/data"}}"#))
    #expect(outcome.code == 1)
    #expect(outcome.errors.contains("is in use by the host with pid \(first.process.pid)"))
    #expect(try first.send("GET", "/readyz").status == 200)
  }

  @Test("A signal ends a host that waits for another one to leave the directory", arguments: [SIGTERM, SIGINT])
  func stoppedWhileWaiting(_ signal: Int32) async throws {
    let first = try await HostFixture(["name": #""first""#], observed: false)
    let config = config(
      plugins: "{}", more: #", "redis": {"embedded": {"directory": "\#(first.directory.path)/data"}}"#)
    let second = HostProcess(config: try folder.write("config.json", config), log: folder.path + "/host.log")
    try second.launch()
    try await eventually("it waits") { () async in !second.lines(containing: "waiting for the host").isEmpty }
    kill(second.pid, signal)
    #expect(try await second.end() == 1)
    #expect(second.logText.contains("stopped while it waited for the host with pid \(first.process.pid)"))
    #expect(try first.send("GET", "/readyz").status == 200)
  }

  @Test("A Redis that can never be used ends the host: wrong password, wrong database, too old")
  func unusableRedis() async throws {
    let redis = try RedisServer()
    let socket = redis.directory.path + "/redis.sock"
    func serve(_ url: String) async throws -> (code: Int32, errors: String) {
      try await run("serve", config(plugins: "{}", more: #", "redis": {"url": "\#(url)"}"#))
    }
    let database = try await serve("unix://\(socket)?db=99")
    #expect(database.code == 1)
    #expect(database.errors.contains("database 99 cannot be chosen"))
    try redis.cli("config", "set", "requirepass", "secret-word")
    let wrong = try await serve("unix://:bad-guess@\(socket)")
    #expect(wrong.code == 1)
    #expect(wrong.errors.contains("the user or password in redis.url is wrong"))
    #expect(!wrong.errors.contains("bad-guess"))
    let none = try await serve("unix://\(socket)")
    #expect(none.code == 1)
    #expect(none.errors.contains("give user and password in redis.url"))
    let old = try OldRedis(folder.path + "/old.sock")
    let outcome = try await serve("unix://\(folder.path)/old.sock")
    #expect(outcome.code == 1)
    #expect(outcome.errors.contains("its version is 6.2.14; Roost needs Redis 7.0 or later, or Valkey"))
    withExtendedLifetime(old) {}
  }

  // MARK: What the tests are made of

  @discardableResult
  private func minimal(_ name: String, _ flags: String..., constructor: String? = nil) throws -> String {
    try compileMinimalPlugin(name, in: folder, flags, constructor: constructor)
  }

  /// Processes whose command line names the folder.
  private func leftOver() throws -> [String] {
    try TestSupport.run("/usr/bin/pgrep", ["-f", folder.path]).output.split(separator: "\n").map(String.init)
  }
}

/// A port of the loopback that nobody else has while the socket is open.
func boundPort(_ socket: Int32) throws -> UInt16 {
  var address = sockaddr_in()
  address.sin_family = sa_family_t(AF_INET)
  address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
  var length = socklen_t(MemoryLayout<sockaddr_in>.size)
  let status = withUnsafeMutablePointer(to: &address) {
    $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
      bind(socket, $0, length) == 0 ? getsockname(socket, $0, &length) : -1
    }
  }
  guard status == 0 else { throw SpawnFailed(description: "no port is free") }
  return UInt16(bigEndian: address.sin_port)
}
