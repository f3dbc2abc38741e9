// SPDX-License-Identifier: Apache-2.0
import TaskStore
import Testing

@testable import Worker

private typealias Source = WakeProtocol.Source
private let queue = Source(pool: 0, queue: .tasks)
private let calls = Source(pool: 0, queue: .handlers)

@Suite("The wake protocol")
struct WakeProtocolTests {
  /// Something that happens to a worker; a round takes everything that free threads can use.
  enum Event: Hashable {
    case round, leftSome, interrupted(wait: Int, wasWaiting: Bool), takerConnected
    case listenerConnected, listenerDisconnected, patientWait, wait, waitEnded, token, drain
  }
  enum Answer: Equatable {
    case nothing
    case round(takes: Bool, interrupts: Int?, checks: Bool)
    case waits(forQueue: Bool)
    case staysAwake
    case accepted, refused
  }
  /// The state that a row begins in, by what led to it.
  enum Given: String, CaseIterable {
    /// The listener has no connection, the queue may have something.
    case fresh
    /// The queue is known to be empty.
    case dry
    /// The listener is connected and decides.
    case awake
    /// It waits for the queue's token.
    case waiting
    /// It waits for messages alone, since no thread was free.
    case aside
    /// Such a wait, whose end Redis has confirmed.
    case brokenOff
    case draining

    var events: [(Event, isFree: Bool)] {
      let dry: [(Event, isFree: Bool)] = [(.round, true)]
      let awake = dry + [(.listenerConnected, true), (.round, false)]
      let aside: [(Event, isFree: Bool)] = awake + [(.wait, false)]
      return switch self {
      case .fresh: []
      case .dry: dry
      case .awake: awake
      case .waiting: awake + [(.wait, true)]
      case .aside: aside
      case .brokenOff: aside + [(.round, true), (.interrupted(wait: 1, wasWaiting: true), true)]
      case .draining: awake + [(.drain, true)]
      }
    }
  }
  struct Row: CustomTestStringConvertible {
    let given: Given
    let event: Event
    let isFree: Bool
    let answer: Answer
    /// What the next round does while a thread is free.
    let next: Answer

    init(_ given: Given, _ event: Event, free isFree: Bool = true, _ answer: Answer, then next: Answer) {
      (self.given, self.event, self.isFree, self.answer, self.next) = (given, event, isFree, answer, next)
    }

    var testDescription: String { "\(given), then \(event) with \(isFree ? "a free thread" : "busy threads")" }
  }

  private static let idle = Answer.round(takes: false, interrupts: nil, checks: false)
  private static let takes = Answer.round(takes: true, interrupts: nil, checks: false)
  private static let checks = Answer.round(takes: false, interrupts: nil, checks: true)
  private static let breaksOff = Answer.round(takes: false, interrupts: 1, checks: false)

