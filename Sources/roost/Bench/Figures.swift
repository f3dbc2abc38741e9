// SPDX-License-Identifier: Apache-2.0

/// What can be measured of a stage; the raw value is the member's name in JSON.
enum Figure: String, CaseIterable, Sendable {
  case tasks, seconds, tasksPerSecond
  /// CPU of Redis' main thread.
  case redisMicrosPerTask
  /// Of `both`: the same for removing a finished task, which a host does when its type's retention is over.
  case redisTrimMicrosPerTask
  /// About as many commands as clients sent; what scripts call inside Redis does not count.
  case redisCallsPerTask
  /// Host and worker together.
  case cpuMicrosPerTask
  case hostMicrosPerTask, workerMicrosPerTask
  case p50Millis, p95Millis, p99Millis, maxMillis
  case bytesPerPendingTask, bytesPerFinishedTask
  /// Of the type that `--slow` keeps busy.
  case slowTasksPerSecond
  case hostCorePercent, workerCorePercent, redisCallsPerSecond
  case hostRSSBytes, workerRSSBytes
}

typealias Figures = [Figure: Double]

/// What a stage came to.
struct StageResult: Sendable {
  let stage: BenchOptions.Stage
  var figures: Figures
  /// Of `latency`: the same over HTTP.
  var http: Figures?

  init(stage: BenchOptions.Stage, figures: Figures, http: Figures? = nil) {
    self.stage = stage
    self.figures = figures
    self.http = http
  }
}

extension Figures {
  /// The percentiles of times in nanoseconds; none of no times.
  static func percentiles(of nanoseconds: [Int64]) -> Figures {
    guard let last = nanoseconds.indices.last else { return [:] }
    let sorted = nanoseconds.sorted()
    func millis(_ share: Double) -> Double { Double(sorted[Int((Double(last) * share).rounded())]) / 1e6 }
    return [.p50Millis: millis(0.5), .p95Millis: millis(0.95), .p99Millis: millis(0.99), .maxMillis: millis(1)]
  }
}
