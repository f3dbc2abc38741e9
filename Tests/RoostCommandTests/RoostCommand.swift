// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport

/// The real `roost` as a process.
enum RoostCommand {
  struct Outcome {
    let code: Int32
    let output: String
    let errors: String
  }

  /// Runs it to its end; beside a PATH it gets only the given environment.
  static func run(
    _ arguments: [String], environment: [String: String] = [:], input: String = "", directory: String = "/"
  ) throws -> Outcome {
    let folder = try TemporaryDirectory()
    let process = make(arguments, environment: environment, directory: directory)
    process.standardInput = FileHandle(forReadingAtPath: try folder.write("input", input))
    // Files take any amount while nobody reads.
    let output = FileHandle(forWritingAtPath: try folder.write("output", ""))
    let errors = FileHandle(forWritingAtPath: try folder.write("errors", ""))
    process.standardOutput = output
    process.standardError = errors
    try process.run()
    process.waitUntilExit()
    return Outcome(
      code: process.terminationStatus, output: try String(contentsOfFile: folder.path + "/output", encoding: .utf8),
      errors: try String(contentsOfFile: folder.path + "/errors", encoding: .utf8))
  }

  /// A process that is not started yet.
  static func make(_ arguments: [String], environment: [String: String], directory: String = "/") -> Process {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: BuildProducts.roost)
    process.arguments = arguments
    process.environment = ["PATH": "/usr/bin:/bin"].merging(environment) { $1 }
    process.currentDirectoryURL = URL(fileURLWithPath: directory)
    return process
  }
}
