// SPDX-License-Identifier: Apache-2.0
import CCommand
import Glibc
import RoostPlugin

/// One end of a pipe; closed with this object or before.
final class Pipe {
  private(set) var descriptor: Int32

  enum End { case read, write }

  private init(_ descriptor: Int32) { self.descriptor = descriptor }

  deinit { close() }

  var isOpen: Bool { descriptor >= 0 }

  /// Closes the end; harmless when it is closed.
  func close() {
    if descriptor >= 0 { _ = Glibc.close(descriptor) }
    descriptor = -1
  }

  /// A new pipe: the program's end, and ours, which does not block; neither is inherited by other programs.
  static func make(ours: End) throws -> (theirs: Pipe, ours: Pipe) {
    var descriptors: [Int32] = [-1, -1]
    guard pipe2(&descriptors, O_CLOEXEC) == 0 else { throw TaskFailure("cannot make a pipe: \(text(of: errno))") }
    let ends = (read: Pipe(descriptors[0]), write: Pipe(descriptors[1]))
    let (theirs, ours) = ours == .read ? (ends.write, ends.read) : (ends.read, ends.write)
    let flags = fcntl(ours.descriptor, F_GETFL)
    _ = fcntl(ours.descriptor, F_SETFL, flags | O_NONBLOCK)
    return (theirs, ours)
  }

  /// Chunks of one turn at most: a program that writes without end must not keep its own end, or a cancel, from being seen.
  private static let chunksPerTurn = 16

  /// Hands the chunks that are there to `take`, some MiB at most; closes the end when the other side is gone or `take` says
  /// false.
  func drain(into take: (UnsafeRawBufferPointer) -> Bool) {
    withUnsafeTemporaryAllocation(byteCount: 65_536, alignment: 1) { buffer in
      for _ in 0..<Self.chunksPerTurn where isOpen {
        let count = read(descriptor, buffer.baseAddress, buffer.count)
        if count > 0 {
          if !take(UnsafeRawBufferPointer(rebasing: buffer[..<count])) { close() }
        } else if count == 0 || (errno != EINTR && errno != EAGAIN) {
          close()
        } else if errno == EAGAIN {
          return
        }
      }
    }
  }

  /// Writes as much as fits and answers how much; closes the end when nobody reads it any more.
  func send(_ bytes: ArraySlice<UInt8>) -> Int {
    var sent = 0
    while isOpen, sent < bytes.count {
      let count = bytes.withUnsafeBytes { write(descriptor, $0.baseAddress.map { $0 + sent }, $0.count - sent) }
      if count >= 0 {
        sent += count
      } else if errno == EAGAIN {
        break
      } else if errno != EINTR {
        // EPIPE: a program need not read its params.
        close()
      }
    }
    return sent
  }
}
