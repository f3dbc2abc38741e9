// SPDX-License-Identifier: Apache-2.0

/// What was measured, for people: one line a stage, printed as soon as it is known.
struct BenchTable {
  private struct Column {
    /// What stands above the head.
    var top = ""
    let head: String
    let figure: Figure
    var digits = 0
    /// What a value is divided by.
    var unit = 1.0
  }

  private static let stageWidth = 10
  private static let gap = " "
  /// Columns that a number gets at least.
  private static let least = 5

  private static let throughput = [
    Column(head: "tasks/s", figure: .tasksPerSecond),
    Column(top: "CPU µs", head: "Redis", figure: .redisMicrosPerTask, digits: 2),
    Column(top: "a task", head: "host", figure: .hostMicrosPerTask, digits: 2),
    Column(head: "worker", figure: .workerMicrosPerTask, digits: 2),
    Column(top: "calls", head: "a task", figure: .redisCallsPerTask, digits: 4),
    Column(top: "p50", head: "ms", figure: .p50Millis, digits: 2),
    Column(top: "p99", head: "ms", figure: .p99Millis, digits: 2),
    Column(top: "bytes", head: "a task", figure: .bytesPerFinishedTask),
    Column(top: "host", head: "MiB", figure: .hostRSSBytes, digits: 1, unit: 1_048_576),
    Column(top: "worker", head: "MiB", figure: .workerRSSBytes, digits: 1, unit: 1_048_576),
  ]
  private static let latency = [
    Column(head: "p50 ms", figure: .p50Millis, digits: 3),
    Column(head: "p95 ms", figure: .p95Millis, digits: 3),
    Column(head: "p99 ms", figure: .p99Millis, digits: 3),
    Column(head: "max ms", figure: .maxMillis, digits: 3),
    Column(head: "Redis µs", figure: .redisMicrosPerTask),
    Column(head: "host µs", figure: .hostMicrosPerTask),
    Column(head: "worker µs", figure: .workerMicrosPerTask),
    Column(head: "calls", figure: .redisCallsPerTask, digits: 1),
  ]
  private static let idle = [
    Column(head: "host core %", figure: .hostCorePercent, digits: 2),
    Column(head: "worker core %", figure: .workerCorePercent, digits: 2),
    Column(head: "Redis calls/s", figure: .redisCallsPerSecond, digits: 1),
    Column(head: "host MiB", figure: .hostRSSBytes, digits: 1, unit: 1_048_576),
    Column(head: "worker MiB", figure: .workerRSSBytes, digits: 1, unit: 1_048_576),
  ]

  private let options: BenchOptions
  private var hasThroughput = false
  private var hasLines = false

  init(_ options: BenchOptions) {
    self.options = options
  }

  /// What stands above all.
  func head(_ machine: BenchMachine) -> [String] {
    let work =
      "\(options.tasks) tasks a stage, params of \(options.params) bytes, "
      + (options.result.map { "results of \($0) bytes" } ?? "the same as results")
    let workers = options.processes == 1 ? "1 process" : "\(options.processes) processes"
    let threads = (options.threads ?? machine.cores) == 1 ? "1 thread" : "\(options.threads ?? machine.cores) threads"
    let backlog = options.backlog > 0 ? ", \(options.backlog) tasks waiting before" : ""
    return [machine.text, work, "\(workers) of \(threads)\(backlog)"]
  }

  /// The lines of a stage, the first of a kind with the names of its columns.
  mutating func lines(_ result: StageResult) -> [String] {
    hasLines = true
    switch result.stage {
    case .latency:
      let title = "latency from submission to COMPLETED, \(options.rate) tasks/s"
      return ["", title, Self.heads("", Self.latency), Self.row("store", result.figures, Self.latency)]
        + (result.http.map { [Self.row("HTTP", $0, Self.latency)] } ?? [])
    case .idle:
      return [
        "", "nothing to do, \(Bench.idleTypes) types", Self.heads("", Self.idle),
        Self.row("idle", result.figures, Self.idle),
      ]
    default:
      defer { hasThroughput = true }
      var figures = result.figures
      figures[.bytesPerFinishedTask] = figures[.bytesPerFinishedTask] ?? figures[.bytesPerPendingTask]
      var lines =
        hasThroughput
        ? [] : ["", Self.padded("", Self.throughput.map(\.top), Self.throughput), Self.heads("stage", Self.throughput)]
      lines.append(Self.row(result.stage.rawValue, figures, Self.throughput))
      if let slow = figures[.slowTasksPerSecond] { lines.append("  beside \(Int(slow)) slow tasks/s") }
      if let trim = figures[.redisTrimMicrosPerTask] {
        lines.append("  and \(Self.decimal(trim, 2)) µs of Redis a task for removing them when their retention is over")
      }
      return lines
    }
  }

  /// What the columns mean, if there were any that need it, and what the numbers hold beside the tasks.
  var foot: [String] {
    var lines: [String] = []
    if hasThroughput {
      lines = [
        "Redis: its main thread; finished tasks stay. host: in submit, take, drain and",
        "both the submitting process is a host and counted as one. calls: about as many",
        "commands as clients sent to Redis. ms: of a request. bytes: what Redis keeps.",
        "MiB: resident at the end, of the largest worker.",
      ]
    }
    if hasLines, options.redis != nil {
      lines.append("CPU, memory and calls are those of the whole Redis, whoever else uses it.")
    }
    return lines.isEmpty ? [] : [""] + lines
  }

  private static func heads(_ name: String, _ columns: [Column]) -> String {
    padded(name, columns.map(\.head), columns)
  }

  private static func row(_ name: String, _ figures: Figures, _ columns: [Column]) -> String {
    let cells = columns.map { column in
      figures[column.figure].map { decimal($0 / column.unit, column.digits) } ?? "–"
    }
    return padded(name, cells, columns)
  }

  private static func padded(_ name: String, _ cells: [String], _ columns: [Column]) -> String {
    var line = name + String(repeating: " ", count: max(0, stageWidth - name.count))
    for (cell, column) in zip(cells, columns) {
      line += gap + String(repeating: " ", count: max(0, max(least, column.head.count) - cell.count)) + cell
    }
    return line
  }

  /// A number with so many digits behind the point, and a comma between thousands.
  static func decimal(_ value: Double, _ digits: Int) -> String {
    let scale = (0..<digits).reduce(1.0) { scale, _ in scale * 10 }
    let whole = Int64((abs(value) * scale).rounded())
    let (units, rest) = whole.quotientAndRemainder(dividingBy: Int64(scale))
    var text = ""
    for (index, digit) in String(units).enumerated() {
      if index > 0, (String(units).count - index) % 3 == 0 { text += "," }
      text.append(digit)
    }
    if digits > 0 {
      let behind = String(rest)
      text += "." + String(repeating: "0", count: digits - behind.count) + behind
    }
    return (value < 0 && whole > 0 ? "-" : "") + text
  }
}
