// SPDX-License-Identifier: Apache-2.0
internal import CGnuTLS
internal import Glibc

/// SHA-256 by GnuTLS.
enum SHA256 {
  /// The digest of an open file's whole content as lowercase hex; nil with errno set when it cannot be read.
  static func hex(of descriptor: Int32) -> String? {
    var hash: gnutls_hash_hd_t?
    guard gnutls_hash_init(&hash, GNUTLS_DIG_SHA256) == 0 else {
      errno = ENOSYS
      return nil
    }
    var digest = [UInt8](repeating: 0, count: 32)
    var buffer = [UInt8](repeating: 0, count: 1 << 18)
    var offset: off_t = 0
    var got = 0
    repeat {
      got = pread(descriptor, &buffer, buffer.count, offset)
      if got > 0 { gnutls_hash(hash, buffer, got) }
      offset += off_t(max(0, got))
    } while got > 0 || got < 0 && errno == EINTR
    let error = errno
    gnutls_hash_deinit(hash, &digest)
    errno = error
    guard got == 0 else { return nil }
    return digest.map { byte in (byte < 16 ? "0" : "") + String(byte, radix: 16) }.joined()
  }
}
