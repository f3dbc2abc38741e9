// SPDX-License-Identifier: Apache-2.0
internal import Redis
internal import TaskModel
internal import Threading
internal import Logging

/// The one owner of a host's connection for tasks: threads hand it their calls, and it sends what has gathered at once.
///
/// Duties: 1. connect, and again with backoff; 2. make the host known after each connection that finds it unknown;
/// 3. send submissions as one numbered call at a time, and repeat one whose answer was lost; 4. send reads and actions
/// beside it; 5. answer whatever waited too long. There is no timer: while one round is under way the next one gathers. While Redis
/// works on a call, those of the call before are told, and the next is written, if it will be a full one.
final class StoreLink: Sendable {
  typealias Answer = Result<[RedisReply], TaskStoreError>

  /// Commands that belong together, with what is to be done with their answers (on the link's thread; it must not block).
  struct Request: Sendable {
    let commands: @Sendable (ScriptConnection) -> [RedisCommand]
    /// Whether it may be sent again when an answer was lost.
    let isRead: Bool
    let deadline: Int64
    let complete: @Sendable (Answer) -> Void
  }

  /// A submission that waits; a class, because it is handed on several times.
  final class Pending: Sendable {
    let submission: Submission
    let definition: TypeDefinition
    let id: TaskID
    let createdAt: Timestamp
    let deadline: Int64
    let complete: @Sendable (Result<Receipt, TaskStoreError>) -> Void

    init(
      submission: Submission, definition: TypeDefinition, id: TaskID, createdAt: Timestamp, deadline: Int64,
      complete: @escaping @Sendable (Result<Receipt, TaskStoreError>) -> Void
    ) {
      self.submission = submission
      self.definition = definition
      self.id = id
      self.createdAt = createdAt
      self.deadline = deadline
      self.complete = complete
    }
  }

  private struct Mailbox {
    var submissions: [Pending] = []
    var requests: [Request] = []
    var isClosed = false
    var failure: String?
    var downSince: Int64?
    var isOutageLogged = false
    var wantsReconnect = false
  }

  /// How long a caller waits while Redis is away; with the time-outs of the connection it is answered within 2 s.
  static let patience: Int64 = 1_000_000_000
  /// Nanoseconds that a Redis may take to start before anybody is told.
  static let startTime: Int64 = 2_000_000_000
  /// Tasks and bytes of one script call: Redis does nothing else meanwhile.
  static let callTasks = 256
  static let callBytes = 1 << 20

  private let address: RedisAddress
  private let keys: Keys
  private let clock: RedisClock
  private let registration: HostRegistration
  private let mailbox = Monitor(Mailbox())
  private let isUp = Monitor(false)
  private let thread = Monitor<NativeThread?>(nil)
  let backlogs = KnownBacklogs()

  init(address: RedisAddress, keys: Keys, clock: RedisClock, registration: HostRegistration) {
    self.address = address
    self.keys = keys
    self.clock = clock
    self.registration = registration
  }

  func start() {
    thread.withLock { $0 = NativeThread(name: "store") { self.run() } }
  }

  /// Ends the thread; what still waits is answered as unavailable.
  func close() {
    mailbox.withLock { $0.isClosed = true }
    mailbox.broadcast()
    thread.withLock { thread in
      thread?.join()
      thread = nil
    }
  }

  var isConnected: Bool { isUp.withLock { $0 } }

  func send(_ request: Request) {
    let isClosed = mailbox.withLock { box in
      if !box.isClosed { box.requests.append(request) }
      return box.isClosed
    }
    if isClosed { request.complete(.failure(.unavailable("the host is stopping"))) } else { mailbox.signal() }
  }

  func submit(_ pending: Pending) {
    let isClosed = mailbox.withLock { box in
      if !box.isClosed { box.submissions.append(pending) }
      return box.isClosed
    }
    if isClosed { pending.complete(.failure(.unavailable("the host is stopping"))) } else { mailbox.signal() }
  }

  /// Somebody noticed that Redis does not know this host any more.
  func reconnect() {
    mailbox.withLock { $0.wantsReconnect = true }
    mailbox.signal()
  }

  // MARK: The link's thread

  private struct Round {
    var submit: [Pending] = []
    var requests: [Request] = []
    /// Whether the submissions were sent before, on a connection that broke.
    var isRepeat = false
    /// Submissions of the call after this, which was not sent yet.
    var ahead: [Pending] = []
  }

  /// Submissions of which Redis has said what became of them.
  private struct Answered {
    let tasks: [Pending]
    /// Nil: there was no memory for them.
    let words: SubmissionWords?

    func tell() {
      for (index, pending) in tasks.enumerated() {
        pending.complete(words?.result(index, of: pending) ?? .failure(.outOfMemory))
      }
    }
  }

