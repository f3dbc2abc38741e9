// SPDX-License-Identifier: Apache-2.0
internal import CRoost
internal import Synchronization
internal import Threading

/// What a live `roost_task *` stands for.
protocol HandleTarget: AnyObject, Sendable {
  var host: HostContext { get }
  var call: any TaskCall { get }
  var texts: CallTexts { get }
  func setResult(_ json: roost_bytes) -> roost_status
  func setError(_ error: TaskErrorReport)
  func progress(_ fraction: Double, _ note: roost_bytes)
  func finish(_ status: roost_status)
}

/// Every `roost_task *` that this process hands out: a token that is looked up and never followed.
///
/// A token is bit 63 (no address of user space has it, so a plugin that follows one stops at once), 39 bits of
/// generation, 8 bits for the plugin and 16 bits for the slot. A slot whose generations are used up is not used again,
/// so no token comes twice.
final class TaskHandles: @unchecked Sendable {
  static let shared = TaskHandles()

  private struct Content {
    var token: UInt = 0
    var generation: UInt = 0
    var target: (any HandleTarget)?
  }
  private struct Slot: ~Copyable {
    let content = Lock(Content())
  }

  private static let slotLimit = 1 << 16
  private static let generationLimit: UInt = 1 << 39 - 1

  // The class is unchecked for this pointer alone: a slot is initialised before `used` counts it, and never goes.
  private let slots: UnsafeMutablePointer<Slot>
  private let used = Atomic<Int>(0)
  private let free = Lock<[Int]>([])

  private init() {
    // Pages that no slot has touched take no memory.
    slots = .allocate(capacity: Self.slotLimit)
  }

  /// Makes a token that stands for `target` until it is released.
  func issue(to target: any HandleTarget) -> OpaquePointer? {
    let index = free.withLock { free in
      if let index = free.popLast() { return index }
      let index = used.load(ordering: .relaxed)
      precondition(index < Self.slotLimit, "more than \(Self.slotLimit) calls into plugins at once")
      (slots + index).initialize(to: Slot())
      used.store(index + 1, ordering: .releasing)
      return index
    }
    let token = slots[index].content.withLock { content in
      content.generation += 1
      content.token = 1 << 63 | content.generation << 24 | UInt(target.host.index) << 16 | UInt(index)
      content.target = target
      return content.token
    }
    return OpaquePointer(bitPattern: token)
  }

  /// Makes the token dead.
  func release(_ task: OpaquePointer?) {
    let index = Int(UInt(bitPattern: task) & 0xffff)
    let mayBeUsedAgain = slots[index].content.withLock { content in
      content.token = 0
      content.target = nil
      return content.generation < Self.generationLimit
    }
    if mayBeUsedAgain { free.withLock { $0.append(index) } }
  }

  /// What the token stands for; nil when it is dead or was never one.
  func target(of task: OpaquePointer?) -> (any HandleTarget)? {
    let token = UInt(bitPattern: task)
    let index = Int(token & 0xffff)
    guard token >> 63 == 1, index < used.load(ordering: .acquiring) else { return nil }
    return slots[index].content.withLock { $0.token == token ? $0.target : nil }
  }

  /// The plugin that a token, dead or not, was made for.
  static func hostIndex(of task: OpaquePointer?) -> UInt8? {
    let token = UInt(bitPattern: task)
    return token >> 63 == 1 ? UInt8(truncatingIfNeeded: token >> 16) : nil
  }
}
