// SPDX-License-Identifier: Apache-2.0
internal import TaskModel

/// What Scripts/submit.lua says of each task of a call; nothing: all were stored.
struct SubmissionWords {
  private static let stored = Array("s".utf8)
  private static let full = Array("f".utf8)
  /// Nil when there are not as many as tasks.
  private let words: [ArraySlice<UInt8>]?

  init(_ bytes: [UInt8], count: Int) {
    let found =
      bytes.isEmpty ? Array(repeating: Self.stored[...], count: count) : bytes.split(separator: UInt8(ascii: " "))
    words = found.count == count ? found : nil
  }

  /// The words that Redis remembers of the host's last call, if that call is the one of this number.
  static func remembered(_ last: [UInt8]?, of number: Int64) -> [UInt8]? {
    guard let last else { return nil }
    let parts = last.split(separator: UInt8(ascii: " "), maxSplits: 1)
    guard parts.first.map({ String(decoding: $0, as: UTF8.self) }) == String(number) else { return nil }
    return parts.count > 1 ? Array(parts[1]) : []
  }

  func result(_ index: Int, of pending: StoreLink.Pending) -> Result<Receipt, TaskStoreError> {
    switch words?[index] {
    case Self.stored[...]:
      let status = pending.submission.due == nil ? TaskStatus.pending : .scheduled
      return .success(Receipt(id: pending.id, status: status, isNew: true))
    case Self.full[...]:
      return .failure(.queueFull(type: pending.definition.name, limit: pending.definition.queueCapacity))
    default:
      guard let word = words?[index], let id = TaskID(word.prefix(32)),
        let state = word.last.flatMap(StoredRecord.State.init)
      else {
        return .failure(.unreadable("the answer to a submission"))
      }
      return .success(Receipt(id: id, status: state.status, isNew: false))
    }
  }
}
