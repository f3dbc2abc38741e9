// SPDX-License-Identifier: Apache-2.0
internal import Redis
internal import TaskModel
internal import TaskStore
internal import Threading

/// Keeps the type of long tasks busy: there are always some that wait.
final class SlowLoad {
  private let isOver = Monitor(false)
  private let thread: NativeThread

  init(_ store: TaskStore, _ host: BenchHost, _ options: BenchOptions) {
    // For longer than a second, whatever it runs on.
    let least = 40 * options.processes * (options.threads ?? 64)
    let (address, counters) = (host.address, store.keys.counters(BenchHost.slowType))
    thread = NativeThread(name: "slow") { [isOver] in
      let redis = try? RedisConnection(to: address, timeout: .seconds(30))
      repeat {
        let waiting = (try? redis?.call(RedisCommand(words: "HGET", counters, "PENDING")))?.integerValue ?? 0
        for _ in 0..<max(0, least - Int(waiting)) {
          store.submit(Submission(type: BenchHost.slowType, params: Array("null".utf8))) { _ in }
        }
      } while isOver.wait(until: MonotonicClock.now + 200_000_000, { $0 ? true : nil }) == nil
    }
  }

  func end() {
    isOver.withLock { $0 = true }
    isOver.signal()
    thread.join()
  }
}
