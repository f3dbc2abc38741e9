// SPDX-License-Identifier: Apache-2.0
internal import CSystemShims
internal import FlightBoard
internal import TaskModel
internal import TaskStore
internal import WorkerControl

/// What the end of a worker says of the tasks that it had.
struct PostMortem {
  let loss: WorkerLoss
  /// The task that took the worker down, if one can be named.
  let culprit: TaskID?
  /// Whether it speaks against starting the worker again and again.
  let isAbnormal: Bool
  /// Whether nothing is to be said of it in the log.
  var isOrderly = false
  /// How it ended, for the log.
  let summary: String

  /// Lines of the worker's output that an error shows.
  static let shownLines = 20
  /// The same when they hold a report of Swift's own about the crash.
  static let reportLines = 60
  /// How such a report begins: Swift says why it ends the process, or what signal came.
  private static let reports = ["Fatal error:", "Program crashed"]

  init(
    _ ending: WorkerProcess.Ending?, _ end: ChildProcess.End, flights: [Flight], crash: FlightBoard.Crash?,
    overstays: [WorkerMessage.Overstay] = [], output: [String] = []
  ) {
    let late = overstays.compactMap(Self.finding)
    switch ending {
    case .inGoodOrder, .overstayed, .leaseLost:
      self.init(late, counts: false, summary: ending.map(Self.words) ?? "")
      if case .inGoodOrder = ending { isOrderly = true }
    case .slowStart: self.init(late, isAbnormal: true, summary: Self.words(.slowStart))
    case .stalled:
      // One that stands still again and again is found by running alone, and its neighbours are spared.
      let message = "its worker stood still and was ended"
      self.init(
        late, flights, alone: { .lost }, TaskError(kind: .crash, message: message), summary: Self.words(.stalled))
    case .memory(let resident, let limit):
      let message =
        "its worker had \(resident >> 20) MiB resident, more than the \(limit >> 20) MiB that it may have, and was ended"
      self.init(
        late, flights, alone: { .failed(TaskError(kind: .memory, message: message)) },
        TaskError(kind: .memory, message: message), summary: "it had \(resident >> 20) of \(limit >> 20) MiB")
    case nil:
      let named = crash?.flight.map { [$0] } ?? flights
      let error = Self.error(end, crash, isMarked: crash?.flight != nil, output)
      self.init(late, named, alone: { .crashed(error) }, error, summary: Self.words(end, crash))
    }
  }

  private init(
    _ findings: [WorkerLoss.Finding], counts: Bool = true, culprit: TaskID? = nil, isAbnormal: Bool = false,
    summary: String
  ) {
    loss = WorkerLoss(findings: findings, counts: counts)
    (self.culprit, self.isAbnormal, self.summary) = (culprit, isAbnormal, summary)
  }

  /// One task that ran is the culprit, several are suspects.
  private init(
    _ late: [WorkerLoss.Finding], _ flights: [Flight], alone: () -> WorkerLoss.Verdict, _ error: TaskError,
    summary: String
  ) {
    let flights = flights.filter { !late.contains($0.task) }
    var findings = late
    if flights.count == 1, let flight = flights.first {
      // A handler call fails in the same way whatever it did: the task itself is final.
      let verdict = flight.kind == .handler ? .crashed(error) : alone()
      findings.append(WorkerLoss.Finding(id: flight.task, take: flight.take, verdict: verdict))
    } else {
      findings += flights.map { WorkerLoss.Finding(id: $0.task, take: $0.take, verdict: .suspect) }
    }
    self.init(
      findings, counts: false, culprit: flights.count == 1 ? flights.first?.task : nil, isAbnormal: true,
      summary: summary)
  }

  private static func finding(_ overstay: WorkerMessage.Overstay) -> WorkerLoss.Finding? {
    // A cancel stands on the record, and whoever moves the task on obeys it.
    guard overstay.reason == .timeout, let id = TaskID(overstay.task) else { return nil }
    let error = TaskError(
      kind: .timeout, message: "did not stop within its grace after its deadline; its process was ended")
    return WorkerLoss.Finding(id: id, take: overstay.take, verdict: .failed(error))
  }

  private static func error(
    _ end: ChildProcess.End, _ crash: FlightBoard.Crash?, isMarked: Bool, _ output: [String]
  ) -> TaskError {
    // A crash that was marked before may have been survived.
    let marked = isMarked ? crash?.signal : nil
    let signal: Int32? = if case .signalled(let number) = end { number } else { marked == 0 ? nil : marked }
    let name = signal.map(signalName)
    let how = isMarked ? "crashed its worker" : "ran alone when its worker ended"
    var error = TaskError(
      kind: .crash, message: "\(how): \(words(end, crash))", retryable: false, signal: name)
    let lines = shown(output)
    if !lines.isEmpty {
      var writer = JSONWriter()
      writer.beginObject()
      writer.key("output")
      writer.beginArray()
      for line in lines { writer.string(line) }
      writer.endArray()
      writer.endObject()
      error.detail = writer.bytes
    }
    return error
  }

  /// The last lines of the output, or those of Swift's report, as many as an error may hold.
  private static func shown(_ output: [String]) -> [String] {
    let starts = reports.compactMap { report in output.lastIndex { $0.contains(report) } }
    let end = starts.min() ?? output.endIndex
    let last = output[..<end].suffix(shownLines)
    var bytes = 0
    func fits(_ line: String) -> Bool {
      bytes += line.utf8.count + 4
      return bytes < TaskError.detailLimit / 2
    }
    // What was said before comes first: a report can be longer than there is room.
    let before = Array(last.reversed().prefix(while: fits))
    return before.reversed() + output[end...].prefix(reportLines).prefix(while: fits)
  }

  private static func words(_ ending: WorkerProcess.Ending) -> String {
    switch ending {
    case .inGoodOrder: "in good order"
    case .leaseLost: "its lease was taken"
    case .overstayed: "code did not stop when it was told to"
    case .memory: "it took too much memory"
    case .stalled: "it stood still for a whole lease"
    case .slowStart: "its plugins were not loaded and started within \(WorkerProcess.startLimit / 1000) s"
    }
  }

  private static func words(_ end: ChildProcess.End, _ crash: FlightBoard.Crash?) -> String {
    if let crash, crash.signal == 0 { return "it called exit() (\(end))" }
    if case .signalled(let signal) = end { return "\(signalName(signal)), \(end)" }
    return "\(end)"
  }
}

private func signalName(_ signal: Int32) -> String {
  var buffer = [CChar](repeating: 0, count: 32)
  return roost_signal_name(signal, &buffer).map { String(cString: $0) } ?? "signal \(signal)"
}

extension [WorkerLoss.Finding] {
  fileprivate func contains(_ id: TaskID) -> Bool { contains { $0.id == id } }
}
