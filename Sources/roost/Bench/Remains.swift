// SPDX-License-Identifier: Apache-2.0
internal import Synchronization
internal import Glibc
internal import Redis
internal import TaskModel
internal import Threading

/// What a stage has made and nothing may be left of, however this process ends.
enum Remains {
  private struct State {
    var directory: String?
    var host: pid_t?
    var keys: (address: RedisAddress, prefix: String)?
  }

  private static let state = Lock(State())

  static func note(directory: String, keys: (RedisAddress, String)?) {
    state.withLock { state in
      state.directory = directory
      state.keys = keys.map { ($0.0, $0.1) }
    }
  }

  static func note(host: pid_t) { state.withLock { $0.host = host } }

  /// Ends the host, deletes its keys and removes the directory.
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
        // An error: somebody has waited for it, so it is gone.
        if waitpid(pid, nil, WNOHANG) != 0 { return }
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
