// SPDX-License-Identifier: Apache-2.0
import CRoost
import Foundation
import Synchronization
import Threading
import Testing
import TestSupport

@testable import RoostPlugin

private struct Greeting: Decodable, Sendable {
  struct Person: Decodable { let name: String }
  let people: [Person]
  let mood: String?
}

/// Does what its params say, so that one executor shows every ending.
private struct Greet: TaskExecutor {
  struct Settings: Decodable {
    let word: String
  }
  let word: String
  init(_ settings: Settings) throws {
    if settings.word.isEmpty { throw TaskRejection("the word must not be empty") }
    word = settings.word
  }
  func execute(_ params: Greeting, context: TaskContext) throws -> [String: String] {
    switch params.mood {
    case "failing":
      throw TaskFailure(
        "no voice", code: 12, retryable: false, retryAfter: .milliseconds(2500),
        detail: RawJSON(Array(#"{"a":1}"#.utf8)))
    case "odd": throw POSIXError(.EIO)
    case "rejecting": throw TaskRejection("nobody to greet")
    case "detached": throw Detached()
    case "cancelled": throw CancellationError()
    case "unencodable": throw EncodingError.invalidValue(1, .init(codingPath: [], debugDescription: "no"))
    default: break
    }
    context.progress(0.5, "warming up")
    context.log("almost", level: .warning)
    return ["text": word + " " + params.people.map(\.name).joined(separator: "/")]
  }
}

/// What the task's context says, as JSON.
private struct Describe: TaskExecutor {
  func execute(_ params: RawJSON, context: TaskContext) throws -> [String] {
    [
      context.id, context.type, "\(context.attempt)/\(context.maxAttempts)", "\(context.crashes)",
      "\(context.deadline?.timeIntervalSince1970 ?? 0)", "\(context.createdAt.timeIntervalSince1970)",
      context.trace ?? "-",
      context.tenant ?? "-", String(decoding: context.params, as: UTF8.self),
      String(decoding: params.bytes, as: UTF8.self),
      String(decoding: context.record()?.bytes ?? [], as: UTF8.self), "\(String(describing: context.stopReason))",
    ]
  }
}

private struct Echo: TaskExecutor {
  func execute(_ params: RawJSON, context: TaskContext) throws -> RawJSON { params }
}

private struct Kinds: TaskExecutor {
  enum Colour: String, Decodable { case red, blue }
  struct Even: Decodable {
    init(from decoder: any Decoder) throws {
      let number = try decoder.singleValueContainer().decode(Int.self)
      guard number % 2 == 0 else {
        throw DecodingError.dataCorrupted(.init(codingPath: decoder.codingPath, debugDescription: "\(number) is odd"))
      }
    }
  }
  struct Params: Decodable {
    var count: Int?
    var ratio: Double?
    var isOn: Bool?
    var table: [String: Int]?
    var colour: Colour?
    var even: Even?
  }
  func execute(_ params: Params, context: TaskContext) throws -> RawJSON { .null }
}

private struct NotANumber: TaskExecutor {
  func execute(_ params: RawJSON, context: TaskContext) throws -> [Double] { [.nan] }
}

private final class Witness: TaskCallback, TaskExceptionHandler {
  static let seen = Lock<[String]>([])
  func completed(_ outcome: TaskOutcome, context: TaskContext) throws {
    let result = try outcome.result(as: [String: Int].self)
    let line = "\(context.id) \(result["n"] ?? -1) \(outcome.finishedAt.timeIntervalSince1970)"
    if result["n"] == 0 { throw TaskFailure("not now") }
    context.log(line)
  }
  func failed(_ outcome: TaskOutcome, context: TaskContext) throws {
    guard let error = outcome.error, outcome.result == nil else { throw TaskRejection("no error") }
    let detail = error.detail.map { String(decoding: $0.bytes, as: UTF8.self) } ?? "-"
    context.log(
      "\(error.kind.rawValue) \(error.code) \(error.message) \(detail) \(String(describing: outcome.startedAt))")
  }
}

private final class Owned: TaskExecutor {
  static let alive = Atomic<Int>(0)
  init() { Self.alive.add(1, ordering: .relaxed) }
  deinit { Self.alive.subtract(1, ordering: .relaxed) }
  func execute(_ params: RawJSON, context: TaskContext) throws -> RawJSON { .null }
}

private func load(
  _ settings: String = "{}", capacity: UInt32 = 512, host: HostTable = HostTable(),
  @ExportBuilder exports: () -> [Export]
) throws -> LoadedPlugin {
  let plugin = Plugin("sample", version: "1.2.3", exports: exports)
  return try LoadedPlugin(settings: settings, capacity: capacity, host: host) { plugin.export(to: $0) }
}

private func greeter(_ settings: String = #"{"word":"hi"}"#) throws -> LoadedPlugin {
  try load(settings) { Executor("greet") { try Greet($0) } }
}

@Suite("The Swift SDK")
struct SDKTests {
  @Test("A result is encoded as compact JSON, progress and log arrive")
  func succeeds() throws {
    let outcome = try greeter().run("greet", #"{"people":[{"name":"Ada"},{"name":"Bob"}]}"#)
    #expect(outcome.status == ROOST_OK)
    #expect(outcome.result == #"{"text":"hi Ada/Bob"}"#)
    #expect(outcome.progress == [.init(fraction: 0.5, note: "warming up")])
    #expect(outcome.lines == [.init(level: ROOST_LOG_WARNING, message: "almost")])
  }

  @Test("The descriptor names plugin, version and toolchain")
  func describesItself() throws {
    let plugin = try greeter()
    #expect(copied(plugin.descriptor.name) == "sample")
    #expect(copied(plugin.descriptor.version) == "1.2.3")
    #expect(copied(plugin.descriptor.toolchain).hasPrefix("swift-6."))
    #expect(plugin.descriptor.abi_minor == 0)
  }

  @Test(
    "Params that do not decode are rejected with their path",
    arguments: [
      (#"{"people":[{"name":"Ada"},{}]}"#, "params.people[1].name: missing"),
      (#"{"people":null}"#, "params.people: expected an array, found null"),
      (#"{"people":7}"#, "params.people: expected an array"), ("null", "params: expected an object, found null"),
      ("[]", "params: expected an object"), (#"{"people":[{"name":1}]}"#, "params.people[0].name: expected a string"),
      (#"{"people":[],"mood":true}"#, "params.mood: expected a string"),
      (#"{"people":[{"name":"\ud800"}]}"#, "params: a number is not whole or too large for its place, or a string"),
    ])
  func decodeFailure(params: String, message: String) throws {
    let outcome = try greeter().run("greet", params)
    #expect(outcome.status == ROOST_REJECTED)
    #expect(outcome.failure.message.hasPrefix(message), "\(outcome.failure.message)")
    #expect(outcome.result == nil)
  }

  @Test(
    "Params of other kinds are rejected in words of JSON, and the words of a plugin's own decoding are kept",
    arguments: [
      (#"{"count":"x"}"#, "params.count: expected a whole number"),
      (#"{"ratio":true}"#, "params.ratio: expected a number"),
      (#"{"isOn":0}"#, "params.isOn: expected true or false"), (#"{"table":[]}"#, "params.table: expected an object"),
      (#"{"colour":"pink"}"#, "params.colour: \"pink\" is none of its values"),
      (#"{"colour":1}"#, "params.colour: expected a string"),
      (#"{"count":1.5}"#, "params: a number is not whole or too large for its place, or a string"),
      (#"{"even":3}"#, "params.even: 3 is odd"),
    ])
  func otherKinds(params: String, message: String) throws {
    let plugin = try load { Executor("kinds") { _ in Kinds() } }
    let outcome = try plugin.run("kinds", params)
    #expect(outcome.status == ROOST_REJECTED)
    #expect(outcome.failure.message.hasPrefix(message), "\(outcome.failure.message)")
    #expect(!outcome.failure.message.contains("decode"))
  }

  @Test("A failure carries its code, detail and wishes for the retry")
  func taskFailure() throws {
    let outcome = try greeter().run("greet", #"{"people":[],"mood":"failing"}"#)
    #expect(outcome.status == ROOST_FAILED)
    #expect(
      outcome.failure
        == .init(message: "no voice", code: 12, retryable: false, retryAfterMillis: 2500, detail: #"{"a":1}"#))
  }

  @Test(
    "Every way to throw has its status",
    arguments: [
      ("odd", ROOST_FAILED), ("rejecting", ROOST_REJECTED), ("detached", ROOST_DETACHED),
      ("cancelled", ROOST_CANCELLED),
      ("unencodable", ROOST_FAILED),
    ])
  func endings(mood: String, status: roost_status) throws {
    let outcome = try greeter().run("greet", #"{"people":[],"mood":"\#(mood)"}"#)
    #expect(outcome.status == status)
    #expect(mood == "detached" || !outcome.failure.message.isEmpty)
    #expect(outcome.failure.retryable == (mood != "rejecting"))
  }

  @Test("A result that cannot be JSON is a failure that says where")
  func unencodable() throws {
    let outcome = try load { Executor("nan") { _ in NotANumber() } }.run("nan", "null")
    #expect(outcome.status == ROOST_FAILED)
    #expect(outcome.failure.message.hasPrefix("result[0]: "), "\(outcome.failure.message)")
  }

  @Test("Raw JSON passes through byte for byte")
  func raw() throws {
    let odd = #" {"b":1e2, "a":0.10,"a":"\u0041/"} "#
    #expect(try load { Executor("echo") { _ in Echo() } }.run("echo", odd).result == odd)
  }

  @Test("A result over the limit counts as a failure")
  func tooLarge() throws {
    let plugin = try load { Executor("echo") { _ in Echo() } }
    #expect(try plugin.start("echo", Array("[1,2,3]".utf8), maxResult: 3).outcome().status == ROOST_FAILED)
  }

  @Test("The context says everything that the host knows")
  func context() throws {
    let outcome = try load { Executor("describe") { _ in Describe() } }.run("describe", "[7]")
    let facts = try JSONDecoder().decode([String].self, from: Data((outcome.result ?? "").utf8))
    #expect(
      facts == [
        TestTask.id, "test.type", "2/3", "1", "1700000060.5", "1700000000.0",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "-", "[7]", "[7]", #"{"id":"\#(TestTask.id)"}"#,
        "nil",
      ])
  }

  @Test("Two exports of one type are two executors, each with the plugin's settings")
  func twoOfAKind() throws {
    let plugin = try load(#"{"word":"hey"}"#) {
      Executor("one") { try Greet($0) }
      Executor("two") { (settings: Greet.Settings) in try Greet(.init(word: settings.word + " dear")) }
    }
    #expect(try plugin.run("one", #"{"people":[{"name":"Ada"}]}"#).result == #"{"text":"hey Ada"}"#)
    #expect(try plugin.run("two", #"{"people":[{"name":"Ada"}]}"#).result == #"{"text":"hey dear Ada"}"#)
  }

  @Test("Two exports of one kind and name do not load")
  func sameName() {
    #expect(throws: LoadedPlugin.NotLoaded.self) {
      try load {
        Executor("echo") { _ in Echo() }
        Executor("echo") { _ in Echo() }
      }
    }
  }

  @Test(
    "Settings that a factory refuses refuse the config with text",
    arguments: [
      (#"{"word":""}"#, #"executor "greet": the word must not be empty"#),
      ("{}", #"executor "greet": settings.word: missing"#),
      (#"{"word":1}"#, #"executor "greet": settings.word: "#),
    ])
  func refusedSettings(settings: String, message: String) throws {
    let refused = try #require(throws: LoadedPlugin.Refused.self) { try greeter(settings) }
    #expect(refused.status == ROOST_REJECTED)
    #expect(refused.message.hasPrefix(message), "\(refused.message)")
  }

  @Test("A long refusal is cut between characters", arguments: [0, 1, 2, 30, 31, 32, 33] as [UInt32])
  func longRefusal(capacity: UInt32) throws {
    let refused = try #require(throws: LoadedPlugin.Refused.self) {
      try load(capacity: capacity) {
        Executor("e") { (_: ()) throws -> Echo in throw TaskRejection(String(repeating: "ü", count: 100)) }
      }
    }
    // With no room at all there is not even the NUL.
    #expect(refused.message.utf8.count < max(2, Int(capacity)) && !refused.message.contains("\u{FFFD}"))
  }

  @Test("What an instance owns goes with destroy(), also when a later factory throws")
  func ownership() throws {
    do {
      let plugin = try load { Executor("owned") { _ in Owned() } }
      #expect(Owned.alive.load(ordering: .relaxed) == 1)
      #expect(try plugin.run("owned", "null").status == ROOST_OK)
      // The thread of the run may hold the plugin a moment longer.
    }
    try eventually("the instance is released") { Owned.alive.load(ordering: .relaxed) == 0 }
    #expect(throws: LoadedPlugin.Refused.self) {
      try load {
        Executor("owned") { _ in Owned() }
        Executor("greet") { try Greet($0) }
      }
    }
    #expect(Owned.alive.load(ordering: .relaxed) == 0)
  }

  @Test("A host that is too small is refused, and told so")
  func smallHost() throws {
    let host = HostTable(size: 120)
    #expect(throws: LoadedPlugin.NotLoaded.self) { try load(host: host) { Executor("echo") { _ in Echo() } } }
    #expect(
      host.lines.map(\.message) == [#"plugin "sample": this host offers 120 bytes of functions, ABI 1.0 has 136"#])
  }
}

@Suite("Handlers of the Swift SDK")
struct HandlerTests {
  private func plugin() throws -> LoadedPlugin {
    try load {
      Executor("echo") { _ in Echo() }
      Callback("see") { _ in Witness() }
      ExceptionHandler("see") { _ in Witness() }
    }
  }

  private func outcome(_ status: roost_status, result: LentBytes? = nil) -> roost_outcome {
    var outcome = roost_outcome()
    outcome.status = status
    outcome.finished_at = 1_700_000_001_500
    if let result { outcome.result = result.lent }
    return outcome
  }

  @Test("A callback gets the decoded result")
  func callback() throws {
    let plugin = try plugin()
    let callback = try #require(plugin.exports.callbacks["see"])
    let result = LentBytes(#"{"n":5}"#)
    let called = try plugin.handle(callback, outcome(ROOST_OK, result: result))
    #expect(called.status == ROOST_OK)
    #expect(called.lines.map(\.message) == ["\(TestTask.id) 5 1700000001.5"])
  }

  @Test("A callback that throws fails, one that cannot read the result too")
  func failingCallback() throws {
    let plugin = try plugin()
    let callback = try #require(plugin.exports.callbacks["see"])
    let zero = LentBytes(#"{"n":0}"#)
    let called = try plugin.handle(callback, outcome(ROOST_OK, result: zero))
    #expect(called.status == ROOST_FAILED && called.failure.message == "not now")
    let other = LentBytes("[]")
    #expect(try plugin.handle(callback, outcome(ROOST_OK, result: other)).status == ROOST_FAILED)
  }

  @Test(
    "An exception handler gets kind, code, message and detail",
    arguments: [
      (ROOST_KIND_EXCEPTION, "exception"), (ROOST_KIND_TIMEOUT, "timeout"), (ROOST_KIND_CRASH, "crash"),
      (ROOST_KIND_MEMORY, "memory"), (ROOST_KIND_REJECTED, "rejected"), (ROOST_KIND_EXPIRED, "expired"),
      (ROOST_KIND_UPSTREAM, "upstream"), (99, "exception"),
    ])
  func exceptionHandler(kind: UInt32, name: String) throws {
    let plugin = try plugin()
    let handler = try #require(plugin.exports.exceptionHandlers["see"])
    let (message, detail) = (LentBytes("broken"), LentBytes("[1]"))
    var failed = outcome(ROOST_FAILED)
    (failed.kind, failed.code, failed.message, failed.detail) = (kind, 7, message.lent, detail.lent)
    let called = try plugin.handle(handler, failed)
    #expect(called.status == ROOST_OK)
    #expect(called.lines.map(\.message) == ["\(name) 7 broken [1] nil"])
  }
}
