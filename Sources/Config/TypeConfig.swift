// SPDX-License-Identifier: Apache-2.0
internal import Glibc
package import TaskModel

/// `types.T`: what runs the tasks of one type, and how many at once.
package struct TypeConfig: Sendable, Equatable {
  package var executor: ExportRef
  package var callback: ExportRef?
  package var exceptionHandler: ExportRef?
  /// The worker that the type runs in, which `Config.workers` always has.
  package var worker: String
  /// Tasks that run at once in one process.
  package var threads: Int
  package var handlerThreads: Int
  /// PENDING and SCHEDULED tasks together, beyond which submissions are refused.
  package var queueCapacity: Int
  /// How long an attempt may take; nil: without limit.
  package var timeout: Duration?
  /// How long code that was told to stop may go on before its process is ended.
  package var grace: Duration
  /// Crashes of one task after which it is FAILED.
  package var maxCrashes: Int
  package var retry: RetryPolicy
  /// Of callback and exception handler.
  package var handlerRetry: RetryPolicy
  /// Counted from the final status, how long a key stays taken; nil: as long as its task's record.
  package var keyTTL: Duration?
  package var retention: RetentionConfig
  /// Bytes of the largest params.
  package var maxParams: Int
  /// Bytes of the largest result.
  package var maxResult: Int

  /// The plugins that a worker of this type loads.
  package var plugins: Set<String> {
    Set([executor, callback, exceptionHandler].compactMap { $0?.plugin })
  }
}

/// `types.T.retention`: how long finished tasks are kept; whichever limit comes first counts.
package struct RetentionConfig: Sendable, Equatable {
  /// Counted from the final status.
  package var age: Duration
  /// Of COMPLETED, and of FAILED and CANCELLED, each.
  package var count: Int
}

extension TypeConfig {
  init(_ from: ConfigDecoder, plugins: Set<String>, workers: Set<String>) {
    if !from.has("executor") { from.missing("executor", "write PLUGIN/EXPORT") }
    executor = from.export("executor", plugins: plugins) ?? ExportRef(plugin: "", export: "")
    callback = from.export("callback", plugins: plugins)
    exceptionHandler = from.export("exceptionHandler", plugins: plugins)
    worker = from.string("worker") ?? executor.plugin
    // The worker named as a plugin is there without being written, because it is the default of that plugin's types.
    if from.has("worker"), !workers.contains(worker), !plugins.contains(worker), !worker.isEmpty {
      let names = workers.union(plugins)
      let hint = nearestName(to: worker, among: names).map { "; did you mean \"\($0)\"?" }
      from.refuse("worker", "there is no worker \(from.shown("worker"))\(hint ?? "; workers has \(listed(workers))")")
    }
    threads = from.integer("threads", default: cores, in: 1...1024)
    handlerThreads = from.integer("handlerThreads", default: 2, in: 1...1024)
    queueCapacity = from.integer("queueCapacity", default: 100_000, in: 1...1_000_000_000)
    timeout = from.duration("timeout", in: .milliseconds(1) ... .seconds(3650 * 86_400))
    grace = from.duration("grace", default: .seconds(5), in: .zero ... .seconds(3600))
    maxCrashes = from.integer("maxCrashes", default: 2, in: 1...1000)
    retry = from.object("retry") { RetryPolicy($0, default: .task) }
    handlerRetry = from.object("handlerRetry") { RetryPolicy($0, default: .handler) }
    keyTTL = from.duration("keyTTL", in: .zero ... .seconds(3650 * 86_400))
    retention = from.object("retention", RetentionConfig.init)
    maxParams = from.byteCount("maxParams", default: 1 << 20, in: 1...256 << 20)
    maxResult = from.byteCount("maxResult", default: 4 << 20, in: 1...256 << 20)
  }
}

extension RetentionConfig {
  init(_ from: ConfigDecoder) {
    age = from.duration("age", default: .seconds(24 * 3600), in: .milliseconds(1) ... .seconds(3650 * 86_400))
    count = from.integer("count", default: 100_000, in: 0...1_000_000_000)
  }
}

extension RetryPolicy {
  init(_ from: ConfigDecoder, default fallback: RetryPolicy) {
    let allowed: ClosedRange<Duration> = .zero ... .seconds(30 * 86_400)
    self.init(
      attempts: from.integer("attempts", default: fallback.attempts, in: 1...1000),
      backoff: from.duration("backoff", default: fallback.backoff, in: allowed),
      maxBackoff: from.duration("maxBackoff", default: fallback.maxBackoff, in: allowed))
    guard maxBackoff < backoff else { return }
    let limit = Quantity.text(maxBackoff) + (from.has("maxBackoff") ? "" : ", the default,")
    from.refuse(
      "maxBackoff", "\(limit) is less than backoff; write at least \(Quantity.text(backoff))")
  }
}

/// The processors that are online, within what `threads` allows.
private let cores = min(1024, max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN))))
