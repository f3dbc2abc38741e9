// SPDX-License-Identifier: Apache-2.0
import Foundation
import Synchronization
import Threading
import TestSupport

/// Compiles the C files of `BadPlugins`, each combination of file and flags once.
enum CompiledPlugin {
  private static let directory = CompileDirectory()
  private static let built = Lock<[String: String]>([:])

  struct Failed: Error, CustomStringConvertible {
    let description: String
  }

  /// The path of the shared library; others get the same, so it must not be changed.
  static func path(_ source: String, _ flags: String...) throws -> String {
    try built.withLock { built in
      let key = ([source] + flags).joined(separator: " ")
      if let path = built[key] { return path }
      let path = "\(directory.path)/\(built.count).so"
      try compile(source, flags + ["-shared", "-fPIC"], to: path)
      built[key] = path
      return path
    }
  }

  /// Runs cc on a file of `BadPlugins` with warnings as errors.
  static func compile(_ source: String, _ flags: [String], to path: String) throws {
    let sources = BuildProducts.sources
    let file = "\(sources)/Tests/PluginLoaderTests/BadPlugins/\(source).c"
    let strict = ["-std=c11", "-Wall", "-Wextra", "-Werror", "-fvisibility=hidden"]
    try run(
      ["cc", "-I", "\(sources)/Sources/CRoost/include"] + strict + [file, "-o", path] + flags + ["-lm", "-lpthread"])
  }

  static func run(_ command: [String]) throws {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = command
    let output = Pipe()
    process.standardError = output
    try process.run()
    let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    guard process.terminationStatus == 0 else {
      throw Failed(description: "\(command.joined(separator: " ")): \(text)")
    }
  }
}

/// Goes when the process ends, because every test may use what is in it.
private final class CompileDirectory: Sendable {
  let path: String
  private static let toRemove = Lock("")

  init() {
    path = "/tmp/roost-plugins-\(getpid())"
    try? FileManager.default.createDirectory(
      atPath: path, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
    Self.toRemove.withLock { [path] in $0 = path }
    atexit { CompileDirectory.toRemove.withLock { try? FileManager.default.removeItem(atPath: $0) } }
  }
}
