// SPDX-License-Identifier: Apache-2.0
import Foundation
import HTTPClient
import TaskModel
import Synchronization
import Threading

/// Submits tasks over HTTP from several threads, each until its submission was answered.
final class Submitter: Sendable {
  private struct State {
    var next = 0
    var count: Int
    var ids: [TaskID: Int] = [:]
    var surprises: [String] = []
  }

  private let state: Lock<State>
  private let type: String
  private let perSecond: Double?
  private let isKeyed: Bool
  private let urls: @Sendable () -> [String]
  private let start = ContinuousClock.now

  /// Submits `count` tasks to the hosts that `urls` names just now; the next one is tried when one does not answer.
  ///
  /// With a key a task is stored once, even if an answer is lost.
  init(
    count: Int, type: String = "echo", perSecond: Double? = nil, isKeyed: Bool = false,
    urls: @escaping @Sendable () -> [String]
  ) {
    state = Lock(State(count: count))
    self.type = type
    self.perSecond = perSecond
    self.isKeyed = isKeyed
    self.urls = urls
    for thread in 0..<8 {
      Thread { [self] in while let number = next() { submit(number, thread) } }.start()
    }
  }

  /// Tells the number; some are large.
  static func params(_ number: Int) -> String {
    #"{"n": \#(number)\#(number % 4 == 0 ? #", "filler": "\#(String(repeating: "x", count: 1500))""# : "")}"#
  }

  /// What was stored, by its id.
  var submitted: [TaskID: Int] { state.withLock { $0.ids } }
  /// Answers that a host may not give.
  var surprises: [String] { state.withLock { $0.surprises } }

  /// Begins no further submission; how many there are then.
  func end() -> Int {
    state.withLock { state in
      state.count = min(state.count, state.next)
      return state.count
    }
  }

  private func next() -> Int? {
    let number = state.withLock { state -> Int? in
      guard state.next < state.count else { return nil }
      defer { state.next += 1 }
      return state.next
    }
    if let number, let perSecond {
      let early = start + .seconds(Double(number) / perSecond) - ContinuousClock.now
      if early > .zero { usleep(UInt32(early / .microseconds(1))) }
    }
    return number
  }

  private func submit(_ number: Int, _ thread: Int) {
    let key = isKeyed ? #","key":"\#(number)""# : ""
    let body = Array(#"{"type":"\#(type)","params":\#(Self.params(number))\#(key)}"#.utf8)
    var turn = thread
    while true {
      let urls = urls()
      // While a host is away nobody answers; the task may or may not have been stored then.
      guard !urls.isEmpty, let client = client(urls[turn % urls.count]),
        let reply = try? client.send("POST", "/v1/tasks", body: body)
      else {
        turn += 1
        usleep(20_000)
        continue
      }
      if reply.status == 202 || isKeyed && reply.status == 200, let text = try? JSONNode.parse(reply.body)["id"]?.text,
        let id = TaskID(text)
      {
        return state.withLock { $0.ids[id] = number }
      }
      if reply.status != 503 { state.withLock { $0.surprises.append("\(reply.status) \(reply.text)") } }
      turn += 1
      usleep(20_000)
    }
  }

  /// This thread's client of the host.
  private func client(_ url: String) -> HTTPClient? {
    if let known = Thread.current.threadDictionary[url] as? HTTPClient { return known }
    let made = try? HTTPClient(url)
    Thread.current.threadDictionary[url] = made
    return made
  }
}
