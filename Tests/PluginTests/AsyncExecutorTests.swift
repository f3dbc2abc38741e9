// SPDX-License-Identifier: Apache-2.0
import CRoost
import Foundation
import RoostPlugin
import TestSupport
import Testing
import Synchronization
import Threading

/// Does what its params say, so that one executor shows every ending.
private struct Chameleon: AsyncTaskExecutor {
  struct Params: Decodable, Sendable {
    let act: String
    var text: String?
  }

  func execute(_ params: Params, context: TaskContext) async throws -> String {
    switch params.act {
    case "fail":
      throw TaskFailure(
        "no voice", code: 12, retryable: false, retryAfter: .milliseconds(2500), detail: RawJSON(Array("[1]".utf8)))
    case "detach": throw Detached()
    case "cancelled": throw CancellationError()
    case "wait":
      context.progress(0.1, "waiting")
      try await Task.sleep(for: .seconds(3600))
    case "deaf":
      context.progress(0.1, "waiting")
      while !context.isCancelled { await Task.yield() }
    case "describe":
      return "\(context.deadline?.timeIntervalSince1970 ?? 0) \(context.attempt)/\(context.maxAttempts) \(context.id)"
    case "reason":
      context.progress(0.1, "waiting")
      while !Task.isCancelled { await Task.yield() }
      return context.stopReason.map { "\($0)" } ?? "none"
    default: await Task.yield()
    }
    return "did \(params.text ?? params.act)"
  }
}

private func load() throws -> LoadedPlugin {
  let plugin = Plugin("sample", version: "1.2.3") { Executor("act") { _ in Chameleon() } }
  return try LoadedPlugin { plugin.export(to: $0) }
}

