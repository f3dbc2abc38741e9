// SPDX-License-Identifier: Apache-2.0
internal import Logging
internal import TaskHost
internal import TaskModel

extension Verb {
  /// Measures what this machine carries.
  static let bench = Verb(
    name: "bench", positionals: "", count: 0...0,
    summary: "Start a host with workers and measure what this machine carries",
    options: BenchOptions.options, details: BenchOptions.Stage.allCases.map { [$0.rawValue, $0.summary] }, run: runBench
  )
}

private func runBench(_ arguments: Arguments) throws(CommandError) -> ExitCode {
  let options = try BenchOptions(arguments)
  // Before any thread is there, so that all of them inherit it.
  TaskHost.prepareProcess()
  Remains.clearOnSignals()
  Log.configure(level: .warning, format: .auto, source: "bench")
  let bench = Bench(options: options, plugin: try EchoPlugin.find(options.plugin))
  let isJSON = arguments.has("json")
  var report = BenchReport()
  var table = BenchTable(options)
  for stage in options.stages {
    do throws(CommandError) {
      let isFirst = report.machine == nil
      report.results.append(try bench.run(stage, &report.machine))
      guard !isJSON, let machine = report.machine, let result = report.results.last else { continue }
      for line in (isFirst ? table.head(machine) : []) + table.lines(result) { try Terminal.line(line) }
    } catch {
      report.failures.append((stage, error.message))
      try Terminal.error("roost: stage \(stage.rawValue): \(error.message)")
    }
  }
  if isJSON { try Terminal.write(report.json + [0x0a]) } else { for line in table.foot { try Terminal.line(line) } }
  return report.failures.isEmpty ? .ok : .failed
}
