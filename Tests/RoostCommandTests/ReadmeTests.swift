// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

@Suite("The examples of the README", .timeLimit(.minutes(5)))
struct ReadmeTests {
  private let readme: String

  init() throws {
    readme = try String(contentsOfFile: BuildProducts.sources + "/README.md", encoding: .utf8)
  }

  /// The code blocks of a language, in their order.
  private func blocks(_ language: String) -> [String] {
    readme.components(separatedBy: "```\(language)\n").dropFirst().compactMap {
      $0.components(separatedBy: "\n```").first
    }
  }

  @Test("The first C block is a whole plugin, clean under the strictest C99")
  func plainC() throws {
    let folder = try TemporaryDirectory()
    try folder.write("shout.c", try #require(blocks("c").first) + "\n")
    let compiled = try run(
      "/usr/bin/cc",
      [
        "-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic", "-O2", "-shared", "-fPIC", "-I",
        BuildProducts.sources + "/Sources/CRoost/include", folder.path + "/shout.c", "-o", folder.path + "/libshout.so",
      ])
    #expect(compiled.status == 0, "\(compiled.errors)")
    let inspected = try run(BuildProducts.roost, ["inspect", folder.path + "/libshout.so"])
    #expect(inspected.status == 0, "\(inspected.errors)")
    #expect(inspected.output.contains("executor shout"))
  }

  @Test("The Swift blocks are a whole package that builds a plugin")
  func swift() throws {
    let folder = try TemporaryDirectory()
    let blocks = blocks("swift")
    try #require(blocks.count == 2)
    let manifest = blocks[0].replacingOccurrences(of: "../roost", with: "../" + link(to: folder))
    try FileManager.default.createDirectory(
      atPath: folder.path + "/greeter/Sources/Greeter", withIntermediateDirectories: true)
    try folder.write("greeter/Package.swift", manifest + "\n")
    try folder.write("greeter/Sources/Greeter/Greeter.swift", blocks[1] + "\n")
    let built = try run(
      "/usr/bin/env", ["swift", "build", "--package-path", folder.path + "/greeter", "--disable-sandbox"])
    #expect(built.status == 0, "\(built.output)\n\(built.errors)")
    let inspected = try run(BuildProducts.roost, ["inspect", folder.path + "/greeter/.build/debug/libGreeter.so"])
    #expect(inspected.status == 0, "\(inspected.errors)")
    #expect(inspected.output.contains("executor greet"))
  }

  @Test("The commands of a first task and of the life of a task work, and nothing is refused")
  func commands() async throws {
    let document = try String(contentsOfFile: BuildProducts.sources + "/README.md", encoding: .utf8)
    let host = try await ServingHost(try repositoryConfig(), workers: 3, files: ["README.md": document])
    let sections = readme.components(separatedBy: "\n## ").filter {
      $0.hasPrefix("A first task") || $0.hasPrefix("The life of a task")
    }
    let lines = sections.flatMap { $0.split(separator: "\n") }.filter { $0.hasPrefix("$ ") }.map { $0.dropFirst(2) }
    try #require(lines.count > 20)
    // The id in the README is one that its writer saw.
    let script = lines.joined(separator: "\n").replacing("export PATH=$PWD/.build/release:$PATH", with: ":")
      .replacing(/01a20d4e[0-9a-f]{24}/, with: "$first")
      .replacing("localhost:7411", with: host.url.dropFirst("http://".count))
    let first = try host.submit("digest.summarize", #"{"text": "One. Two."}"#)
    let outcome = try run(
      "/bin/sh", ["-euc", script],
      environment: ["PATH": "\(BuildProducts.directory):/usr/bin:/bin", "ROOST_URL": host.url, "first": first])
    #expect(outcome.status == 0, "\(outcome.errors)")
    #expect(!outcome.output.contains("about:blank"), "\(outcome.output)")
    #expect(outcome.errors == "", "\(outcome.errors)")
  }

  /// The package depends on a folder called roost beside it, whatever this checkout is called.
  private func link(to folder: TemporaryDirectory) -> String {
    try? FileManager.default.createSymbolicLink(
      atPath: folder.path + "/roost", withDestinationPath: BuildProducts.sources)
    return "roost"
  }
}
