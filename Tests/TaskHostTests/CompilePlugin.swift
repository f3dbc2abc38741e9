// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport

/// Compiles a plugin of these tests, in C, C++ or Swift by the end of its name, to a shared library.
///
/// `source` is a path in the folder of these tests.
func compilePlugin(_ source: String, to file: String, flags: [String] = []) throws {
  let path = BuildProducts.sources + "/Tests/TaskHostTests/" + source
  let result =
    source.hasSuffix(".swift") ? try runSwift(path, file, flags) : try runC(path, file, flags)
  guard result.status == 0 else { throw SpawnFailed(description: result.errors + result.output) }
}

private func runC(_ source: String, _ file: String, _ flags: [String]) throws -> Finished {
  let compiler = source.hasSuffix(".cpp") ? ["/usr/bin/c++", "-std=gnu++17"] : ["/usr/bin/cc", "-std=gnu11"]
  return try run(
    compiler[0],
    [
      compiler[1], "-Wall", "-Wextra", "-Werror", "-O1", "-shared", "-fPIC", "-I",
      BuildProducts.sources + "/Sources/CRoost/include",
    ] + flags + [source, "-o", file])
}

/// Takes the SDK as it was built for these tests, which is a matter of a second; a package would be one of a minute.
private func runSwift(_ source: String, _ file: String, _ flags: [String]) throws -> Finished {
  let built = BuildProducts.directory
  let objects = try ["RoostPlugin", "CRoost"].flatMap { target in
    try FileManager.default.contentsOfDirectory(atPath: "\(built)/\(target).build").filter { $0.hasSuffix(".o") }
      .map { "\(built)/\(target).build/\($0)" }
  }
  return try run(
    "/usr/bin/env",
    [
      "swiftc", "-swift-version", "6", "-parse-as-library", "-emit-library", "-module-name", "BadPlugin",
      "-enable-upcoming-feature", "InternalImportsByDefault", "-I", built + "/Modules", "-Xcc",
      "-fmodule-map-file=\(built)/CRoost.build/module.modulemap",
    ] + flags + [source] + objects + ["-o", file])
}