  private func run() {
    var unanswered = Round()
    var backoff = Backoff(initial: .milliseconds(20), limit: .milliseconds(500))
    while !mailbox.withLock({ $0.isClosed }) {
      do throws(RedisError) {
        let connection = try connect()
        backoff.reset()
        setUp(true)
        try serve(connection, &unanswered)
      } catch {
        setUp(false, because: error)
        registration.note(error)
      }
      unanswered.isRepeat = !unanswered.submit.isEmpty
      fail(&unanswered, before: MonotonicClock.now, why: mailbox.withLock { $0.failure } ?? "not connected")
      let pause = MonotonicClock.now + backoff.next()
      _ = mailbox.wait(until: pause) { $0.isClosed ? true : nil }
    }
    fail(&unanswered, before: .max, why: "the host is stopping")
  }

  private func connect() throws(RedisError) -> ScriptConnection {
    let redis = try RedisConnection(
      to: address, connectTimeout: .milliseconds(500), timeout: .milliseconds(1200))
    // A replica answers everything but what matters.
    if try redis.call(RedisCommand(words: "ROLE")).arrayValue?.first?.textValue == "slave" {
      throw .disconnected(reason: "it is a replica, and nothing can be written to it")
    }
    let connection = try ScriptConnection(redis, keys: keys)
    try registration.ensure(on: connection, clock: clock)
    return connection
  }

  /// An outage is logged once, and its end once; that a Redis takes a moment to start is none.
  private func setUp(_ up: Bool, because error: RedisError? = nil) {
    let wasUp = isUp.withLock { current in
      defer { current = up }
      return current
    }
    let now = MonotonicClock.now
    let isNews = mailbox.withLock { box in
      box.failure = error?.description
      if up {
        defer { (box.downSince, box.isOutageLogged) = (nil, false) }
        return !wasUp
      }
      let since = box.downSince ?? now
      box.downSince = since
      defer { box.isOutageLogged = box.isOutageLogged || wasUp || now - since > Self.startTime }
      return !box.isOutageLogged && (wasUp || now - since > Self.startTime)
    }
    guard isNews else { return }
    if let error {
      Log.warning("\(error); submissions are refused until it is back")
    } else {
      Log.info("connected to Redis at \(address)")
    }
  }

  private func serve(_ connection: ScriptConnection, _ round: inout Round) throws(RedisError) {
    // Of `round.ahead`.
    var next: SubmissionCall?
    var answered: Answered?
    defer { answered?.tell() }
    while gather(&round) {
      var call: SubmissionCall?
      if !round.submit.isEmpty {
        call = round.isRepeat ? nil : next.take()
        call = call ?? write(round.submit, isRepeat: round.isRepeat, on: connection)
      }
      call?.append(to: connection.redis)
      let counts = round.requests.map { request in
        let commands = request.commands(connection)
        for command in commands { connection.redis.append(command) }
        return commands.count
      }
      try connection.redis.send()
      answered.take()?.tell()
      if let call {
        next = next ?? writeAhead(&round, on: connection)
        answered = settle(try call.outcome(on: connection), &round)
        if !isBusy(round) { answered.take()?.tell() }
      }
      let isAnyForgotten = try answerRequests(counts, &round, connection)
      // A call of a script that Redis has forgotten did nothing: it comes again, whatever it is.
      if isAnyForgotten || !round.submit.isEmpty { try connection.load() }
      // Large params that go before a forgotten script are there already.
      round.isRepeat = !round.submit.isEmpty
    }
  }

  /// Reads the answers to the round's requests, of which each has so many; those stay whose script Redis has forgotten.
  private func answerRequests(
    _ counts: [Int], _ round: inout Round, _ connection: ScriptConnection
  ) throws(RedisError) -> Bool {
    var again: [Request] = []
    defer { round.requests = again + round.requests }
    for count in counts {
      var answers: [RedisReply] = []
      for _ in 0..<count { answers.append(try Self.answer(connection)) }
      let request = round.requests.removeFirst()
      if answers.contains(where: \.isForgottenScript) {
        again.append(request)
      } else {
        request.complete(.success(answers))
      }
    }
    return !again.isEmpty
  }

  private func write(
    _ tasks: [Pending], after calls: Int64 = 0, isRepeat: Bool = false, on connection: ScriptConnection
  ) -> SubmissionCall {
    SubmissionCall(
      tasks, host: registration.host, number: registration.nextNumber + calls, isRepeat: isRepeat,
      limits: backlogs.limits(of: tasks.map(\.definition)), on: connection)
  }

