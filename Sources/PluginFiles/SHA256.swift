// SPDX-License-Identifier: Apache-2.0
internal import CGnuTLS
internal import Glibc

/// SHA-256 by GnuTLS, of bytes that come one piece after the other; belongs to one thread.
final class SHA256 {
  private var state: gnutls_hash_hd_t?

  /// Nil with errno set when the library gives no state.
  init?() {
    guard gnutls_hash_init(&state, GNUTLS_DIG_SHA256) == 0 else {
      errno = ENOSYS
      return nil
    }
  }

  deinit { gnutls_hash_deinit(state, nil) }

  func add(_ bytes: UnsafeRawBufferPointer) { gnutls_hash(state, bytes.baseAddress, bytes.count) }

  /// The digest of what was added, as lowercase hex; begins anew.
  func finish() -> String {
    var digest = [UInt8](repeating: 0, count: 32)
    gnutls_hash_output(state, &digest)
    return digest.map { byte in (byte < 16 ? "0" : "") + String(byte, radix: 16) }.joined()
  }

  /// The digest of an open file's whole content as lowercase hex; nil with errno set when it cannot be read.
  static func hex(of descriptor: Int32) -> String? {
    guard let hash = SHA256() else { return nil }
    return eachPiece(of: descriptor) {
      hash.add($0)
      return true
    } ? hash.finish() : nil
  }
}

/// Hands the content of an open file to `body`, piece by piece from its start; false with errno set when it cannot be read, or
/// when `body` returned false.
func eachPiece(of descriptor: Int32, _ body: (UnsafeRawBufferPointer) -> Bool) -> Bool {
  var buffer = [UInt8](repeating: 0, count: 1 << 18)
  var offset: off_t = 0
  while true {
    let got = pread(descriptor, &buffer, buffer.count, offset)
    if got < 0, errno == EINTR { continue }
    guard got > 0 else { return got == 0 }
    guard buffer.withUnsafeBytes({ body(UnsafeRawBufferPointer(rebasing: $0[..<got])) }) else { return false }
    offset += off_t(got)
  }
}
