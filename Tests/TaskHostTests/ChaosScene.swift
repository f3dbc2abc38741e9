// SPDX-License-Identifier: Apache-2.0
import Foundation
import HTTPClient
import TestSupport
import Testing
import Synchronization
import Threading

/// Two hosts on one Redis, with a proxy between, and everything that is done to them.
final class ChaosScene: Sendable {
  let redis: RedisServer
  let hosts: [HostFixture]
  private let proxy: RedisProxy
  private let builds = try? TemporaryDirectory()
  /// What reloads answered.
  private let reloads = Lock<[String]>([])

  static let threads = 4
  static let processes = 2

  init() async throws {
    // A killed Redis keeps all that it acknowledged only in this way.
    redis = try RedisServer(["--appendfsync", "always"])
    proxy = try RedisProxy(redis)
    // What is killed from outside so often is to blame for nothing.
    let types = HostFixture.types(
      ["ledger"], threads: Self.threads,
      extra: #", "maxCrashes": 1000, "retention": {"age": "24h", "count": 1000000}"#)
    let changes = [
      "lease": #""1s""#, "workers": #"{"workbench": {"processes": \#(Self.processes)}}"#, "types": types,
      "redis": #"{"url": "\#(proxy.address)"}"#,
    ]
    var hosts: [HostFixture] = []
    for name in ["one", "two"] {
      hosts.append(
        try await HostFixture(changes.merging(["name": "\"\(name)\""]) { $1 }, redis: redis, workers: Self.processes))
    }
    self.hosts = hosts
    for build in 0..<ChaosDeed.builds {
      try compilePlugin("TestPlugins/workbench.c", to: try file(ofBuild: build), flags: ["-DBUILD=\(build)"])
    }
  }

  private func file(ofBuild build: Int) throws -> String { try #require(builds).path + "/\(build).so" }

  /// What reloads answered, with how often.
  var reloadAnswers: [String: Int] { reloads.withLock { Dictionary($0.map { ($0, 1) }, uniquingKeysWith: +) } }

  func perform(_ deed: ChaosDeed) async throws {
    // What the proxy remembers is for other tests.
    _ = proxy.takeLog()
    switch deed {
    case .killWorker(let host, let nth):
      if let pid = try worker(nth, host) { kill(pid, SIGKILL) }
    case .stopWorker(let host, let nth, let time):
      if let pid = try worker(nth, host) { stop(pid, for: time) }
    case .killHost(let host):
      try await hosts[host].stop(SIGKILL)
      // A host does not start with a plugin that cannot be loaded.
      try overwritePlugin(of: host, with: try Data(contentsOf: URL(fileURLWithPath: file(ofBuild: 0))))
      try hosts[host].process.launch()
    case .stopHost(let host, let time): stop(hosts[host].process.pid, for: time)
    case .killRedis:
      redis.stop(SIGKILL)
      try redis.start()
    case .stopRedis(let time):
      redis.suspend()
      try await pass(time)
      redis.resume()
    case .cut(let verdict, let count): cut(verdict, count)
    case .reload(let host, let build):
      try overwritePlugin(of: host, with: try Data(contentsOf: URL(fileURLWithPath: file(ofBuild: build))))
      reload(host)
    case .spoilPlugin(let host): try overwritePlugin(of: host, with: Data(repeating: 0xa5, count: 9000))
    }
  }

  /// Everything goes on, and nothing is done to it any more.
  func calmDown() async throws {
    proxy.intercept(nil)
    for (index, host) in hosts.enumerated() {
      if host.process.pid > 0 { kill(host.process.pid, SIGCONT) }
      for pid in try host.workerPids() { kill(pid, SIGCONT) }
      try overwritePlugin(of: index, with: try Data(contentsOf: URL(fileURLWithPath: file(ofBuild: 1))))
    }
    try await eventually(within: .seconds(60), "both hosts serve") { () async in
      hosts.allSatisfy { (try? $0.send("GET", "/readyz").status) == 200 }
    }
  }

  // MARK: Deeds

  private func worker(_ nth: Int, _ host: Int) throws -> pid_t? {
    let pids = try hosts[host].workerPids().sorted()
    return pids.isEmpty ? nil : pids[nth % pids.count]
  }

  private func stop(_ pid: pid_t, for time: Duration) {
    // 0 would be the group of this process.
    guard pid > 0 else { return }
    kill(pid, SIGSTOP)
    DispatchQueue.global().asyncAfter(deadline: .now() + .milliseconds(Int(time / .milliseconds(1)))) {
      kill(pid, SIGCONT)
    }
  }

  private func cut(_ verdict: RedisProxy.Verdict, _ count: Int) {
    let left = Monitor(count)
    proxy.intercept { request in
      // Those that wait are cut by every other deed.
      guard request.script != nil else { return .pass }
      return left.withLock { left in
        left -= 1
        return left >= 0 ? verdict : .pass
      }
    }
  }

  /// Overwrites the file in place, as `cp` does.
  private func overwritePlugin(of host: Int, with content: Data) throws {
    let file = try FileHandle(
      forWritingTo: URL(fileURLWithPath: hosts[host].directory.path + "/libworkbench.so"))
    try file.truncate(atOffset: 0)
    try file.write(contentsOf: content)
    try file.close()
  }

  /// Asks for it and goes on: other deeds may meet it half-way.
  private func reload(_ host: Int) {
    guard let url = hosts[host].process.url else { return }
    Thread { [self] in
      let reply = try? HTTPClient(url).send("POST", "/v1/reload", timeout: .seconds(60))
      reloads.withLock { $0.append(reply.map { "\($0.status)" } ?? "no answer") }
    }.start()
  }
}

/// Lets time pass: a story of things that happen at random moments has no condition to wait for.
func pass(_ time: Duration) async throws {
  try await Task.sleep(for: time)
}
