// SPDX-License-Identifier: Apache-2.0
internal import Synchronization
internal import Glibc
internal import Redis
internal import TaskModel
internal import TaskStore
internal import Threading

/// What a stage has made and nothing may be left of, however this process ends.
enum Remains {
  private struct State {
    var directory: String?
    var host: pid_t?
    var keys: (address: RedisAddress, prefix: String)?
    var store: TaskStore?
    var heartbeat: Heartbeat?
  }

  private static let state = Lock(State())

  static func note(directory: String, keys: (RedisAddress, String)?) {
    state.withLock { state in
      state.directory = directory
      state.keys = keys.map { ($0.0, $0.1) }
    }
  }

  /// Whoever noted a process leaves it to this to wait for it: until then no other one gets its number.
  static func note(host: pid_t) { state.withLock { $0.host = host } }

  /// To be called before the store is started: one that was closed by then never writes.
  static func note(store: TaskStore) { state.withLock { $0.store = store } }

  /// Makes the heartbeat of that store under the lock, since it writes at once.
  static func begin(_ heartbeat: () throws(RedisError) -> Heartbeat) throws(RedisError) {
    try state.withLock { state throws(RedisError) in state.heartbeat = try heartbeat() }
  }

  /// Runs one step of what this process writes past the store, unless a signal has come.
  static func write(_ step: () throws(RedisError) -> Bool) throws(RedisError) -> Bool {
    try state.withLock { _ throws(RedisError) in try step() }
  }

  /// Closes the store, ends the host, deletes its keys and removes the directory.
  static func clear() {
    state.withLock { state in
      clear(state)
      state = State()
    }
  }

  /// Lets SIGINT, SIGTERM and SIGHUP, which are blocked, clear away and then end this process as they would have.
  static func clearOnSignals() {
    NativeThread(name: "signals") {
      var signals = sigset_t()
      sigemptyset(&signals)
      for signal in [SIGINT, SIGTERM, SIGHUP] { sigaddset(&signals, signal) }
      var number: Int32 = 0
      while sigwait(&signals, &number) != 0 {}
      // The lock is kept: who measures waits for it, and says nothing of what fails now.
      state.withLock { state in
        clear(state)
        signal(number, SIG_DFL)
        pthread_sigmask(SIG_UNBLOCK, &signals, nil)
        raise(number)
      }
    }.detach()
  }

  private static func clear(_ state: State) {
    // Whoever writes goes first: nothing may come behind the cursor that looks for keys.
    state.heartbeat?.end()
    state.store?.close()
    if let host = state.host { end(host) }
    if let (address, prefix) = state.keys { delete(prefix, in: address) }
    if let directory = state.directory { BenchDirectory.remove(directory) }
  }

  /// Asks it to end, then asks for haste, and at last kills it.
  private static func end(_ pid: pid_t) {
    for (signal, patience) in [(SIGTERM, 2000), (SIGTERM, 20_000), (SIGKILL, 5000)] {
      kill(pid, signal)
      let end = MonotonicClock.millis + Int64(patience)
      while MonotonicClock.millis < end {
        if waitpid(pid, nil, WNOHANG) == pid { return }
        usleep(5000)
      }
    }
  }

  /// Deletes all keys of the prefix, a few at a time; other keys are passed over.
  private static func delete(_ prefix: String, in address: RedisAddress) {
    guard let redis = try? RedisConnection(to: address, timeout: .seconds(5)) else { return }
    var cursor = "0"
    repeat {
      let scan = RedisCommand(words: "SCAN", cursor, "MATCH", "\(prefix):*", "COUNT", "1000")
      guard let page = (try? redis.call(scan))?.arrayValue, page.count == 2 else { return }
      cursor = page[0].textValue ?? "0"
      let keys = page[1].arrayValue?.compactMap(\.bulkValue) ?? []
      guard !keys.isEmpty else { continue }
      var command = RedisCommand("UNLINK")
      for key in keys { command.add(key) }
      guard (try? redis.call(command)) != nil else { return }
    } while cursor != "0"
  }
}
