// SPDX-License-Identifier: Apache-2.0
import Foundation
import PluginFiles
import PluginLoader
import TestSupport
import Testing
import Synchronization
import Threading

@Suite("Copies of plugin files")
struct PluginStoreTests {
  private let directory: TemporaryDirectory
  private let store: PluginStore

  init() throws {
    directory = try TemporaryDirectory()
    store = PluginStore(directory: directory.path + "/deep/copies")
  }

  /// A good plugin in a file of its own; other flags make another one.
  @discardableResult
  private func plugin(_ name: String = "plugin.so", _ flags: String...) throws -> String {
    let path = directory.path + "/" + name
    try? FileManager.default.removeItem(atPath: path)
    let source = flags.isEmpty ? try CompiledPlugin.path("minimal") : try CompiledPlugin.path("minimal", flags[0])
    try FileManager.default.copyItem(atPath: source, toPath: path)
    return path
  }

  private func add(_ path: String, sha256: String? = nil) throws -> StoredPlugin {
    try store.add(name: "demo", path: path, sha256: sha256)
  }

  private func failure(_ path: String, sha256: String? = nil) throws -> PluginError {
    try #require(throws: PluginError.self) { try store.add(name: "demo", path: path, sha256: sha256) }
  }

  private func contents(_ path: String) throws -> Data { try Data(contentsOf: URL(fileURLWithPath: path)) }

  private func mode(_ path: String) -> mode_t {
    var status = stat()
    return lstat(path, &status) == 0 ? status.st_mode & 0o7777 : 0
  }

  private func inode(_ path: String) -> ino_t {
    var status = stat()
    return lstat(path, &status) == 0 ? status.st_ino : 0
  }

  private func entries(_ folder: String) throws -> [String] {
    try FileManager.default.contentsOfDirectory(atPath: folder).sorted()
  }

  /// Compiles `lib<name>.so` with one function, which calls those it needs.
  private func library(
    _ name: String, _ function: String, needs: [String] = [], in folder: String, _ flags: String...
  ) throws {
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    let declared = (needs + [function]).map { "int \($0)(void);" }.joined(separator: " ")
    let calls = needs.map { " + \($0)()" }.joined()
    let source = try directory.write(name + ".c", "\(declared) int \(function)(void) { return 0\(calls); }")
    try CompiledPlugin.run(["cc", "-shared", "-fPIC", source, "-o", "\(folder)/lib\(name).so"] + flags)
  }

  // MARK: What a copy is

  @Test("A copy has the bytes of the original, its name and its digest; everybody may read it, nobody write to it")
  func copy() throws {
    let mask = umask(0o077)
    defer { umask(mask) }
    let path = try plugin()
    let stored = try add(path)
    let file = try PluginFile(name: "demo", path: path)
    #expect(stored.place == PluginPlace(name: "demo", path: path))
    #expect(stored.build == file.build)
    #expect(stored.copy == "\(store.directory)/\(stored.digest)/plugin.so")
    #expect(stored.warnings == [])
    #expect(try contents(stored.copy) == contents(path))
    #expect(mode(stored.copy) == 0o444)
    for folder in [store.directory, directory.path + "/deep", "\(store.directory)/\(stored.digest)"] {
      #expect(mode(folder) == 0o755, "\(folder)")
    }
    #expect(try entries(store.directory) == [stored.digest])
  }

  @Test("The same file has one copy; a copy that is not what it was is replaced")
  func reuse() throws {
    let path = try plugin()
    let stored = try add(path)
    let first = inode(stored.copy)
    #expect(try add(path) == stored)
    #expect(inode(stored.copy) == first)
    chmod(stored.copy, 0o644)
    #expect(try add(path) == stored)
    #expect(mode(stored.copy) == 0o444 && inode(stored.copy) != first)
    chmod(stored.copy, 0o644)
    var bytes = try contents(path)
    bytes[bytes.count / 2] ^= 1
    let file = try FileHandle(forWritingTo: URL(fileURLWithPath: stored.copy))
    try file.write(contentsOf: bytes)
    try file.close()
    chmod(stored.copy, 0o444)
    #expect(try add(path) == stored)
    #expect(try contents(stored.copy) == contents(path))
    #expect(try entries(store.directory) == [stored.digest])
  }

