// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import Redis
internal import TaskModel

/// What the numbers depend on besides Roost.
struct BenchMachine: Sendable {
  let cores = sysconf(Int32(_SC_NPROCESSORS_ONLN))
  let cpu: String
  let kernel: String
  let redis: String
  /// `always`, `everysec` or `no`; `off` when there is no append-only file.
  let fsync: String
  let isEmbedded: Bool

  /// Asks a Redis that runs.
  init(_ meter: Meter, isEmbedded: Bool) throws(CommandError) {
    let model = BenchDirectory.text("/proc/cpuinfo").split(separator: "\n").first { $0.hasPrefix("model name") }
    cpu = model?.split(separator: ":").last.map { $0.drop { $0 == " " } }.map(String.init) ?? "unknown"
    kernel = String(BenchDirectory.text("/proc/sys/kernel/osrelease").prefix { !$0.isNewline })
    redis = try meter.info("server")["redis_version"].map(String.init) ?? "unknown"
    self.isEmbedded = isEmbedded
    func setting(_ name: String) -> String? {
      // A managed Redis may forbid to ask.
      (try? meter.ask(RedisCommand(words: "CONFIG", "GET", name)))?.arrayValue?.last?.textValue
    }
    fsync = setting("appendonly") == "no" ? "off" : setting("appendfsync") ?? "unknown"
  }

  var text: String {
    "\(cores) cores, \(cpu), Linux \(kernel), \(isEmbedded ? "embedded " : "")Redis \(redis), fsync \(fsync)"
  }

  func write(to writer: inout JSONWriter) {
    writer.beginObject()
    writer.member("cores", Int64(cores))
    writer.member("cpu", cpu)
    writer.member("kernel", kernel)
    writer.member("redisVersion", redis)
    writer.member("fsync", fsync)
    writer.member("embeddedRedis", isEmbedded)
    writer.endObject()
  }
}

/// All that was measured, for programs.
struct BenchReport: Sendable {
  var machine: BenchMachine?
  var results: [StageResult] = []
  /// Stages that could not run, with the reason.
  var failures: [(stage: BenchOptions.Stage, reason: String)] = []

  var json: [UInt8] {
    var writer = JSONWriter(capacity: 4096)
    writer.beginObject()
    if let machine {
      writer.key("machine")
      machine.write(to: &writer)
    }
    writer.key("stages")
    writer.beginObject()
    for result in results {
      writer.key(result.stage.rawValue)
      writer.beginObject()
      Self.write(result.figures, to: &writer)
      if let http = result.http {
        writer.key("http")
        writer.beginObject()
        Self.write(http, to: &writer)
        writer.endObject()
      }
      writer.endObject()
    }
    writer.endObject()
    if !failures.isEmpty {
      writer.key("failures")
      writer.beginObject()
      for (stage, reason) in failures { writer.member(stage.rawValue, reason) }
      writer.endObject()
    }
    writer.endObject()
    return writer.bytes
  }

  private static func write(_ figures: Figures, to writer: inout JSONWriter) {
    for figure in Figure.allCases {
      guard let value = figures[figure] else { continue }
      writer.key(figure.rawValue)
      // Four digits behind the point say more than any measurement.
      writer.number((value * 10_000).rounded() / 10_000)
    }
  }
}