  static let rows: [Row] = [
    Row(.fresh, .round, takes, then: idle),
    Row(.fresh, .round, free: false, idle, then: takes),
    Row(.fresh, .token, .accepted, then: takes),
    Row(.fresh, .listenerConnected, .nothing, then: .round(takes: true, interrupts: nil, checks: true)),
    Row(.fresh, .wait, .waits(forQueue: false), then: takes),
    Row(.fresh, .drain, .nothing, then: idle),

    Row(.dry, .round, idle, then: idle),
    Row(.dry, .leftSome, .nothing, then: takes),
    Row(.dry, .token, .accepted, then: takes),
    Row(.dry, .token, free: false, .refused, then: idle),
    Row(.dry, .takerConnected, .nothing, then: .round(takes: true, interrupts: nil, checks: true)),
    Row(.dry, .listenerConnected, .nothing, then: checks),

    Row(.awake, .patientWait, .waits(forQueue: true), then: idle),
    Row(.awake, .patientWait, free: false, .staysAwake, then: idle),
    Row(.awake, .wait, .waits(forQueue: true), then: idle),
    Row(.awake, .wait, free: false, .waits(forQueue: false), then: breaksOff),
    Row(.awake, .leftSome, .nothing, then: takes),

    Row(.waiting, .round, idle, then: idle),
    Row(.waiting, .round, free: false, idle, then: idle),
    Row(.waiting, .leftSome, .nothing, then: takes),
    Row(.waiting, .waitEnded, .nothing, then: idle),
    Row(.waiting, .token, .accepted, then: takes),
    Row(.waiting, .token, free: false, .refused, then: idle),
    Row(.waiting, .listenerDisconnected, .nothing, then: idle),
    Row(.waiting, .takerConnected, .nothing, then: .round(takes: true, interrupts: nil, checks: true)),
    Row(.waiting, .drain, .nothing, then: idle),

    Row(.aside, .round, breaksOff, then: breaksOff),
    Row(.aside, .round, free: false, idle, then: breaksOff),
    // CLIENT UNBLOCK came before BLPOP: nothing was broken off, so it is tried again.
    Row(.aside, .interrupted(wait: 1, wasWaiting: false), .nothing, then: breaksOff),
    Row(.aside, .interrupted(wait: 1, wasWaiting: true), .nothing, then: idle),
    // The answer to the last interruption, which met this wait or the one before: this one may stand yet.
    Row(.aside, .interrupted(wait: 0, wasWaiting: true), .nothing, then: breaksOff),
    Row(.aside, .waitEnded, .nothing, then: idle),
    Row(.aside, .listenerDisconnected, .nothing, then: idle),
    Row(.aside, .leftSome, .nothing, then: takes),
    Row(.aside, .drain, .nothing, then: idle),

    Row(.brokenOff, .round, idle, then: idle),
    Row(.brokenOff, .waitEnded, .nothing, then: idle),
    Row(.brokenOff, .leftSome, .nothing, then: takes),

    Row(.draining, .round, idle, then: idle),
    Row(.draining, .token, .refused, then: idle),
    Row(.draining, .leftSome, .nothing, then: idle),
    Row(.draining, .wait, .waits(forQueue: false), then: idle),
    Row(.draining, .patientWait, .staysAwake, then: idle),
    Row(.draining, .listenerConnected, .nothing, then: checks),
    Row(.draining, .takerConnected, .nothing, then: checks),
  ]

  @Test("Each event in each state", arguments: rows)
  func row(_ row: Row) {
    var wake = WakeProtocol(pools: 1, queues: [.tasks, .handlers])
    for (event, isFree) in row.given.events { _ = Self.apply(event, isFree, &wake) }
    #expect(Self.apply(row.event, row.isFree, &wake) == row.answer)
    #expect(Self.apply(.round, true, &wake) == row.next)
  }

  @Test("The handler queue is a queue of its own")
  func handlers() {
    var wake = WakeProtocol(pools: 2, queues: [.tasks, .handlers])
    let demand: WakeProtocol.Demand = { $0.queue == .handlers ? 2 : 0 }
    let other = Source(pool: 1, queue: .handlers)
    #expect(wake.roundBegins(demand).orders == [.init(source: calls, count: 2), .init(source: other, count: 2)])
    #expect(wake.waitBegins(patience: true, demand) == [calls, other])
    let accepted = [other, queue].map { wake.tokenCame($0, demand) }
    #expect(accepted == [true, false])
    #expect(wake.roundBegins(demand).orders == [.init(source: other, count: 2)])
  }

  static func apply(_ event: Event, _ isFree: Bool, _ wake: inout WakeProtocol) -> Answer {
    // Nothing is asked of the handler queue.
    let demand: WakeProtocol.Demand = { $0 == queue && isFree ? 1 : 0 }
    switch event {
    case .round:
      let round = wake.roundBegins(demand)
      return .round(
        takes: !round.orders.isEmpty, interrupts: round.interruption?.wait, checks: round.checksCancels)
    case .leftSome: wake.leftSome(in: queue)
    case .interrupted(let wait, let wasWaiting):
      wake.interrupted(.init(client: 7, wait: wait), wasWaiting: wasWaiting)
    case .takerConnected: wake.takerConnected()
    case .listenerConnected: wake.listenerConnected(7)
    case .listenerDisconnected: wake.listenerDisconnected()
    case .patientWait, .wait:
      let sources = wake.waitBegins(patience: event == .patientWait, demand)
      return sources.map { .waits(forQueue: $0.contains(queue)) } ?? .staysAwake
    case .waitEnded: wake.waitEnded()
    case .token: return wake.tokenCame(queue, demand) ? .accepted : .refused
    case .drain: wake.drainBegins()
    }
    return .nothing
  }