  @Test("A new build under the old path is another copy, and both can be loaded in one process")
  func rebuilt() throws {
    let path = try plugin()
    let old = try add(path)
    try plugin("plugin.so", "-DEXECUTOR_NAME=\"other\"")
    let new = try add(path)
    #expect(old.copy != new.copy)
    let libraries = try [old, new].map { try PluginLibrary(name: "demo", path: path, copy: $0.copy) }
    #expect(libraries.map { $0.exports.map(\.name) } == [["run"], ["other"]])
    #expect(libraries.map(\.build) == [old.build, new.build])
    #expect(libraries.map(\.path) == [path, path])
  }

  @Test("Overwriting the original in place leaves what is loaded and the copy alone")
  func overwritten() throws {
    let path = try plugin()
    let stored = try add(path)
    let instance = try PluginLibrary(name: "demo", path: path, copy: stored.copy).makeInstance()
    let good = try contents(path)
    let descriptor = open(path, O_WRONLY | O_TRUNC)
    #expect(descriptor >= 0 && write(descriptor, "x", 1) == 1)
    close(descriptor)
    let outcomes = Outcomes()
    instance.executor(named: "run")?.prepare(FakeCall()).run(outcomes.add)
    #expect(outcomes.all == [.completed(nil)])
    #expect(try contents(stored.copy) == good)
    #expect(try failure(path).code == "PLUGIN_NOT_ELF")
  }

  @Test("Only copies that somebody still wants stay, and drafts of the living")
  func removal() throws {
    let kept = try add(try plugin("a.so"))
    let gone = try add(try plugin("b.so", "-DEXECUTOR_NAME=\"other\""))
    try library("near", "near", in: directory.path + "/lib")
    let folder = "\(store.directory)/\(gone.digest)"
    try FileManager.default.createDirectory(atPath: folder + "/lib", withIntermediateDirectories: true)
    symlink(directory.path + "/lib", folder + "/lib/more")
    for name in [".draft-1", ".draft-2", "other"] {
      try Data().write(to: URL(fileURLWithPath: "\(store.directory)/\(name)"))
    }
    try FileManager.default.setAttributes(
      [.modificationDate: Date(timeIntervalSinceNow: -7200)], ofItemAtPath: store.directory + "/.draft-2")
    store.removeAll(except: [kept.digest])
    #expect(try entries(store.directory) == [".draft-1", kept.digest, "other"].sorted())
    #expect(try entries(directory.path + "/lib") == ["libnear.so"], "a link is removed, not what it leads to")
    PluginStore(directory: directory.path + "/none").removeAll(except: [])
  }

  // MARK: What is refused

