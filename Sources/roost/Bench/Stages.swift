// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import TaskModel
internal import Threading

/// Runs the stages, each with a host of its own, so that none measures what another has left behind.
struct Bench {
  let options: BenchOptions
  let plugin: String

  /// Runs one; `machine` is filled by the first host there is.
  func run(_ stage: BenchOptions.Stage, _ machine: inout BenchMachine?) throws(CommandError) -> StageResult {
    let host = try BenchHost(options, plugin: plugin, types: types(of: stage))
    defer { host.end() }
    let meter = try Meter(host)
    if machine == nil { machine = try BenchMachine(meter, isEmbedded: options.redis == nil) }
    switch stage {
    case .submit: return StageResult(stage: stage, figures: try submit(host, meter))
    case .httpSubmit: return StageResult(stage: stage, figures: try httpSubmit(host, meter))
    case .httpBatch: return StageResult(stage: stage, figures: try httpBatch(host, meter))
    case .take: return StageResult(stage: stage, figures: try take(host, meter))
    case .drain: return StageResult(stage: stage, figures: try drain(host, meter))
    case .both: return StageResult(stage: stage, figures: try both(host, meter))
    case .latency:
      let (store, http) = try latency(host, meter)
      return StageResult(stage: stage, figures: store, http: http)
    case .idle: return StageResult(stage: stage, figures: try idle(host, meter))
    }
  }

  private func types(of stage: BenchOptions.Stage) -> [String] {
    switch stage {
    case .idle: (1...Self.idleTypes).map { "idle\($0)" }
    // Its workers are not to take what the stage takes.
    case .take: ["other"]
    default: [BenchHost.type] + (options.isSlow ? [BenchHost.slowType] : [])
    }
  }

  /// Tasks that go first: connections are made, pages are there, and MONITOR may listen.
  var warmUp: Int { min(2000, max(1, options.tasks / 10)) }

  // MARK: Stages over the store

  private func submit(_ host: BenchHost, _ meter: Meter) throws(CommandError) -> Figures {
    let load = try StoreLoad(host, meter)
    let params = options.paramsText
    try host.pause()
    try meter.learnSenders { () throws(CommandError) in try load.submit(warmUp, params) }
    try load.submit(options.backlog, params)
    let before = try meter.read()
    try load.submit(options.tasks, params)
    let after = try meter.read()
    var figures = meter.figures(before, after, tasks: options.tasks, countsOwn: true)
    figures[.bytesPerPendingTask] = Double(after.memory - before.memory) / Double(options.tasks)
    return figures
  }

  private func drain(_ host: BenchHost, _ meter: Meter) throws(CommandError) -> Figures {
    let load = try StoreLoad(host, meter)
    let params = options.paramsText
    try warmUp(load, meter)
    try host.pause()
    let first = try meter.completed()
    let waiting = max(options.backlog, options.tasks)
    let empty = try meter.memory()
    try load.submit(waiting, params)
    let slow = options.isSlow ? SlowLoad(load.store, host, options) : nil
    defer { slow?.end() }
    let before = try meter.read()
    try host.resume()
    let tasks = try load.wait(untilCompleted: first + options.tasks) - first
    let after = try meter.read()
    var figures = meter.figures(before, after, tasks: tasks, countsOwn: true)
    let pending = Double(before.memory - empty) / Double(waiting)
    figures[.bytesPerPendingTask] = pending
    figures[.bytesPerFinishedTask] = pending + Double(after.memory - before.memory) / Double(tasks)
    return figures
  }

  private func both(_ host: BenchHost, _ meter: Meter) throws(CommandError) -> Figures {
    let load = try StoreLoad(host, meter)
    let params = options.paramsText
    try warmUp(load, meter)
    try host.pause()
    try load.submit(options.backlog, params)
    try host.resume()
    let slow = options.isSlow ? SlowLoad(load.store, host, options) : nil
    defer { slow?.end() }
    let before = try meter.read()
    let first = try meter.completed()
    try load.submit(options.tasks, params, after: first)
    try load.wait(untilCompleted: first + options.tasks)
    var figures = meter.figures(before, try meter.read(), tasks: options.tasks, countsOwn: true)
    figures[.redisTrimMicrosPerTask] = try load.trim()
    return figures
  }

  func warmUp(_ load: StoreLoad, _ meter: Meter) throws(CommandError) {
    let first = try meter.completed()
    try meter.learnSenders { () throws(CommandError) in
      try load.submit(warmUp, options.paramsText)
      try load.wait(untilCompleted: first + warmUp)
    }
  }

  // MARK: Nothing to do

  static let idleTypes = 10
  /// Seconds: what a start leaves to do, and what is measured.
  private static let settling: UInt32 = 2
  private static let idling: UInt32 = 5

  private func idle(_ host: BenchHost, _ meter: Meter) throws(CommandError) -> Figures {
    sleep(Self.settling)
    let before = try meter.read()
    let monitor = try CommandMonitor(host.address)
    sleep(Self.idling)
    let calls = monitor?.end().clients.values.reduce(0, +)
    let after = try meter.read()
    let seconds = Double(after.at - before.at) / 1e9
    var figures = meter.residents()
    figures[.seconds] = seconds
    figures[.hostCorePercent] = Double(after.host - before.host) / 1e7 / seconds
    figures[.workerCorePercent] = Double(after.workers - before.workers) / 1e7 / seconds
    figures[.redisCallsPerSecond] = calls.map { Double($0) / Double(Self.idling) }
    return figures
  }
}