  @Test("Whatever happens in whatever order, in the end no task waits beside a free thread", arguments: 0..<2000)
  func noneIsLeftBehind(_ seed: Int) {
    var world = World(seed: UInt64(seed))
    for _ in 0..<60 { world.step() }
    world.settle()
    #expect(world.queued == 0, "seed \(seed): \(world.history.suffix(30))")
  }
}

/// A worker with one thread, its listener and its take loop step by step, and the queue and token of a type in Redis.
private struct World {
  enum Listener: Equatable { case deciding, sending(forToken: Bool), blocked(forToken: Bool), answered(token: Bool) }
  struct Exchange: Equatable {
    var takes: Bool
    var interruption: WakeProtocol.Interruption?
    /// What Redis has said so far.
    var taken: Int?
    var hasMore = false
    var wasWaiting: Bool?
  }
  enum Step: CaseIterable { case submit, finish, listen, gather, takeScript, unblock, answer, timeOut }

  var wake = WakeProtocol(pools: 1, queues: [.tasks, .handlers])
  var queued = 0
  var hasToken = false
  var isBusy = false
  var listener = Listener.deciding
  var exchange: Exchange?
  var history: [Step] = []
  private var random: UInt64

  init(seed: UInt64) {
    random = seed &* 0x9e37_79b9_7f4a_7c15 &+ 1
    wake.listenerConnected(1)
  }

  private var demand: WakeProtocol.Demand {
    let count = isBusy || exchange?.taken == 1 ? 0 : 1
    return { $0 == queue ? count : 0 }
  }

  mutating func step() {
    random = random &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
    perform(Step.allCases[Int(random >> 33) % Step.allCases.count])
  }

  /// Lets everything go on that can, without new tasks, until nothing changes any more.
  mutating func settle() {
    for _ in 0..<(queued + 4) * 10 {
      for step in Step.allCases where step != .submit && step != .timeOut { perform(step) }
    }
  }

  private mutating func perform(_ step: Step) {
    history.append(step)
    switch step {
    case .submit:
      queued += 1
      hasToken = true
      serveBlocked()
    case .finish: isBusy = false
    case .listen: listen()
    case .gather:
      guard exchange == nil else { return }
      let round = wake.roundBegins(demand)
      if !round.isEmpty { exchange = Exchange(takes: !round.orders.isEmpty, interruption: round.interruption) }
    case .takeScript: take()
    case .unblock:
      guard exchange?.interruption != nil, exchange?.wasWaiting == nil,
        exchange?.takes == false || exchange?.taken != nil
      else { return }
      if case .blocked = listener {
        listener = .answered(token: false)
        exchange?.wasWaiting = true
      } else {
        exchange?.wasWaiting = false
      }
    case .answer: answer()
    case .timeOut: if case .blocked = listener { listener = .answered(token: false) }
    }
  }

  private mutating func listen() {
    switch listener {
    case .deciding:
      random = random &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      guard let sources = wake.waitBegins(patience: random >> 40 & 1 == 0, demand) else { return }
      listener = .sending(forToken: sources.contains(queue))
    case .sending(let forToken):
      listener = .blocked(forToken: forToken)
      serveBlocked()
    case .blocked: break
    case .answered(let token):
      wake.waitEnded()
      // A token that is not accepted is passed on: here it comes back.
      if token, !wake.tokenCame(queue, demand) { hasToken = true }
      listener = .deciding
    }
  }

  private mutating func serveBlocked() {
    guard hasToken, listener == .blocked(forToken: true) else { return }
    hasToken = false
    listener = .answered(token: true)
  }

  private mutating func take() {
    guard exchange?.takes == true, exchange?.taken == nil else { return }
    let taken = min(1, queued)
    queued -= taken
    exchange?.taken = taken
    exchange?.hasMore = queued > 0
    if queued > 0 {
      hasToken = true
      serveBlocked()
    }
  }

  private mutating func answer() {
    guard let exchange, !exchange.takes || exchange.taken != nil,
      exchange.interruption == nil || exchange.wasWaiting != nil
    else { return }
    if let interruption = exchange.interruption {
      wake.interrupted(interruption, wasWaiting: exchange.wasWaiting == true)
    }
    if exchange.hasMore { wake.leftSome(in: queue) }
    if exchange.taken == 1 { isBusy = true }
    self.exchange = nil
  }
}
