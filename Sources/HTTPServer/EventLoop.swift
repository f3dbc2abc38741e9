// SPDX-License-Identifier: Apache-2.0
internal import CMicrohttpd
internal import CSystemShims
internal import Glibc
internal import Synchronization
internal import TaskModel
internal import Threading

/// The one thread that speaks to clients.
///
/// Each round it
/// 1. waits for the library's descriptor, the mailbox, clients that go, and time,
/// 2. resumes the requests that were answered meanwhile; only here, because a wake-up from another thread can be lost,
/// 3. shuts down the connections that are past their deadline,
/// 4. has the library read, call the handler and write.
// Sendable, because all that changes is touched by the loop thread only, which starts after `init`; `mailbox` has its
// own lock and `thread` is atomic.
final class EventLoop: @unchecked Sendable {
  struct Settings: Sendable {
    let maxBody: Int
    let timeouts: HTTPTimeouts
    let problem: @Sendable (HTTPRefusal) -> HTTPResponse
    let handler: @Sendable (HTTPRequest, HTTPResponder) -> Void
  }

  /// Connections at once; more wait in the backlog.
  private static let connectionLimit: UInt32 = 12_000
  /// Memory per connection for headers and reading: with 32 KiB ten thousand waiting clients take three times as much.
  private static let poolBytes = 8 << 10

  let settings: Settings
  let mailbox: Mailbox
  /// The thread in `run`; 0 before it.
  private let thread = Atomic<pthread_t>(0)
  private(set) var isStopping = false
  private(set) var isEnding = false
  /// Requests from their first line until their answer has gone out.
  var underWay = 0
  /// Requests handed to the handler in this round and not answered by it: the next round must not wait.
  var unsettled = 0
  var clients: [ClientConnection] = []
  var lingering: [Int32: Int64] = [:]
  let poll: Int32
  private var daemon: OpaquePointer?
  private var nextSweep: Int64 = 0

  /// Takes the listener over, also when it throws.
  init(_ listener: ListeningSocket, _ settings: Settings) throws(HTTPServerError) {
    poll = epoll_create1(Int32(EPOLL_CLOEXEC))
    guard poll >= 0, let mailbox = Mailbox() else {
      let code = errno
      if poll >= 0 { close(poll) }
      close(listener.descriptor)
      throw .systemCall(listener.address, call: "epoll_create1", code: code)
    }
    self.settings = settings
    self.mailbox = mailbox
    var callbacks = Self.callbacks(for: self)
    daemon = roost_mhd_start(listener.descriptor, Self.connectionLimit, Self.poolBytes, &callbacks)
    guard daemon != nil else {
      close(listener.descriptor)
      throw .libraryRefused(listener.address)
    }
    watch(roost_mhd_epoll_descriptor(daemon), EPOLLIN.rawValue, PollTag.library)
    // Edge-triggered, so that nobody has to read the eventfd.
    watch(mailbox.descriptor, EPOLLIN.rawValue | EPOLLET.rawValue, PollTag.mailbox)
  }

  deinit {
    close(poll)
  }

  /// Any thread: whether the caller is the loop, a handler for example.
  var isCurrentThread: Bool {
    let running = thread.load(ordering: .relaxed)
    return running != 0 && pthread_equal(running, pthread_self()) != 0
  }

  /// What the loop does until it is asked to stop; returns once all connections are closed.
  func run() {
    roost_name_thread("http")
    thread.store(pthread_self(), ordering: .relaxed)
    var batch: [Exchange] = []
    var stopAt: Int64?
    while true {
      wait(until: stopAt)
      stopAt = mailbox.collect(into: &batch)
      for exchange in batch { resume(exchange) }
      batch.removeAll(keepingCapacity: true)
      sweepIfDue()
      unsettled = 0
      MHD_run(daemon)
      guard let stopAt else { continue }
      // Stopping begins a round before the first look, so that what was sent before it is still read.
      if isStopping, underWay == 0 || MonotonicClock.millis >= stopAt { break }
      stopAccepting()
    }
    closeAll()
  }

  /// Lets the library go on with a request that was parked.
  func resume(_ exchange: Exchange) {
    guard exchange.isSuspended else { return }
    exchange.isSuspended = false
    MHD_resume_connection(exchange.connection)
  }

  // MARK: Waiting

