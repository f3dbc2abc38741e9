// SPDX-License-Identifier: Apache-2.0
internal import CSystemShims
internal import Glibc

/// A thread of the operating system that runs one closure.
// @unchecked: immutable; pthread_t is a number, and `join` is called by one owner.
package final class NativeThread: @unchecked Sendable {
  private let id: pthread_t

  private final class Start {
    let name: String
    let body: @Sendable () -> Void
    init(name: String, body: @escaping @Sendable () -> Void) {
      self.name = name
      self.body = body
    }
  }

  /// Starts the thread; ends the process when the system gives none, because nothing could go on without it.
  ///
  /// `name` is shown by ps, gdb and in crash reports; 15 bytes are kept.
  package init(name: String, _ body: @escaping @Sendable () -> Void) {
    var id = pthread_t()
    let start = Unmanaged.passRetained(Start(name: name, body: body))
    let result = pthread_create(
      &id, nil,
      { argument in
        guard let argument else { return nil }
        let start = Unmanaged<Start>.fromOpaque(argument).takeRetainedValue()
        roost_name_thread(start.name)
        start.body()
        return nil
      }, start.toOpaque())
    guard result == 0 else { fatalError("cannot start thread \(name): error \(result); raise the limit of processes") }
    self.id = id
  }

  /// Waits for the end of the thread; to be called once.
  package func join() { pthread_join(id, nil) }

  /// Lets the thread end unobserved.
  package func detach() { pthread_detach(id) }
}
