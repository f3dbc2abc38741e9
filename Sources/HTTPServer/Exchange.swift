// SPDX-License-Identifier: Apache-2.0
internal import Synchronization
internal import Threading

/// One request and its answer, from the request line until the answer has gone out or the connection has ended.
// Sendable, because `mailbox` never changes, `state` has its lock, and all other fields are for the loop thread only.
final class Exchange: @unchecked Sendable {
  /// How far the request has come.
  enum Stage {
    case requestLine, receiving, discarding, handed, answered
  }

  /// What becomes of a request once its handler has returned.
  enum Verdict {
    case send(PreparedResponse)
    case park
    case close
  }

  private enum Phase {
    /// `abandoned`: the client has gone and nobody wants to answer.
    case open, answered, abandoned, over
  }

  private struct State {
    var phase = Phase.open
    var answer: PreparedResponse?
    var isParked = false
    var hasGone = false
    var goneActions: [@Sendable () -> Void] = []
  }

  /// Not the loop itself: a handler that keeps responders would keep the loop, and that the handler.
  let mailbox: Mailbox
  let client: ClientConnection
  /// The library's connection; not to be used once the exchange has ended.
  let connection: OpaquePointer
  var stage = Stage.requestLine
  var isSuspended = false
  var target = RequestTarget()
  /// Bytes of the target as sent; the library's strings end at a NUL, which this shows.
  var targetLength = 0
  var refusal: HTTPRefusal?
  var headers: [(name: String, value: String)] = []
  var body: [UInt8] = []
  var discarded = 0
  private let state = Lock(State())

  init(mailbox: Mailbox, client: ClientConnection, connection: OpaquePointer) {
    self.mailbox = mailbox
    self.client = client
    self.connection = connection
  }

  // MARK: Any thread

  /// Keeps the answer unless there is one; true when the request is parked, so that the loop must be told.
  func answer(_ response: HTTPResponse) -> Bool {
    guard let prepared = PreparedResponse(response) else { return abandon() }
    let (isKept, wakes) = state.withLock { state in
      guard state.phase == .open else { return (false, false) }
      state.phase = .answered
      state.answer = prepared
      state.goneActions = []
      return (true, state.isParked)
    }
    if !isKept { prepared.release() }
    return wakes
  }

  func onGone(_ action: @escaping @Sendable () -> Void) {
    let isLate = state.withLock { state in
      guard state.phase != .answered else { return false }
      if !state.hasGone { state.goneActions.append(action) }
      return state.hasGone
    }
    guard isLate else { return }
    action()
    if abandon() { mailbox.post(self) }
  }

  /// Gives up an open request; true when it is parked, so that the loop must be told.
  private func abandon() -> Bool {
    state.withLock { state in
      guard state.phase == .open else { return false }
      state.phase = .abandoned
      return state.isParked
    }
  }

  // MARK: Loop thread

  var isAnswered: Bool { state.withLock { $0.phase == .answered } }

  /// Decides after the handler has returned; from `.park` on an answer is posted to the loop.
  func settle() -> Verdict {
    state.withLock { state in
      if let answer = state.answer.take() { return .send(answer) }
      guard state.phase == .open else { return .close }
      state.isParked = true
      return .park
    }
  }

  /// Tells the handler that its client has gone; true when the connection is to be closed.
  ///
  /// `isDead`: nothing can be sent either.
  func clientHasGone(isDead: Bool) -> Bool {
    let actions = state.withLock { state in
      state.hasGone = true
      defer { state.goneActions = [] }
      return state.goneActions
    }
    for action in actions { action() }
    return (isDead || !actions.isEmpty) && abandon()
  }

  /// The connection is done with this request: from now on answers are dropped.
  func end() {
    let (actions, unsent) = state.withLock { state in
      state.hasGone = state.phase != .answered
      state.phase = state.hasGone ? .over : .answered
      defer { state.goneActions = [] }
      return (state.goneActions, state.answer.take())
    }
    unsent?.release()
    for action in actions { action() }
  }
}
