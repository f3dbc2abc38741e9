// SPDX-License-Identifier: Apache-2.0
import Foundation
import HTTPServer
import Synchronization
import Threading

/// Starts a server on a free loopback port whose refusals say `refused: ` and the reason.
func startServer(
  maxBody: Int = 1 << 20, timeouts: HTTPTimeouts = HTTPTimeouts(), on host: String = "127.0.0.1",
  handler: @escaping @Sendable (HTTPRequest, HTTPResponder) -> Void
) throws -> HTTPServer {
  try HTTPServer(
    listen: HTTPAddress(host: host, port: 0), maxBody: maxBody, timeouts: timeouts,
    problem: { .text("refused: " + $0.reason, status: $0.status) }, handler: handler)
}

extension HTTPResponse {
  static func text(_ text: String, status: Int = 200) -> HTTPResponse {
    HTTPResponse(status: status, contentType: "text/plain", body: Array(text.utf8))
  }
}

/// A value that one thread writes and others read.
final class Shared<Value: Sendable>: Sendable {
  private let value: Lock<Value>

  init(_ value: sending Value) { self.value = Lock(value) }

  var now: Value {
    get { value.withLock { $0 } }
    set { value.withLock { $0 = newValue } }
  }
}

/// Requests that wait for the test to answer them.
final class ParkingLot: Sendable {
  private let parked = Lock<[(responder: HTTPResponder, request: HTTPRequest)]>([])

  var count: Int { parked.withLock { $0.count } }

  func park(_ request: HTTPRequest, _ responder: HTTPResponder) {
    parked.withLock { $0.append((responder, request)) }
  }

  func forEach(_ body: (HTTPResponder) -> Void) {
    for (responder, _) in parked.withLock({ $0 }) { body(responder) }
  }

  /// Answers all that are here in one batch; returns how many.
  @discardableResult
  func answerAll(_ response: (HTTPRequest) -> HTTPResponse) -> Int {
    let all = parked.withLock { parked in
      defer { parked = [] }
      return parked
    }
    HTTPResponder.respond(all.map { ($0.responder, response($0.request)) })
    return all.count
  }
}

/// A thread that answers what is parked until told to end.
final class Answerer: Sendable {
  let lot = ParkingLot()
  private let isEnded = Shared(false)
  private let done = DispatchSemaphore(value: 0)

  init(_ response: @escaping @Sendable (HTTPRequest) -> HTTPResponse) {
    Thread { [self] in
      while !isEnded.now {
        if lot.answerAll(response) == 0 { usleep(100) }
      }
      done.signal()
    }.start()
  }

  func end() {
    isEnded.now = true
    done.wait()
  }
}

/// Runs `body` on that many threads at once and throws the first error.
func onThreads(_ count: Int, _ body: @escaping @Sendable (Int) throws -> Void) throws {
  let failure = Lock<(any Error)?>(nil)
  let group = DispatchGroup()
  for index in 0..<count {
    group.enter()
    Thread {
      do { try body(index) } catch { failure.withLock { $0 = $0 ?? error } }
      group.leave()
    }.start()
  }
  group.wait()
  if let error = failure.withLock({ $0 }) { throw error }
}

/// Lets this process have the sockets of both ends of thousands of connections.
func raiseDescriptorLimit() {
  var limit = rlimit()
  getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
  limit.rlim_cur = limit.rlim_max
  setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
}
