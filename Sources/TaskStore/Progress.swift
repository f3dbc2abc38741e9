// SPDX-License-Identifier: Apache-2.0
internal import TaskModel

/// A task's progress as it stands in its key: the fraction in ten-thousandths, a space and the note.
package struct Progress: Sendable, Equatable {
  package var fraction: Double
  package var note: String

  package init(fraction: Double, note: String) {
    self.fraction = fraction
    self.note = note
  }

  init?(_ bytes: [UInt8]) {
    let parts = bytes.split(separator: UInt8(ascii: " "), maxSplits: 1, omittingEmptySubsequences: false)
    guard parts.count == 2, let value = Int(String(decoding: parts[0], as: UTF8.self)) else { return nil }
    self.init(fraction: Double(value) / 10_000, note: String(decoding: parts[1], as: UTF8.self))
  }

  package var bytes: [UInt8] { Array("\(Int((fraction * 10_000).rounded())) \(note.prefixed(byBytes: 1024))".utf8) }
}
