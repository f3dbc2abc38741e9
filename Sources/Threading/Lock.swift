// SPDX-License-Identifier: Apache-2.0
#if ROOST_THREAD_SANITIZER
  internal import Glibc

  /// State behind a lock that the thread sanitizer understands; it sees races where `Synchronization.Mutex` is used rightly.
  // @unchecked: `value` is touched only between lock and unlock of `mutex`.
  package final class Lock<Value>: @unchecked Sendable {
    private var value: Value
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)

    package init(_ value: consuming sending Value) {
      self.value = value
      pthread_mutex_init(mutex, nil)
    }

    deinit {
      pthread_mutex_destroy(mutex)
      mutex.deallocate()
    }

    package func withLock<Result, Failure: Error>(
      _ body: (inout sending Value) throws(Failure) -> sending Result
    ) throws(Failure) -> sending Result {
      pthread_mutex_lock(mutex)
      defer { pthread_mutex_unlock(mutex) }
      // The lock is held: nobody else has the value meanwhile.
      nonisolated(unsafe) var lent = value
      defer { value = lent }
      return try body(&lent)
    }
  }
#else
  package import Synchronization

  /// State behind a lock.
  ///
  /// An alias and no type around it: the compiler makes code for a value's type of the standard library's lock, but of one of
  /// another target it looks the type up each time.
  package typealias Lock = Mutex
#endif