  private func wait(until stopAt: Int64?) {
    let now = MonotonicClock.millis
    var timeout = clients.isEmpty && lingering.isEmpty ? Int64.max : max(0, nextSweep - now)
    if let stopAt { timeout = min(timeout, max(0, stopAt - now)) }
    var wanted: UInt64 = 0
    if MHD_get_timeout(daemon, &wanted) == .YES { timeout = min(timeout, Int64(clamping: wanted)) }
    if unsettled > 0 || isStopping && underWay == 0 { timeout = 0 }
    if !mailbox.prepareToSleep() { timeout = 0 }
    let millis = timeout == .max ? -1 : Int32(clamping: timeout)
    withUnsafeTemporaryAllocation(of: epoll_event.self, capacity: 64) { events in
      let count = epoll_wait(poll, events.baseAddress, Int32(events.count), millis)
      for event in events.prefix(Int(max(0, count))) { handle(event) }
    }
  }

  private func handle(_ event: epoll_event) {
    switch event.data.u64 {
    case PollTag.library, PollTag.mailbox: return
    case let tag where tag & PollTag.lingering != 0: discardInput(Int32(truncatingIfNeeded: tag >> 1))
    case let tag: clientHasGone(tag, isDead: event.events & (EPOLLERR.rawValue | EPOLLHUP.rawValue) != 0)
    }
  }

  private func clientHasGone(_ tag: UInt64, isDead: Bool) {
    guard let pointer = UnsafeRawPointer(bitPattern: UInt(tag)) else { return }
    // Alive, because a client leaves the poll set before it leaves the list, and neither happens before MHD_run.
    let client = Unmanaged<ClientConnection>.fromOpaque(pointer).takeUnretainedValue()
    client.hasGone = true
    guard let exchange = client.exchange, exchange.stage == .handed else { return }
    if exchange.clientHasGone(isDead: isDead) { resume(exchange) }
  }

  func watch(_ descriptor: Int32, _ events: UInt32, _ tag: UInt64) {
    var event = epoll_event(events: events, data: epoll_data_t(u64: tag))
    epoll_ctl(poll, EPOLL_CTL_ADD, descriptor, &event)
  }

  func unwatch(_ descriptor: Int32) {
    epoll_ctl(poll, EPOLL_CTL_DEL, descriptor, nil)
  }

  // MARK: Time

  private func sweepIfDue() {
    let now = MonotonicClock.millis
    guard now >= nextSweep else { return }
    nextSweep = now + settings.timeouts.sweepMillis
    for client in clients where client.deadline <= now { cutOff(client) }
    for (descriptor, deadline) in lingering where deadline <= now { endLingering(descriptor) }
  }

  /// Shuts the socket down, so that the library reads its end and closes it.
  ///
  /// The timeout that the library has would start anew with every byte.
  private func cutOff(_ client: ClientConnection) {
    if client.exchange?.stage == .answered {
      // Reset, or the kernel would go on keeping megabytes for a client that does not take them.
      var reset = linger(l_onoff: 1, l_linger: 0)
      setsockopt(client.descriptor, SOL_SOCKET, SO_LINGER, &reset, socklen_t(MemoryLayout<linger>.size))
    }
    shutdown(client.descriptor, Int32(SHUT_RDWR))
    client.deadline = .max
  }

  // MARK: Stopping

  /// Any thread: asks `run` to end once no request is under way, at the latest after that time.
  func requestStop(within limit: Duration) {
    let now = MonotonicClock.millis
    let (end, overflow) = now.addingReportingOverflow(max(0, limit.millis))
    mailbox.requestStop(at: overflow ? .max : end)
  }

  /// Closes a loop whose thread could not be started.
  func closeUnstarted() {
    MHD_stop_daemon(daemon)
    daemon = nil
  }

  private func stopAccepting() {
    guard !isStopping else { return }
    isStopping = true
    let listener = MHD_quiesce_daemon(daemon)
    if listener >= 0 { close(listener) }
  }

  private func closeAll() {
    isEnding = true
    // The library ends the process when it is stopped with suspended connections, and only MHD_run resumes them.
    for client in clients {
      if let exchange = client.exchange { resume(exchange) }
    }
    MHD_run(daemon)
    MHD_stop_daemon(daemon)
    daemon = nil
    mailbox.close()
    for descriptor in lingering.keys { endLingering(descriptor) }
  }
}

/// What an event of the loop's epoll is about; anything else is the address of a `ClientConnection`, which is even.
enum PollTag {
  static let library: UInt64 = 2
  static let mailbox: UInt64 = 4
  /// Set with a descriptor, shifted by one, that is read only to throw away what comes.
  static let lingering: UInt64 = 1
}
