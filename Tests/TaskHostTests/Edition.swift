// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport

/// Builds of the plugin `edition` (TestPlugins/edition.c) that really differ.
enum Edition {
  /// Compiles one, as in `["EDITION=\"2\"", "SLOW"]`, to `path`, which is overwritten in place.
  static func build(_ defines: [String], at path: String) throws {
    let folder = try TemporaryDirectory()
    let new = folder.path + "/new.so"
    let sources = BuildProducts.sources
    let result = try run(
      "/usr/bin/cc",
      [
        "-std=gnu11", "-Wall", "-Wextra", "-Werror", "-O1", "-shared", "-fPIC", "-I",
        sources + "/Sources/CRoost/include",
      ]
        + defines.map { "-D\($0)" } + [sources + "/Tests/TaskHostTests/TestPlugins/edition.c", "-o", new])
    guard result.status == 0 else { throw SpawnFailed(description: result.errors) }
    // What `cp` does: the file stays the same one with other content.
    let content = try Data(contentsOf: URL(fileURLWithPath: new))
    if FileManager.default.fileExists(atPath: path) {
      let file = try FileHandle(forWritingTo: URL(fileURLWithPath: path))
      try file.truncate(atOffset: 0)
      try file.write(contentsOf: content)
      try file.close()
    } else {
      try content.write(to: URL(fileURLWithPath: path))
    }
  }

  static func build(_ number: Int, _ more: String..., at path: String) throws {
    try build(["EDITION=\"\(number)\""] + more, at: path)
  }
}
