// SPDX-License-Identifier: Apache-2.0
internal import Logging
internal import PluginLoader
internal import Synchronization
internal import TaskModel
internal import TaskStore
internal import WorkerControl

/// One call of a task's callback or exception handler.
final class HandlerCall: TaskCall {
  let id: TaskID
  let batch: Int64
  let type: LoadedType
  private let fence: ArraySlice<UInt8>
  private let final: TaskRecord
  private let clock: RedisClock
  private let stop = Atomic<Int32>(0)

  init(_ final: TaskRecord, fence: ArraySlice<UInt8>, batch: Int64, type: LoadedType, clock: RedisClock) {
    id = final.id
    self.final = final
    self.fence = fence
    self.batch = batch
    self.type = type
    self.clock = clock
  }

  /// The take that the worker holds it by.
  var take: UInt32 { fence.suffix(4).reversed().reduce(0) { $0 << 8 | UInt32($1) } }
  /// About how much memory it holds.
  var byteCount: Int { final.params.count + (final.result?.count ?? 0) }

  /// Calls the handler on this thread and returns the write that reports how it went.
  func run() -> TaskWrite {
    guard let handler = final.status == .completed ? type.callback : type.exceptionHandler else {
      return write(
        .handlerFailed("the type has no \(final.status == .completed ? "callback" : "exception handler") any more"))
    }
    let tries = final.handler.attempts + 1
    switch handler.call(self, outcome: outcome) {
    case .delivered: return write(.handlerDelivered)
    case .givenBack: return write(.givenBack)
    case .rejected(let error): return write(.handlerFailed(error.message))
    case .failed(let error):
      let policy = type.definition.handlerRetry
      guard error.retryable, tries < policy.attempts else { return write(.handlerFailed(error.message)) }
      return write(.handlerAgain(error.message, at: clock.later(policy.delayMillis(after: tries, error))))
    }
  }

  /// The worker must go: the handler may give the call back.
  func requestStop() { stop.store(3, ordering: .relaxed) }

  func givingBack() -> TaskWrite { write(.givenBack) }

  private func write(_ operation: TaskWrite.Operation) -> TaskWrite {
    if case .handlerFailed(let message) = operation {
      log(
        .warning, "\(reference?.text ?? "the handler") was given up after try \(final.handler.attempts + 1): \(message)"
      )
    }
    return TaskWrite(
      id: id, fence: fence, ticket: nil, operation: operation, attempts: final.attempts, maxAttempts: final.maxAttempts,
      hasParamsKey: false, origin: type.originNumber, startedAt: final.startedAt ?? final.createdAt)
  }

  private var reference: WorkerAssignment.TaskType.Reference? {
    final.status == .completed ? type.definition.callback : type.definition.exceptionHandler
  }

  private var outcome: HandlerOutcome {
    let error = final.error.flatMap { try? JSONNode.parse($0) }
    var detail: [UInt8]?
    if let json = final.error, let node = error?["detail"] { detail = Array(json[node.range]) }
    return HandlerOutcome(
      completed: final.status == .completed, kind: error?["kind"]?.text.flatMap { ErrorKind(name: $0) },
      code: Int32(truncatingIfNeeded: error?["code"]?.integer ?? 0), message: error?["message"]?.text ?? "",
      detail: detail,
      result: final.result ?? [], startedAtMillis: final.startedAt.map(clock.machineMillis) ?? 0,
      finishedAtMillis: clock.machineMillis(final.finishedAt ?? clock.now))
  }

  // MARK: TaskCall

  var facts: TaskFacts {
    TaskFacts(
      id: id, type: type.name, params: final.params[...], attempt: UInt32(final.attempts),
      maxAttempts: UInt32(final.maxAttempts), crashes: UInt32(final.crashes), trace: final.trace ?? "", tenant: "",
      createdAtMillis: clock.machineMillis(final.createdAt), deadlineMillis: 0, maxResult: 0)
  }

  func stopRequested() -> Int32 { stop.load(ordering: .relaxed) }
  func progress(_ fraction: Double, _ note: String) {}

  func log(_ level: Log.Level, _ message: String) {
    Log.write(level, { message }, ["plugin": reference?.plugin ?? "", "type": type.name, "task": id.description])
  }

  func record() -> [UInt8]? {
    var writer = JSONWriter()
    final.write(to: &writer, parts: [.params, .result], handler: reference?.text)
    return writer.bytes
  }
}
