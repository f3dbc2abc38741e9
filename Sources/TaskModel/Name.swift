// SPDX-License-Identifier: Apache-2.0

/// The rule for names of types, plugins, workers, schedules and exports: `[A-Za-z0-9][A-Za-z0-9._-]{0,63}`.
package func isValidName(_ name: some StringProtocol) -> Bool {
  let bytes = name.utf8
  guard let first = bytes.first, bytes.count <= 64, isAlphanumeric(first) else { return false }
  return bytes.allSatisfy { isAlphanumeric($0) || $0 == 0x2e || $0 == 0x5f || $0 == 0x2d }
}

private func isAlphanumeric(_ byte: UInt8) -> Bool {
  (0x30...0x39).contains(byte) || (0x41...0x5a).contains(byte) || (0x61...0x7a).contains(byte)
}
