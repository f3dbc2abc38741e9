// SPDX-License-Identifier: Apache-2.0
import FlightBoard
@testable import TaskHost
import TaskModel
import TaskStore
import Testing
import WorkerControl

@Suite("What the end of a worker says of its tasks")
struct PostMortemTests {
  private let ids = (0..<3).compactMap { TaskID(String(repeating: "0", count: 31) + "\($0)") }

  private func flight(_ number: Int, _ kind: Flight.Kind = .attempt) -> Flight {
    Flight(kind: kind, task: ids[number], take: UInt32(number + 1), type: 0, startedAt: 1)
  }

  private func verdict(_ post: PostMortem, _ number: Int) -> WorkerLoss.Verdict? {
    post.loss.findings.first { $0.id == ids[number] && $0.take == UInt32(number + 1) }?.verdict
  }

  @Test("The marked task is the culprit, and nothing is said of its neighbours")
  func marked() throws {
    let post = PostMortem(
      nil, .signalled(11), flights: [flight(0), flight(1)], crash: .init(flight: flight(1), signal: 11),
      output: ["one", "two"])
    #expect(post.culprit == ids[1])
    #expect(post.loss.findings.count == 1)
    #expect(!post.loss.counts)
    #expect(post.isAbnormal)
    guard case .crashed(let error) = verdict(post, 1) else { return #expect(Bool(false), "\(post.loss)") }
    #expect(error.kind == .crash)
    #expect(error.signal == "SIGSEGV")
    #expect(error.message == "crashed its worker: SIGSEGV, signal 11 (Segmentation fault)")
    #expect(error.detail.map { String(decoding: $0, as: UTF8.self) } == #"{"output":["one","two"]}"#)
    #expect(!error.retryable)
  }

  @Test("Without a mark several are suspects, and one alone is the culprit")
  func unmarked() {
    let several = PostMortem(nil, .signalled(9), flights: [flight(0), flight(1)], crash: nil)
    #expect(several.culprit == nil)
    #expect(verdict(several, 0) == .suspect)
    #expect(verdict(several, 1) == .suspect)
    let one = PostMortem(nil, .exited(0), flights: [flight(2)], crash: nil)
    #expect(one.culprit == ids[2])
    guard case .crashed(let error) = verdict(one, 2) else { return #expect(Bool(false), "\(one.loss)") }
    #expect(error.message == "ran alone when its worker ended: exit status 0")
    #expect(error.signal == nil)
    let none = PostMortem(nil, .signalled(11), flights: [], crash: .init(flight: nil, signal: 11))
    #expect(none.loss.findings == [])
    #expect(none.isAbnormal)
  }

  @Test("A crash on a thread that runs no task leaves suspects, with the signal told")
  func foreignThread() {
    let post = PostMortem(
      nil, .signalled(11), flights: [flight(0), flight(1)], crash: .init(flight: nil, signal: 11))
    #expect(verdict(post, 0) == .suspect)
    #expect(post.culprit == nil)
  }

  @Test("exit() is told by its name")
  func exit() {
    let post = PostMortem(nil, .exited(3), flights: [flight(0)], crash: .init(flight: flight(0), signal: 0))
    guard case .crashed(let error) = verdict(post, 0) else { return #expect(Bool(false), "\(post.loss)") }
    #expect(error.message == "crashed its worker: it called exit() (exit status 3)")
    #expect(error.signal == nil)
  }

  @Test("A worker that the host ends for its memory: one task failed so, several are suspects")
  func memory() {
    let ending = WorkerProcess.Ending.memory(resident: 300 << 20, limit: 256 << 20)
    let one = PostMortem(ending, .signalled(9), flights: [flight(0)], crash: nil)
    guard case .failed(let error) = verdict(one, 0) else { return #expect(Bool(false), "\(one.loss)") }
    #expect(error.kind == .memory)
    #expect(error.retryable)
    #expect(
      error.message == "its worker had 300 MiB resident, more than the 256 MiB that it may have, and was ended")
    let two = PostMortem(ending, .signalled(9), flights: [flight(0), flight(1)], crash: nil)
    #expect(verdict(two, 0) == .suspect)
  }

  @Test(
    "Code that does not stop at its deadline ended the attempt; neighbours are given back, and a cancel needs no verdict"
  )
  func overstayed() {
    let overstays = [
      WorkerMessage.Overstay(task: ids[0].description, take: 1, reason: .timeout),
      WorkerMessage.Overstay(task: ids[1].description, take: 2, reason: .cancel),
    ]
    let post = PostMortem(
      .overstayed, .exited(5), flights: [flight(0), flight(1), flight(2)], crash: nil, overstays: overstays)
    guard case .failed(let error) = verdict(post, 0) else { return #expect(Bool(false), "\(post.loss)") }
    #expect(error.kind == .timeout)
    #expect(post.loss.findings.count == 1)
    #expect(!post.isAbnormal)
    #expect(!post.loss.counts)
  }

  @Test("One that stood still: a task that ran alone counts a lost lease, several are suspects")
  func stalled() {
    let post = PostMortem(.stalled, .signalled(9), flights: [flight(0), flight(1)], crash: nil)
    #expect(verdict(post, 0) == .suspect)
    #expect(verdict(post, 1) == .suspect)
    let alone = PostMortem(.stalled, .signalled(9), flights: [flight(0)], crash: nil)
    #expect(verdict(alone, 0) == .lost)
    #expect(post.isAbnormal)
  }

  @Test("One that ends in good order leaves nothing behind to be said")
  func goodOrder() {
    let post = PostMortem(.inGoodOrder, .signalled(9), flights: [flight(0)], crash: nil)
    #expect(post.loss == WorkerLoss(counts: false))
    #expect(!post.isAbnormal)
  }

  @Test("A handler that takes its worker down fails a try, also when the worker had too much memory")
  func handlers() {
    let marked = PostMortem(
      nil, .signalled(6), flights: [flight(0, .handler), flight(1)],
      crash: .init(flight: flight(0, .handler), signal: 6))
    guard case .crashed = verdict(marked, 0) else { return #expect(Bool(false), "\(marked.loss)") }
    let memory = PostMortem(
      .memory(resident: 2, limit: 1), .signalled(9), flights: [flight(0, .handler)], crash: nil)
    guard case .crashed = verdict(memory, 0) else { return #expect(Bool(false), "\(memory.loss)") }
  }

  @Test(
    "The report of Swift about a crash is kept from its first line on, behind what was said before; long output is cut")
  func report() throws {
    let output =
      (0..<50).map { "before \($0)" } + ["*** Program crashed: Bad pointer ***"] + (0..<30).map { "frame \($0)" }
    let post = PostMortem(nil, .signalled(11), flights: [flight(0)], crash: nil, output: output)
    guard case .crashed(let error) = verdict(post, 0), let detail = error.detail else {
      return #expect(Bool(false), "\(post.loss)")
    }
    let lines = try JSONNode.parse(detail)["output"]?.elements?.compactMap(\.text) ?? []
    #expect(lines.first == "before 30")
    #expect(lines[20] == "*** Program crashed: Bad pointer ***")
    #expect(lines.last == "frame 29")
    let wordy = PostMortem(
      nil, .signalled(11), flights: [flight(0)], crash: nil,
      output: ["last words", "*** Program crashed ***"]
        + (0..<60).map { "frame \($0) " + String(repeating: "x", count: 400) })
    guard case .crashed(let full) = verdict(wordy, 0), let all = full.detail else {
      return #expect(Bool(false), "\(wordy.loss)")
    }
    #expect(try JSONNode.parse(all)["output"]?.elements?.first?.text == "last words")
    let long = PostMortem(
      nil, .signalled(11), flights: [flight(0)], crash: nil,
      output: (0..<100).map { String(repeating: "\($0) ", count: 1000) })
    guard case .crashed(let cut) = verdict(long, 0) else { return #expect(Bool(false), "\(long.loss)") }
    #expect(cut.detail?.count ?? .max <= TaskError.detailLimit)
  }
}
