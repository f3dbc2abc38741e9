// SPDX-License-Identifier: Apache-2.0
import Foundation
import HTTPClient
import TaskModel
import Threading

/// Submits `echo` tasks over HTTP from several threads, each until its submission was answered with 202.
final class Submitter: Sendable {
  private struct State {
    var next = 0
    var ids: [TaskID: Int] = [:]
    var surprises: [String] = []
  }

  private let state = Lock(State())
  private let count: Int
  private let urls: @Sendable () -> [String]

  /// Submits `count` tasks to the hosts that `urls` names just now; the next one is tried when one does not answer.
  init(count: Int, urls: @escaping @Sendable () -> [String]) {
    self.count = count
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

  private func next() -> Int? {
    state.withLock { state in
      guard state.next < count else { return nil }
      defer { state.next += 1 }
      return state.next
    }
  }

  private func submit(_ number: Int, _ thread: Int) {
    let body = Array(#"{"type":"echo","params":\#(Self.params(number))}"#.utf8)
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
      if reply.status == 202, let text = try? JSONNode.parse(reply.body)["id"]?.text, let id = TaskID(text) {
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