private func act(_ act: String) -> [UInt8] { Array(#"{"act":"\#(act)"}"#.utf8) }

extension LoadedPlugin {
  /// Starts a task that waits for a request to stop, and returns once it does.
  fileprivate func startWaiting(_ name: String) throws -> TestTask {
    let task = try start("act", act(name))
    try eventually("it waits") { !task.progress.isEmpty && task.isPending }
    return task
  }
}

@Suite("Async executors")
struct AsyncExecutorTests {
  @Test("Runs are pending and finish from other threads, each with its result")
  func finishes() async throws {
    try await offPool {
      let plugin = try load()
      let tasks = try (0..<50).map { try plugin.start("act", #"{"act":"say","text":"\#($0)"}"#) }
      for (number, task) in tasks.enumerated() {
        let outcome = try task.outcome()
        #expect(task.isPending && outcome.status == ROOST_OK && outcome.result == "\"did \(number)\"")
      }
      #expect(plugin.host.misuse == [])
    }
  }

  @Test("A run may finish before the host hears that it is pending")
  func finishesFirst() async throws {
    try await offPool {
      let plugin = try load()
      let early = Lock(false)
      let task = try plugin.start("act", act("say")) { task in
        try? eventually("finish() comes first") { task.wasFinished }
        early.withLock { $0 = task.wasFinished && !task.isOver }
      }
      let outcome = try task.outcome()
      #expect(early.withLock { $0 } && task.isPending)
      #expect(outcome.status == ROOST_OK && outcome.result == "\"did say\"")
      #expect(plugin.host.misuse == [])
    }
  }

  @Test(
    "A request to stop cancels the Swift task, whose CancellationError is ROOST_CANCELLED",
    arguments: 1...3 as ClosedRange<Int32>)
  func cancels(reason: Int32) async throws {
    try await offPool {
      let plugin = try load()
      let task = try plugin.startWaiting("wait")
      plugin.stop(task, executor: "act", reason: reason)
      #expect(try task.outcome().status == ROOST_CANCELLED)
      #expect(plugin.host.misuse == [])
    }
  }

  @Test("A request that came before run() is heard")
  func cancelledBefore() async throws {
    try await offPool {
      let plugin = try load()
      let task = try plugin.start("act", act("wait"), stop: 2)
      #expect(try task.outcome().status == ROOST_CANCELLED)
      #expect(plugin.host.misuse == [])
    }
  }

  @Test(
    "The context says why to stop",
    arguments: [(1, "cancelled"), (2, "deadlinePassed"), (3, "workerLeaving")] as [(Int32, String)])
  func stopReason(reason: Int32, name: String) async throws {
    try await offPool {
      let plugin = try load()
      let task = try plugin.startWaiting("reason")
      plugin.stop(task, executor: "act", reason: reason)
      #expect(try task.outcome().result == "\"\(name)\"")
    }
  }

  @Test("A result counts also after a request to stop")
  func deaf() async throws {
    try await offPool {
      let plugin = try load()
      let task = try plugin.startWaiting("deaf")
      plugin.stop(task, executor: "act")
      let outcome = try task.outcome()
      #expect(outcome.status == ROOST_OK && outcome.result == "\"did deaf\"")
      #expect(plugin.host.misuse == [])
    }
  }

  @Test("One request to stop reaches its own task only")
  func others() async throws {
    try await offPool {
      let plugin = try load()
      let tasks = try (0..<3).map { _ in try plugin.startWaiting("wait") }
      plugin.stop(tasks[1], executor: "act")
      #expect(try tasks[1].outcome().status == ROOST_CANCELLED)
      #expect(!tasks[0].isOver && !tasks[2].isOver)
      for task in [tasks[0], tasks[2]] {
        plugin.stop(task, executor: "act")
        #expect(try task.outcome().status == ROOST_CANCELLED)
      }
      #expect(plugin.host.misuse == [])
    }
  }

  @Test(
    "A run may end at any moment of a request to stop",
    arguments: [("say", ROOST_OK), ("wait", ROOST_CANCELLED), ("deaf", ROOST_OK)])
  func races(name: String, status: roost_status) async throws {
    try await offPool {
      let plugin = try load()
      for number in 0..<100 {
        let task = try plugin.start("act", act(name))
        // Every other one is asked while it begins.
        if number % 2 == 0 { try eventually("it has begun") { task.isPending } }
        plugin.stop(task, executor: "act")
        #expect(try task.outcome().status == status)
      }
      #expect(plugin.host.misuse == [])
    }
  }

  @Test("A failure carries its code, detail and wishes for the retry")
  func fails() async throws {
    try await offPool {
      let plugin = try load()
      let outcome = try plugin.start("act", act("fail")).outcome()
      #expect(outcome.status == ROOST_FAILED && outcome.result == nil)
      #expect(
        outcome.failure
          == .init(message: "no voice", code: 12, retryable: false, retryAfterMillis: 2500, detail: "[1]"))
      #expect(plugin.host.misuse == [])
    }
  }

  @Test("A run may detach, or say that it stopped unasked, which the host counts as a failure")
  func endings() async throws {
    try await offPool {
      let plugin = try load()
      let detached = try plugin.start("act", act("detach"))
      #expect(try detached.outcome().status == ROOST_DETACHED && detached.isPending)
      let cancelled = try plugin.start("act", act("cancelled")).outcome()
      #expect(cancelled.status == ROOST_CANCELLED && cancelled.failure.message.contains("nobody asked"))
      #expect(plugin.host.misuse == [])
    }
  }

  @Test("Params that do not decode are rejected without a Swift task")
  func rejected() async throws {
    try await offPool {
      let plugin = try load()
      let task = try plugin.start("act", "{}")
      let outcome = try task.outcome()
      #expect(outcome.status == ROOST_REJECTED && !task.isPending)
      #expect(outcome.failure.message == "params.act: missing")
    }
  }

  @Test("The deadline and the attempt are in the context")
  func context() async throws {
    try await offPool {
      let outcome = try load().run("act", #"{"act":"describe"}"#)
      #expect(outcome.result == "\"1700000060.5 2/3 \(TestTask.id)\"")
    }
  }
}