  @Test("A pin holds: the right digest passes, any other is refused with both, and nothing is left behind")
  func pin() throws {
    let path = try plugin()
    let digest = try PluginFile(name: "demo", path: path).build.dropFirst(7)
    let zeros = String(repeating: "0", count: 64)
    let error = try failure(path, sha256: zeros)
    #expect(error.code == "PLUGIN_HASH")
    #expect(
      error.message == "plugin \"demo\": \(path) has the digest sha256:\(digest), not sha256:\(zeros); "
        + "put the right build there, or correct plugins.demo.sha256")
    #expect(try entries(store.directory) == [])
    #expect(try add(path, sha256: String(digest)).digest == digest)
    _ = try PluginFile(name: "demo", path: path, sha256: String(digest))
    #expect(throws: error) { try PluginFile(name: "demo", path: path, sha256: zeros) }
  }

  @Test("What is no plugin is refused as PluginFile refuses it, and nothing is left behind")
  func refused() throws {
    let whole = try contents(plugin("whole.so"))
    let path = directory.path + "/cut.so"
    for count in stride(from: 0, to: whole.count, by: 1009) {
      try whole.prefix(count).write(to: URL(fileURLWithPath: path))
      #expect(try failure(path).code == "PLUGIN_TRUNCATED", "cut to \(count) bytes")
    }
    for (offset, byte, code) in [(4, UInt8(1), "PLUGIN_ARCH"), (18, 243, "PLUGIN_ARCH"), (16, 2, "PLUGIN_NOT_SHARED")] {
      var bytes = whole
      bytes[offset] = byte
      try bytes.write(to: URL(fileURLWithPath: path))
      #expect(try failure(path).code == code)
    }
    #expect(
      try failure(CompiledPlugin.path("minimal", "-DENTRY=roost_plugin_vl")).message.contains(
        "the closest export is roost_plugin_vl"))
    #expect(try failure(directory.path + "/none.so").code == "PLUGIN_NOT_FOUND")
    chmod(directory.path + "/whole.so", 0o646)
    #expect(try failure(directory.path + "/whole.so").code == "PLUGIN_PERM")
    #expect(!FileManager.default.fileExists(atPath: store.directory))
  }

  @Test("A directory of copies that others may write to is refused, and one that cannot be made is named")
  func badDirectory() throws {
    let path = try plugin()
    let open = directory.path + "/open"
    mkdir(open, 0o700)
    chmod(open, 0o777)
    let error = try #require(throws: PluginError.self) {
      try PluginStore(directory: open).add(name: "demo", path: path)
    }
    #expect(error.code == "PLUGIN_PERM")
    #expect(error.message.contains("\(open), which others may write to (mode 0777)"))
    #expect(try entries(open) == [])
    let file = try directory.write("file", "")
    let other = try #require(throws: PluginError.self) {
      try PluginStore(directory: file + "/copies").add(name: "demo", path: path)
    }
    #expect(other.code == "PLUGIN_COPY")
    #expect(other.message.contains("cannot be copied to \(file)/copies: Not a directory; make room there"))
  }

  // MARK: At the same time

  @Test("A link that is swapped while files are added yields one whole file or the other, each under its digest")
  func swappedLink() throws {
    let files = [try plugin("a.so"), try plugin("b.so", "-DEXECUTOR_NAME=\"other\"")]
    let expected = try Set(files.map { try PluginFile(name: "demo", path: $0).build })
    let link = directory.path + "/link.so"
    symlink(files[0], link)
    let isOver = Lock(false)
    let done = DispatchSemaphore(value: 0)
    Thread.detachNewThread {
      var turn = 0
      while !isOver.withLock({ $0 }) {
        turn += 1
        symlink(files[turn % 2], link + ".next")
        rename(link + ".next", link)
      }
      done.signal()
    }
    var seen: Set<String> = []
    for _ in 0..<2000 where seen.count < 2 {
      let stored = try add(link)
      seen.insert(stored.build)
      #expect(try PluginFile(name: "demo", path: stored.copy).build == stored.build)
    }
    isOver.withLock { $0 = true }
    done.wait()
    #expect(seen == expected)
  }

  @Test("A file that is rewritten while it is added is refused or whole, never a mixture")
  func rewritten() throws {
    let path = try plugin()
    let good = try contents(path)
    var other = good
    // Somewhere no check looks: the section of comments stands near the end.
    let comment = try #require(good.firstRange(of: Data("GCC: (".utf8)))
    other[comment.lowerBound] = UInt8(ascii: "g")
    let isOver = Lock(false)
    let done = DispatchSemaphore(value: 0)
    Thread.detachNewThread { [other] in
      var turn = 0
      while !isOver.withLock({ $0 }) {
        turn += 1
        try? (turn % 2 == 0 ? good : other).write(to: URL(fileURLWithPath: path))
      }
      done.signal()
    }
    for _ in 0..<200 {
      guard let stored = try? add(path) else { continue }
      let copy = try contents(stored.copy)
      #expect(copy == good || copy == other)
    }
    isOver.withLock { $0 = true }
    done.wait()
    #expect(try good == contents(path) || other == contents(path))
    _ = try add(path)
  }

  @Test("Threads and processes that add one file at once all get the same good copy")
  func concurrent() throws {
    let path = try plugin()
    let results = Lock<[StoredPlugin]>([])
    let store = store
    DispatchQueue.concurrentPerform(iterations: 16) { _ in
      if let stored = try? store.add(name: "demo", path: path) { results.withLock { $0.append(stored) } }
    }
    let all = results.withLock { $0 }
    #expect(all.count == 16 && Set(all.map(\.copy)).count == 1)
    #expect(try contents(all[0].copy) == contents(path))
    #expect(try entries(store.directory) == [all[0].digest])
    #expect(try entries("\(store.directory)/\(all[0].digest)") == ["plugin.so"])
  }

  // MARK: Libraries beside the plugin

  @Test(
    "A library that the plugin finds by $ORIGIN is found from the copy too, and what that needs",
    arguments: [("a", "", "$ORIGIN"), ("b", "lib", "${ORIGIN}/lib"), ("c", "../lib", "/nowhere:$ORIGIN/../lib")])
  func origin(_ name: String, _ folder: String, _ runPath: String) throws {
    // The dynamic linker knows what it has loaded by name, so each case has libraries of its own.
    let (near, far) = ("near-\(name)", "far-\(name)")
    let home = directory.path + "/home/plugins"
    let libraries = "\(home)/\(folder)"
    try library(far, "far", in: libraries)
    try library(
      near, "from_the_dependency", needs: ["far"], in: libraries, "-L\(libraries)", "-l\(far)", "-Wl,-rpath,$ORIGIN")
    let path = home + "/plugin.so"
    try FileManager.default.createDirectory(atPath: home, withIntermediateDirectories: true)
    try CompiledPlugin.compile(
      "minimal",
      [
        "-DDEPENDENCY", "-shared", "-fPIC", "-L\(libraries)", "-l\(near)", "-Wl,-rpath,\(runPath)",
        "-Wl,-rpath-link,\(libraries)",
      ], to: path)
    let stored = try add(path)
    #expect(stored.copy.hasPrefix("\(store.directory)/\(stored.digest)/"))
    let library = try PluginLibrary(name: "demo", path: path, copy: stored.copy)
    let outcomes = Outcomes()
    try library.makeInstance().executor(named: "run")?.prepare(FakeCall()).run(outcomes.add)
    #expect(outcomes.all == [.completed(nil)])
    #expect(try add(path) == stored)
    chmod("\(libraries)/lib\(far).so", 0o666)
    let error = try failure(path)
    #expect(error.code == "PLUGIN_PERM")
    #expect(error.message.hasPrefix("plugin \"demo\": ") && error.message.contains("lib\(far).so may be written to"))
  }

  @Test("One file in two directories: the links lead to where it was added from last")
  func movedOrigin() throws {
    let homes = ["/one", "/two"].map { directory.path + $0 }
    for home in homes { try library("twin", "from_the_dependency", in: home) }
    try CompiledPlugin.compile(
      "minimal",
      ["-DDEPENDENCY", "-shared", "-fPIC", "-L\(homes[0])", "-ltwin", "-Wl,-rpath,$ORIGIN"],
      to: homes[0] + "/plugin.so")
    try FileManager.default.copyItem(atPath: homes[0] + "/plugin.so", toPath: homes[1] + "/plugin.so")
    for home in homes {
      let stored = try add(home + "/plugin.so")
      let link = "\(store.directory)/\(stored.digest)/libtwin.so"
      #expect(try FileManager.default.destinationOfSymbolicLink(atPath: link) == home + "/libtwin.so")
    }
  }

  @Test("Messages of a copy name the original: a missing dependency with the library, an undefined symbol")
  func messages() throws {
    try library("gone-too", "gone", in: directory.path + "/lib")
    try library(
      "needy", "from_the_dependency", needs: ["gone"], in: directory.path, "-L\(directory.path)/lib", "-lgone-too")
    let path = directory.path + "/plugin.so"
    try CompiledPlugin.compile(
      "minimal",
      [
        "-DDEPENDENCY", "-shared", "-fPIC", "-L\(directory.path)", "-lneedy", "-Wl,-rpath,$ORIGIN",
        "-Wl,--unresolved-symbols=ignore-all",
      ], to: path)
    func refusal(_ path: String) throws -> PluginError {
      let stored = try add(path)
      return try #require(throws: PluginError.self) {
        try PluginLibrary(name: "demo", path: path, copy: stored.copy, log: Lines().sink)
      }
    }
    let missing = try refusal(path)
    #expect(missing.code == "PLUGIN_DEP_MISSING")
    #expect(
      missing.message
        == "plugin \"demo\": \(path) needs libgone-too.so, which is not on this machine; install it, or link it into the plugin"
    )
    let undefined = try plugin("undefined.so", "-DUNDEFINED")
    let symbol = try refusal(undefined)
    #expect(symbol.code == "PLUGIN_SYMBOL_UNDEFINED")
    #expect(symbol.message.hasPrefix("plugin \"demo\": \(undefined) uses nobody_defines_this"))
    #expect(try !refusal(plugin("null.so", "-DRETURN_NULL")).message.contains(store.directory))
  }
}
