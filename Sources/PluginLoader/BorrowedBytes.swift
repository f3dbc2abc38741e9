// SPDX-License-Identifier: Apache-2.0
internal import CRoost
internal import TaskModel

/// Bytes of text that are kept of one log line, note or reason.
let textLimit = 16384

extension roost_bytes {
  /// The plugin's memory; valid until the function that got it returns.
  var borrowed: UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(start: data, count: data == nil ? 0 : Int(clamping: length))
  }

  /// Whether there are bytes said to be at NULL.
  var isBroken: Bool { data == nil && length > 0 }

  func copied() -> [UInt8] { [UInt8](borrowed) }

  /// The bytes as well-formed text of at most `limit` bytes.
  func text(limit: Int = textLimit) -> String { repaired(borrowed, limit: limit) }
}

/// Text in which what is not UTF-8 became U+FFFD, cut to `limit` bytes.
func repaired(_ bytes: UnsafeRawBufferPointer, limit: Int) -> String {
  // Four bytes more than the limit, so that a character cut here falls to the cut between characters.
  String(decoding: bytes.prefix(limit + 4), as: UTF8.self).prefixed(byBytes: limit)
}

/// Bytes at addresses that do not move, for as long as this object lives.
///
/// Unchecked, because the pointers are written by `append` only, which nobody calls once the object is shared.
final class StableBytes: @unchecked Sendable {
  private let memory: UnsafeMutableRawBufferPointer
  private var used = 0

  init(capacity: Int) {
    memory = .allocate(byteCount: capacity, alignment: 1)
  }

  convenience init(_ bytes: [UInt8]) {
    self.init(capacity: bytes.count)
    _ = append(bytes)
  }

  deinit {
    memory.deallocate()
  }

  /// Copies the bytes in; what is empty needs no room.
  func append(_ bytes: some Collection<UInt8>) -> roost_bytes {
    guard !bytes.isEmpty else { return roost_bytes() }
    let room = UnsafeMutableRawBufferPointer(rebasing: memory[used..<used + bytes.count])
    room.copyBytes(from: bytes)
    used += bytes.count
    return roost_bytes(
      data: UnsafePointer(room.baseAddress?.assumingMemoryBound(to: CChar.self)), length: UInt64(bytes.count))
  }

  /// All that was appended.
  var whole: UnsafeRawBufferPointer { UnsafeRawBufferPointer(rebasing: memory[..<used]) }
}
