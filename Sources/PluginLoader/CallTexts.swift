// SPDX-License-Identifier: Apache-2.0
internal import CRoost
internal import Synchronization
internal import Threading
internal import TaskModel

/// The texts of one call that a plugin may look at until the call is over, and what it learns from task_info().
final class CallTexts: Sendable {
  let facts: TaskFacts
  private let data: PluginData
  private let lent = Lock(Lent())

  /// Unchecked, because it is the plugin's own pointer: handed back and never followed.
  private struct PluginData: @unchecked Sendable {
    let pointer: UnsafeMutableRawPointer?
  }
  private struct Lent {
    var info: LentInfo?
    var records: [StableBytes] = []
  }
  /// Unchecked, because its pointers lead into `memory`, which does not change any more.
  private struct LentInfo: @unchecked Sendable {
    let info: roost_task_info
    let memory: StableBytes
  }

  init(_ facts: TaskFacts, data: UnsafeMutableRawPointer?) {
    self.facts = facts
    self.data = PluginData(pointer: data)
  }

  /// Fills the caller's struct as far as its size says; false when that is no size of a task_info.
  func fill(_ info: UnsafeMutablePointer<roost_task_info>) -> Bool {
    let known = lent.withLock { lent in
      if let info = lent.info { return info }
      let made = makeInfo()
      lent.info = made
      return made
    }
    return fillTaskInfo(info, with: known.info)
  }

  /// Keeps a record's bytes where they are until the call is over.
  func lend(record: [UInt8]) -> roost_bytes {
    let kept = lent.withLock { lent in
      if let last = lent.records.last, last.whole.elementsEqual(record) { return last }
      let kept = StableBytes(record)
      lent.records.append(kept)
      return kept
    }
    return roost_bytes(
      data: kept.whole.baseAddress?.assumingMemoryBound(to: CChar.self), length: UInt64(kept.whole.count))
  }

  private func makeInfo() -> LentInfo {
    let memory = StableBytes(
      capacity: 32 + facts.type.utf8.count + facts.trace.utf8.count + facts.tenant.utf8.count + facts.params.count)
    var info = roost_task_info()
    info.size = UInt32(MemoryLayout<roost_task_info>.size)
    info.attempt = facts.attempt
    info.max_attempts = facts.maxAttempts
    info.crashes = facts.crashes
    info.data = data.pointer
    info.id = memory.append(facts.id.utf8)
    info.type = memory.append(facts.type.utf8)
    info.trace = memory.append(facts.trace.utf8)
    info.tenant = memory.append(facts.tenant.utf8)
    info.params = memory.append(facts.params)
    info.created_at = facts.createdAtMillis
    info.deadline = facts.deadlineMillis
    return LentInfo(info: info, memory: memory)
  }
}

/// Gives the caller what its size has room for, zeroes what this host does not know and lowers the size to what was filled.
///
/// Without `known` all is zero. False when the size cannot be right; then what of version 1.0 lies inside it was zeroed.
func fillTaskInfo(_ info: UnsafeMutablePointer<roost_task_info>, with known: roost_task_info?) -> Bool {
  let size = sentSize(UnsafePointer(info))
  guard size >= LeastSize.taskInfo, size <= LeastSize.implausible else {
    UnsafeMutableRawPointer(info).storeBytes(of: 0, as: UInt32.self)
    let count = Int(min(size, LeastSize.taskInfo))
    UnsafeMutableRawBufferPointer(start: info, count: count).dropFirst(4).initializeMemory(as: UInt8.self, repeating: 0)
    return false
  }
  let room = UnsafeMutableRawBufferPointer(start: info, count: Int(size))
  _ = room.initializeMemory(as: UInt8.self, repeating: 0)
  let filled = min(room.count, MemoryLayout<roost_task_info>.size)
  if let known {
    withUnsafeBytes(of: known) { room.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[..<filled])) }
  }
  room.storeBytes(of: UInt32(filled), as: UInt32.self)
  return true
}
