// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

@Suite("Copies of plugins of hosts without a directory")
struct PluginDirectoryTests {
  @Test("What a killed host left is removed by the next one, and nothing else that has a similar name")
  func leftOvers() async throws {
    let temporary = try TemporaryDirectory()
    // No process has a number as large as these.
    let left = "roost-plugins-999999991-aB3xYz"
    let others = ["roost-999999992", "roost-999999993-notes", "roost-plugins-x"]
    for name in [left] + others {
      try FileManager.default.createDirectory(
        atPath: temporary.path + "/" + name, withIntermediateDirectories: false)
    }
    let redis = try RedisServer()
    let config = try temporary.write(
      "config.json",
      #"{"http": {"listen": "127.0.0.1:0"}, "redis": {"url": "\#(redis.address)"}, "plugins": {}, "types": {}}"#)
    let host = HostProcess(
      config: config, log: temporary.path + "/log",
      environment: ProcessInfo.processInfo.environment.merging(["TMPDIR": temporary.path]) { $1 })
    try host.launch()
    try await eventually("the host listens") { () async in host.url != nil }
    func exists(_ name: String) -> Bool { FileManager.default.fileExists(atPath: temporary.path + "/" + name) }
    #expect(!exists(left))
    for name in others { #expect(exists(name), "\(name)") }
    try await host.stop()
    let rest = try FileManager.default.contentsOfDirectory(atPath: temporary.path).filter { $0.hasPrefix("roost-") }
    #expect(rest.sorted() == others.sorted(), "its own goes with it")
  }
}
