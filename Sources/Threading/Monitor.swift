// SPDX-License-Identifier: Apache-2.0
internal import Glibc

/// State behind a lock that threads may also wait on; the one place of the project where a thread blocks on another.
///
/// Synchronization has `Mutex` but nothing to wait on. It is public because the compiler makes code for a state's type of
/// what is public and inlinable alone; of what the package shares it looks the type up at each use.
// @unchecked: what `state` leads to is touched only between lock and unlock of `condition`.
public final class Monitor<State>: @unchecked Sendable {
  @usableFromInline let condition = Condition()
  @usableFromInline let state: UnsafeMutablePointer<State>

  @inlinable
  public init(_ state: sending State) {
    self.state = .allocate(capacity: 1)
    self.state.initialize(to: state)
  }

  @inlinable
  deinit {
    state.deinitialize(count: 1)
    state.deallocate()
  }

  @inlinable
  public func withLock<Result, Failure: Error>(
    _ body: (inout State) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    condition.lock()
    defer { condition.unlock() }
    return try body(&state.pointee)
  }

  /// Wakes one thread that waits.
  @inlinable
  public func signal() { condition.signal() }

  /// Wakes all threads that wait.
  @inlinable
  public func broadcast() { condition.broadcast() }

  /// Waits until `body` returns a value or `deadline` (of `MonotonicClock`) has passed; nil then.
  ///
  /// `body` runs under the lock, once at first and again after each wake-up.
  @inlinable
  @discardableResult
  public func wait<Result>(until deadline: Int64? = nil, _ body: (inout State) -> Result?) -> Result? {
    condition.lock()
    defer { condition.unlock() }
    while true {
      if let result = body(&state.pointee) { return result }
      if !condition.wait(until: deadline) { return body(&state.pointee) }
    }
  }
}

/// A mutex and a condition of pthread.
@usableFromInline
// @unchecked: immutable; the pointers lead to what is made to be shared.
final class Condition: @unchecked Sendable {
  private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
  private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)

  @usableFromInline
  init() {
    pthread_mutex_init(mutex, nil)
    var attributes = pthread_condattr_t()
    pthread_condattr_init(&attributes)
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
    pthread_cond_init(condition, &attributes)
    pthread_condattr_destroy(&attributes)
  }

  deinit {
    pthread_cond_destroy(condition)
    pthread_mutex_destroy(mutex)
    condition.deallocate()
    mutex.deallocate()
  }

  @usableFromInline func lock() { pthread_mutex_lock(mutex) }
  @usableFromInline func unlock() { pthread_mutex_unlock(mutex) }
  @usableFromInline func signal() { pthread_cond_signal(condition) }
  @usableFromInline func broadcast() { pthread_cond_broadcast(condition) }

  /// Waits, with the lock held before and after; false when the deadline (of `MonotonicClock`) has passed.
  @usableFromInline
  func wait(until deadline: Int64?) -> Bool {
    guard let deadline else {
      pthread_cond_wait(condition, mutex)
      return true
    }
    var limit = timespec(tv_sec: Int(deadline / 1_000_000_000), tv_nsec: Int(deadline % 1_000_000_000))
    return pthread_cond_timedwait(condition, mutex, &limit) != ETIMEDOUT
  }
}
