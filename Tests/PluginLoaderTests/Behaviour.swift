// SPDX-License-Identifier: Apache-2.0
import CRoost
import Foundation
import Logging
import PluginLoader
import Synchronization
import Threading
import TaskModel
import TestSupport
import Testing

/// A worker's side of a call that remembers what it was told.
final class FakeCall: TaskCall {
  struct Progress: Equatable {
    let fraction: Double
    let note: String
  }
  struct Line: Equatable {
    let level: Log.Level
    let message: String
  }

  let facts: TaskFacts
  private let stop: Atomic<Int32>
  private let told = Lock((progress: [Progress](), lines: [Line](), record: [UInt8]?.none))

  init(_ params: String = "null", maxResult: Int = 1 << 20, stop: Int32 = 0, record: String? = nil) {
    facts = TaskFacts(
      id: TaskID(high: 0x0192_0000_0000_7abc, low: 0x8000_0000_0000_0100), type: "article.generate",
      params: Array(params.utf8)[...], attempt: 2, maxAttempts: 3, crashes: 1, trace: "00-trace", tenant: "",
      createdAtMillis: 1_700_000_000_123, deadlineMillis: 1_700_000_060_000, maxResult: maxResult)
    self.stop = Atomic(stop)
    told.withLock { $0.record = record.map { Array($0.utf8) } }
  }

  var progressCalls: [Progress] { told.withLock { $0.progress } }
  var lines: [Line] { told.withLock { $0.lines } }

  func requestStop(_ reason: Int32) { stop.store(reason, ordering: .releasing) }
  func stopRequested() -> Int32 { stop.load(ordering: .acquiring) }
  func progress(_ fraction: Double, _ note: String) {
    told.withLock { $0.progress.append(Progress(fraction: fraction, note: note)) }
  }
  func log(_ level: Log.Level, _ message: String) {
    told.withLock { $0.lines.append(Line(level: level, message: message)) }
  }
  func record() -> [UInt8]? { told.withLock { $0.record } }
}

/// Lines that several threads add to.
final class Lines: Sendable {
  private let lines = Lock<[FakeCall.Line]>([])
  var all: [FakeCall.Line] { lines.withLock { $0 } }
  var sink: PluginLog {
    { level, message in self.lines.withLock { $0.append(FakeCall.Line(level: level, message: message)) } }
  }
  func count(_ text: String) -> Int { all.count { $0.message.contains(text) } }
}

/// Outcomes in the order in which they came.
final class Outcomes: Sendable {
  private let outcomes = Lock<[AttemptOutcome]>([])
  var all: [AttemptOutcome] { outcomes.withLock { $0 } }
  var add: RunningAttempt.Completion { { outcome in self.outcomes.withLock { $0.append(outcome) } } }
}

/// `behaviour.c` loaded from a file of its own, with one instance.
final class Behaviour: Sendable {
  let directory: TemporaryDirectory
  let library: PluginLibrary
  let instance: PluginInstance
  let lines = Lines()

  init(settings: String = "{}") throws {
    directory = try TemporaryDirectory()
    let path = directory.path + "/libBehaviour.so"
    try FileManager.default.copyItem(atPath: CompiledPlugin.path("behaviour"), toPath: path)
    library = try PluginLibrary(name: "demo", path: path, log: lines.sink)
    instance = try library.makeInstance(settings: Array(settings.utf8))
  }

  deinit {
    _ = instance.stop(deadlineMillis: 0)
  }

  func executor(_ name: String) throws -> LoadedExecutor { try #require(instance.executor(named: name)) }

  /// Runs an executor that does not stay pending.
  func run(_ name: String, _ call: FakeCall = FakeCall()) throws -> AttemptOutcome {
    let outcomes = Outcomes()
    try executor(name).prepare(call).run(outcomes.add)
    return try #require(outcomes.all.count == 1 ? outcomes.all.first : nil)
  }

  /// A function of the plugin that only tests call.
  func function<F>(_ name: String, as type: F.Type) throws -> F {
    let handle = try #require(dlopen(library.path, RTLD_NOW | RTLD_NOLOAD))
    // behaviour.c defines the function with this type.
    return unsafeBitCast(try #require(dlsym(handle, name)), to: type)
  }

  func seen(_ index: Int32) throws -> Int32 {
    try function("test_seen", as: (@convention(c) (Int32) -> Int32).self)(index)
  }
  func count(_ which: Counter) throws -> Int32 {
    try function("test_count", as: (@convention(c) (Int32) -> Int32).self)(which.rawValue)
  }
  func held() throws -> UInt64 { try function("test_held", as: (@convention(c) () -> UInt64).self)() }
  func finish(_ status: Int32) throws { try function("test_finish", as: (@convention(c) (Int32) -> Void).self)(status) }
  func setResult(_ json: String) throws -> Int32 {
    try function("test_set_result", as: (@convention(c) (UnsafePointer<CChar>) -> Int32).self)(json)
  }
  /// 15 when every function answered as it must to a dead handle.
  func useDead(_ value: UInt64) throws -> Int32 {
    try function("test_use_dead", as: (@convention(c) (UInt64) -> Int32).self)(value)
  }
  func waitEntered() throws { try function("test_wait_entered", as: (@convention(c) () -> Void).self)() }
  func openGate() throws { try function("test_open_gate", as: (@convention(c) () -> Void).self)() }

  enum Counter: Int32 { case cancels, stops, destroys, cancelDone }
}

extension AttemptOutcome {
  var text: String? {
    if case .completed(let json) = self { json.map { String(decoding: $0, as: UTF8.self) } } else { nil }
  }
  var isRejected: Bool {
    if case .rejected = self { true } else { false }
  }
  var error: TaskError? {
    switch self {
    case .failed(let error), .rejected(let error): error
    case .completed, .cancelled, .detached: nil
    }
  }
}
