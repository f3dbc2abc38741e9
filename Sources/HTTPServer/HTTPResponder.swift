// SPDX-License-Identifier: Apache-2.0

/// The right to answer one request; may be kept, copied and used on any thread.
///
/// A request stays open until it is answered or its client goes: keep the responder, or nobody can answer.
package struct HTTPResponder: Sendable {
  let exchange: Exchange

  /// Answers; the first answer counts, and none does once the client has gone.
  package func respond(_ response: HTTPResponse) {
    if exchange.answer(response) { exchange.mailbox.post(exchange) }
  }

  /// Answers many requests with one wake-up of the loop, which is much cheaper than one each.
  package static func respond(_ answers: [(responder: HTTPResponder, response: HTTPResponse)]) {
    var parked: [Exchange] = []
    parked.reserveCapacity(answers.count)
    for (responder, response) in answers {
      let exchange = responder.exchange
      guard exchange.answer(response) else { continue }
      if let last = parked.last, last.mailbox !== exchange.mailbox {
        last.mailbox.post(contentsOf: parked)
        parked.removeAll(keepingCapacity: true)
      }
      parked.append(exchange)
    }
    parked.last?.mailbox.post(contentsOf: parked)
  }

  /// Has `action` called, once, if the client goes before the answer: on the loop thread, or at once if it has gone.
  ///
  /// A client that closes its sending half counts as gone; `action` may still answer it. If it does not, the connection
  /// is closed. A request without any such action stays open until it is answered.
  package func onGone(_ action: @escaping @Sendable () -> Void) {
    exchange.onGone(action)
  }
}
