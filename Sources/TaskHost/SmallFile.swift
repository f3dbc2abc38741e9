// SPDX-License-Identifier: Apache-2.0
internal import Glibc

/// What stands in a small file, as in /proc or /sys; empty when it cannot be read.
func bytes(ofFile path: String) -> [UInt8] {
  let file = open(path, O_RDONLY | O_CLOEXEC)
  guard file >= 0 else { return [] }
  defer { close(file) }
  var bytes: [UInt8] = []
  var buffer = [UInt8](repeating: 0, count: 16_384)
  while case let count = read(file, &buffer, buffer.count), count > 0 { bytes += buffer[..<count] }
  return bytes
}

/// The same as text.
func text(ofFile path: String) -> String { String(decoding: bytes(ofFile: path), as: UTF8.self) }