  /// The call after the one that is under way, if it will be a full one.
  private func writeAhead(_ round: inout Round, on connection: ScriptConnection) -> SubmissionCall? {
    if round.ahead.isEmpty {
      round.ahead = mailbox.withLock { Self.nextCall(of: $0.submissions).isFull ? Self.takeCall(&$0) : [] }
    }
    return round.ahead.isEmpty ? nil : write(round.ahead, after: 1, on: connection)
  }

  /// How many of the submissions that wait the next call has, and whether it has room for more.
  private static func nextCall(of submissions: [Pending]) -> (count: Int, isFull: Bool) {
    var bytes = 0
    for (count, pending) in submissions.enumerated() {
      bytes += pending.submission.byteCount
      if count > 0, count == callTasks || bytes > callBytes { return (count, true) }
    }
    return (submissions.count, submissions.count == callTasks)
  }

  private static func takeCall(_ box: inout Mailbox) -> [Pending] {
    let count = nextCall(of: box.submissions).count
    defer { box.submissions.removeFirst(count) }
    return Array(box.submissions.prefix(count))
  }

  /// Whether a full call waits to be sent.
  ///
  /// If not it is better to tell who waits first: they may have more for the same call.
  private func isBusy(_ round: Round) -> Bool {
    !round.ahead.isEmpty || mailbox.withLock { Self.nextCall(of: $0.submissions).isFull }
  }

  /// Fills the round; false when the link is to end or to connect again.
  private func gather(_ round: inout Round) -> Bool {
    let isUnanswered = !round.submit.isEmpty
    return mailbox.wait { box -> Bool? in
      if box.isClosed || box.wantsReconnect {
        box.wantsReconnect = false
        return false
      }
      // A call whose answer was lost must be repeated as it was: the number stands for exactly these tasks.
      if !isUnanswered {
        round.submit = round.ahead.isEmpty ? Self.takeCall(&box) : round.ahead
        round.ahead = []
      }
      round.requests.append(contentsOf: box.requests.prefix(Self.callTasks))
      box.requests.removeFirst(min(Self.callTasks, box.requests.count))
      return round.submit.isEmpty && round.requests.isEmpty ? nil : true
    } ?? false
  }

  /// The next answer; an error only if nothing was done.
  static func answer(_ connection: ScriptConnection) throws(RedisError) -> RedisReply {
    let reply = try connection.redis.reply()
    // A failed script may have done half its work: as with a lost answer, a new connection and a comparison follow.
    if case .error(let reason) = reply, !isWantOfMemory(reason), !reply.isForgottenScript {
      throw .disconnected(reason: reason)
    }
    return reply
  }

  /// Refused before anything was done: the command itself, or a script because a body before it was refused.
  static func isWantOfMemory(_ reason: String) -> Bool {
    reason.hasPrefix("OOM") || reason.hasPrefix("BODYGONE")
  }

  /// What became of the round's submissions, if that is known; they are its no more then.
  private func settle(_ outcome: SubmissionCall.Outcome, _ round: inout Round) -> Answered? {
    let parts: ArraySlice<RedisReply>
    switch outcome {
    case .forgotten: return nil
    case .outOfMemory: parts = []
    case .answered(let answer): parts = answer
    }
    registration.submitted()
    let done = round.submit
    round.submit = []
    guard let said = parts.first else { return Answered(tasks: done, words: nil) }
    backlogs.note(parts.dropFirst())
    return Answered(tasks: done, words: SubmissionWords(said.bulkValue ?? [], count: done.count))
  }

  /// Answers what waited too long, what may not be repeated, and keeps the rest for the next connection.
  private func fail(_ round: inout Round, before now: Int64, why: String) {
    let error = TaskStoreError.unavailable(why)
    // A call that was given up keeps its number: it may have been done, and no other call may be taken for its repeat.
    if let oldest = round.submit.map(\.deadline).min(), oldest <= now || now == .max {
      registration.submitted()
      for pending in round.submit { pending.complete(.failure(error)) }
      round.submit.removeAll()
    }
    let tooLate = round.ahead.filter { $0.deadline <= now }
    round.ahead.removeAll { $0.deadline <= now }
    for pending in tooLate { pending.complete(.failure(error)) }
    let requests = round.requests
    round.requests = requests.filter { $0.isRead && $0.deadline > now }
    for request in requests where !request.isRead || request.deadline <= now { request.complete(.failure(error)) }
    let late = mailbox.withLock { box in
      let late = (box.submissions.filter { $0.deadline <= now }, box.requests.filter { $0.deadline <= now })
      box.submissions.removeAll { $0.deadline <= now }
      box.requests.removeAll { $0.deadline <= now }
      return late
    }
    for pending in late.0 { pending.complete(.failure(error)) }
    for request in late.1 { request.complete(.failure(error)) }
  }
}
