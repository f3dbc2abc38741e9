// SPDX-License-Identifier: Apache-2.0
import Foundation
import PluginFiles
import TestSupport
import Testing

@Suite("Plugin files")
struct PluginFileTests {
  private let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  /// A good plugin in a file of its own.
  private func copy(_ name: String = "plugin.so", in folder: String? = nil) throws -> String {
    let path = (folder ?? directory.path) + "/" + name
    try FileManager.default.copyItem(atPath: CompiledPlugin.path("minimal"), toPath: path)
    return path
  }

  private func failure(_ path: String) throws -> PluginError {
    try #require(throws: PluginError.self) { try PluginFile(name: "demo", path: path) }
  }

  private func setMode(_ mode: Int, _ path: String) throws {
    try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: path)
  }

  private func change(_ path: String, at offset: Int, to bytes: [UInt8]) throws {
    var data = try Data(contentsOf: URL(fileURLWithPath: path))
    data.replaceSubrange(offset..<offset + bytes.count, with: bytes)
    try data.write(to: URL(fileURLWithPath: path))
  }

  @Test("A good file passes, and its build is what sha256sum says")
  func goodFile() throws {
    let path = try copy()
    let file = try PluginFile(name: "demo", path: path)
    #expect(file.resolvedPath == path)
    #expect(file.warnings == [])
    let sum = Process()
    sum.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    sum.arguments = ["sha256sum", path]
    let output = Pipe()
    sum.standardOutput = output
    try sum.run()
    let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    sum.waitUntilExit()
    #expect(file.build == "sha256:" + text.prefix(64))
  }

  @Test("A path that leads nowhere says how far it goes")
  func missing() throws {
    let path = directory.path + "/none/libX.so"
    let error = try failure(path)
    #expect(error.code == "PLUGIN_NOT_FOUND")
    #expect(error.message.hasPrefix("plugin \"demo\": \(path) does not exist (there is no \(directory.path)/none); "))
    #expect(try failure("").code == "PLUGIN_NOT_FOUND")
    let below = try copy() + "/more.so"
    #expect(try failure(below).code == "PLUGIN_NOT_FOUND")
  }

  @Test("A directory, a device and a pipe are no plugins, and none of them blocks")
  func notAFile() throws {
    #expect(try failure(directory.path).code == "PLUGIN_NOT_FILE")
    #expect(try failure("/dev/null").message.contains("is a device, not a file"))
    mkfifo(directory.path + "/pipe", 0o600)
    #expect(try failure(directory.path + "/pipe").message.contains("is a pipe, not a file"))
  }

  @Test("Text and scripts are not ELF")
  func notELF() throws {
    #expect(try failure(directory.write("text.so", "#!/bin/sh\necho hello\n")).code == "PLUGIN_NOT_ELF")
    #expect(try failure(directory.write("short.so", "x")).code == "PLUGIN_NOT_ELF")
  }

  @Test("An empty file and one cut short anywhere are refused before they are loaded")
  func truncated() throws {
    let whole = try Data(contentsOf: URL(fileURLWithPath: CompiledPlugin.path("minimal")))
    let path = directory.path + "/cut.so"
    let steps = stride(from: 0, to: whole.count, by: 97)
    for count in Array(steps) + [1, 3, 4, 15, 63, 64, 65, whole.count - 64, whole.count - 1] {
      try whole.prefix(count).write(to: URL(fileURLWithPath: path))
      let error = try failure(path)
      #expect(error.code == "PLUGIN_TRUNCATED", "cut to \(count) bytes: \(error)")
    }
    #expect(try failure(directory.write("empty.so", "")).message.contains("empty.so is empty; copy it again"))
  }

  @Test("A file without section headers is good, and cut inside a segment it is not")
  func noSections() throws {
    let path = try copy()
    try change(path, at: 40, to: [UInt8](repeating: 0, count: 8))
    try change(path, at: 60, to: [0, 0])
    _ = try PluginFile(name: "demo", path: path)
    let whole = try Data(contentsOf: URL(fileURLWithPath: path))
    try whole.prefix(whole.count / 2).write(to: URL(fileURLWithPath: path))
    #expect(try failure(path).code == "PLUGIN_TRUNCATED")
  }

  @Test("A section that ends outside the file is missing its end, wherever the table of sections stands")
  func longSection() throws {
    let path = try copy()
    let table = try Data(contentsOf: URL(fileURLWithPath: path))[40..<48].enumerated().reduce(0) {
      $0 | Int($1.element) << (8 * $1.offset)
    }
    // The size of the first section that is one.
    try change(path, at: table + 64 + 32, to: [0, 0, 0, 0x10, 0, 0, 0, 0])
    #expect(try failure(path).code == "PLUGIN_TRUNCATED")
  }

  @Test("Tables that lead out of the file are found damaged, not followed")
  func damaged() throws {
    let path = try copy()
    let size = try Data(contentsOf: URL(fileURLWithPath: path)).count
    for offset in stride(from: 32, to: size - 8, by: 8) {
      let other = directory.path + "/damaged.so"
      try? FileManager.default.removeItem(atPath: other)
      try FileManager.default.copyItem(atPath: path, toPath: other)
      try change(other, at: offset, to: [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff])
      // Whatever it says: it says it, and this process lives.
      _ = try? PluginFile(name: "demo", path: other)
    }
  }

  @Test("Both styles of symbol hash tables are understood", arguments: ["sysv", "gnu", "both"])
  func hashStyles(_ style: String) throws {
    _ = try PluginFile(name: "demo", path: CompiledPlugin.path("minimal", "-Wl,--hash-style=\(style)"))
    let without = try CompiledPlugin.path("minimal", "-Wl,--hash-style=\(style)", "-DENTRY=roost_plugin_vl")
    #expect(try failure(without).code == "PLUGIN_NO_ENTRY")
  }

  @Test("A file for another machine says for which")
  func architecture() throws {
    let path = try copy()
    try change(path, at: 18, to: [243, 0])
    let error = try failure(path)
    #expect(error.code == "PLUGIN_ARCH")
    #expect(error.message.contains("is built for riscv, this machine is"))
    try change(path, at: 4, to: [1])
    #expect(try failure(path).message.contains("a 32-bit machine"))
    try change(path, at: 4, to: [2, 2])
    #expect(try failure(path).message.contains("a big-endian machine"))
  }

  @Test("Object files and programs are not shared libraries")
  func notShared() throws {
    let object = directory.path + "/plugin.o"
    try CompiledPlugin.compile("minimal", ["-c", "-Wl,--as-needed"], to: object)
    #expect(try failure(object).message.contains("is an object file, not a shared library"))
    #expect(try failure("/usr/bin/env").code == "PLUGIN_NOT_SHARED")
  }

  @Test("A missing entry names the closest export; a hidden one is missing; only a newer one needs a newer host")
  func entry() throws {
    let near = try failure(CompiledPlugin.path("minimal", "-DENTRY=roost_plugin_vl"))
    #expect(near.code == "PLUGIN_NO_ENTRY")
    #expect(near.message.contains("exports no roost_plugin_v1 (the closest export is roost_plugin_vl); rebuild"))
    let far = try failure(CompiledPlugin.path("minimal", "-DENTRY=start"))
    #expect(far.message.contains("exports no roost_plugin_v1; rebuild"))
    let script = try directory.write("hide.map", "{ local: *; };")
    #expect(try failure(CompiledPlugin.path("minimal", "-Wl,--version-script=\(script)")).code == "PLUGIN_NO_ENTRY")
    #expect(try failure(CompiledPlugin.path("minimal", "-DENTRY=roost_plugin_v2")).code == "PLUGIN_ABI_TOO_NEW")
    _ = try PluginFile(name: "demo", path: CompiledPlugin.path("minimal", "-DSECOND_ENTRY"))
  }

  @Test("A file that others may write to is refused, one that its group may write to warns")
  func fileMode() throws {
    let path = try copy()
    try setMode(0o666, path)
    let error = try failure(path)
    #expect(error.code == "PLUGIN_PERM")
    #expect(error.message.hasSuffix("may be written to by others (mode 0666); chmod o-w \(path)"))
    try setMode(0o664, path)
    #expect(try PluginFile(name: "demo", path: path).warnings.count == 1)
    // No x-bit is needed, and none helps.
    try setMode(0o444, path)
    #expect(try PluginFile(name: "demo", path: path).warnings == [])
  }

  @Test("A directory above that others may write to is refused unless it is sticky and the entry in it is ours")
  func directoryMode() throws {
    let outer = directory.path + "/outer"
    try FileManager.default.createDirectory(atPath: outer + "/inner", withIntermediateDirectories: true)
    let path = try copy(in: outer + "/inner")
    try setMode(0o777, outer)
    let error = try failure(path)
    #expect(error.code == "PLUGIN_PERM")
    #expect(error.message.contains("lies in \(outer), which others may write to (mode 0777)"))
    try setMode(0o1777, outer)
    #expect(try PluginFile(name: "demo", path: path).warnings == [])
    try setMode(0o775, outer)
    #expect(
      try PluginFile(name: "demo", path: path).warnings == ["\(outer) may be written to by its group \(getgid())"])
  }

  @Test("Links are followed, and the directories on both sides of them are checked")
  func links() throws {
    let safe = directory.path + "/safe"
    let open = directory.path + "/open"
    for folder in [safe, open] {
      try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    }
    let path = try copy(in: safe)
    try FileManager.default.createSymbolicLink(
      atPath: directory.path + "/link.so", withDestinationPath: "safe/../safe/plugin.so")
    #expect(try PluginFile(name: "demo", path: directory.path + "/link.so").resolvedPath == path)
    try FileManager.default.createSymbolicLink(atPath: open + "/link.so", withDestinationPath: path)
    try setMode(0o777, open)
    #expect(try failure(open + "/link.so").code == "PLUGIN_PERM")
    try FileManager.default.createSymbolicLink(atPath: safe + "/loop", withDestinationPath: "loop")
    #expect(try failure(safe + "/loop").message.contains("too many symbolic links"))
    try FileManager.default.createSymbolicLink(atPath: safe + "/dangling", withDestinationPath: "gone.so")
    #expect(try failure(safe + "/dangling").message.contains("there is no \(safe)/gone.so"))
  }

  @Test("A file of another user is refused", .enabled(if: geteuid() == 0, "only root can give files away"))
  func owner() throws {
    let path = try copy()
    chown(path, 12345, 12345)
    #expect(try failure(path).message.contains("belongs to uid 12345"))
    chown(path, 0, 0)
    let sticky = directory.path + "/sticky"
    try FileManager.default.createDirectory(atPath: sticky, withIntermediateDirectories: true)
    try setMode(0o1777, sticky)
    let foreign = try copy(in: sticky)
    chown(foreign, 12345, 12345)
    #expect(try failure(foreign).code == "PLUGIN_PERM")
    chown(foreign, 0, 0)
    // Its owner may point it elsewhere at any time, whatever it leads to now.
    symlink(foreign, sticky + "/link.so")
    lchown(sticky + "/link.so", 12345, 12345)
    #expect(try failure(sticky + "/link.so").code == "PLUGIN_PERM")
    #expect(try PluginFile(name: "demo", path: foreign).warnings == [])
    chown(sticky, 12345, 12345)
    #expect(try failure(foreign).message.contains("lies in \(sticky), which belongs to uid 12345"))
  }
}
