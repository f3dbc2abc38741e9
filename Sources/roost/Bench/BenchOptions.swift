// SPDX-License-Identifier: Apache-2.0
internal import TaskModel

/// What `roost bench` is to measure, and how.
struct BenchOptions: Sendable {
  /// In the order in which they run.
  enum Stage: String, CaseIterable, Sendable {
    case submit, httpSubmit, httpBatch, take, drain, both, latency, idle

    var summary: String {
      switch self {
      case .submit: "submits straight into the store, as a host does for its clients; nothing executes"
      case .httpSubmit: "POST /v1/tasks one by one on kept-alive connections; nothing executes"
      case .httpBatch: "POST /v1/tasks/batch of 1000 on four connections; nothing executes"
      case .take: "takes what waits, on one connection as a worker does; nothing executes"
      case .drain: "executes what waits"
      case .both: "submits into the store and executes at once, at most 8192 tasks under way"
      case .latency: "from submission to COMPLETED at a steady rate, through the store and over HTTP"
      case .idle: "what a host with ten types costs while there is nothing to do"
      }
    }
  }

  var stages: [Stage] = Stage.allCases
  /// Of each stage that measures throughput.
  var tasks = 200_000
  /// Nil: the Redis that the host runs itself.
  var redis: RedisAddress?
  /// The same as it was written, for the config of the host.
  var redisURL: String?
  var connections = 64
  /// Long-polls that stay open meanwhile, of `httpSubmit`.
  var parked = 0
  var processes = 1
  /// Nil: as many as there are cores, the default of a type.
  var threads: Int?
  /// Bytes of each task's params.
  var params = 99
  /// Bytes of each result; nil: the params come back.
  var result: Int?
  /// Tasks that wait before the measuring begins.
  var backlog = 0
  /// Whether a type of long tasks is kept busy in the same worker.
  var isSlow = false
  /// Tasks a second, of `latency`.
  var rate = 100
  var plugin: String?

  /// What `--help` lists.
  static let options = [
    Option(
      name: "stages", value: "NAME,…",
      summary: "Which: \(Stage.allCases.map(\.rawValue).joined(separator: ",")), in this order; default: all"),
    Option(name: "tasks", value: "N", summary: "Tasks of each stage but latency and idle; default: 200000"),
    Option(
      name: "redis", value: "URL",
      summary: "Measure with this Redis, under a prefix that is deleted afterwards; default: an embedded one"),
    Option(name: "connections", value: "N", summary: "Kept-alive connections of httpSubmit; default: 64"),
    Option(name: "parked", value: "N", summary: "Long-polls that stay open during httpSubmit; default: 0"),
    Option(name: "processes", value: "N", summary: "Processes of the worker; default: 1"),
    Option(name: "threads", value: "N", summary: "Threads of the type in each process; default: one per core"),
    Option(name: "params", value: "BYTES", summary: "Size of each task's params, 1 to 1048576; default: 99"),
    Option(name: "result", value: "BYTES", summary: "Size of each result, 1 to 1048576; default: the params come back"),
    Option(
      name: "backlog", value: "N", summary: "Tasks that wait before submit, take, drain and both begin; default: 0"),
    Option(name: "slow", value: nil, summary: "Keep a second type busy in the same worker, whose tasks take 50 ms"),
    Option(name: "rate", value: "N", summary: "Tasks a second of latency, for ten seconds; default: 100"),
    Option(name: "plugin", value: "PATH", summary: "libEcho.so; default: beside this program or in ../lib/roost"),
    .json,
  ]

  /// `httpSubmit` and its parked requests must fit into what a host lets in.
  private static let connectionLimit = 11_900

  init(_ arguments: Arguments) throws(CommandError) {
    if let text = arguments.value("stages") { stages = try Self.stages(text) }
    func number(_ name: String, _ range: ClosedRange<Int>) throws(CommandError) -> Int? {
      guard let text = arguments.value(name) else { return nil }
      guard let number = Int(text), range.contains(number) else {
        throw .usage(
          "--\(name) \(text) is not a whole number from \(range.lowerBound) to \(range.upperBound)", verb: .bench)
      }
      return number
    }
    tasks = try number("tasks", 1...100_000_000) ?? tasks
    connections = try number("connections", 1...1000) ?? connections
    parked = try number("parked", 0...Self.connectionLimit - 1000) ?? parked
    processes = try number("processes", 1...256) ?? processes
    threads = try number("threads", 1...1024)
    params = try number("params", 1...1 << 20) ?? params
    result = try number("result", 1...4 << 20)
    backlog = try number("backlog", 0...100_000_000) ?? backlog
    rate = try number("rate", 1...100_000) ?? rate
    isSlow = arguments.has("slow")
    plugin = arguments.value("plugin")
    if let url = arguments.value("redis") {
      do throws(RedisAddressError) { redis = try RedisAddress(url) } catch {
        throw .usage("--redis: \(error.description)", verb: .bench)
      }
      redisURL = url
    }
  }

  private static func stages(_ text: String) throws(CommandError) -> [Stage] {
    let names = text.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
    for name in names where Stage(rawValue: name) == nil {
      let all = Stage.allCases.map(\.rawValue)
      throw .usage(
        "there is no stage \"\(name)\" among \(all.joined(separator: ", "))\(didYouMean(name, among: all))",
        verb: .bench)
    }
    return Stage.allCases.filter { names.contains($0.rawValue) }
  }

  /// One JSON value of `params` bytes.
  var paramsText: [UInt8] {
    switch params {
    case 1: Array("0".utf8)
    case 2..<12: Array("\"\(String(repeating: "x", count: params - 2))\"".utf8)
    default: Array("{\"text\":\"\(String(repeating: "x", count: params - 11))\"}".utf8)
    }
  }
}
