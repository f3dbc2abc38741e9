// SPDX-License-Identifier: Apache-2.0
import CRoost
import Foundation
import Synchronization
import Threading

/// The host's side of the ABI a second time, as small as it goes: its table records what a plugin calls and notes every misuse.
// @unchecked: the table never changes after init; everything else is behind the lock.
final class HostTable: @unchecked Sendable {
  struct Line: Equatable {
    let level: UInt32
    let message: String
  }

  let pointer: UnsafePointer<roost_host>
  private let state = Lock<(lines: [Line], misuse: [String])>(([], []))

  /// A table that says it is `size` bytes long; never freed, because plugins may keep it.
  init(size: Int = MemoryLayout<roost_host>.size) {
    let table = UnsafeMutablePointer<roost_host>.allocate(capacity: 1)
    table.initialize(to: roost_host())
    pointer = UnsafePointer(table)
    table.pointee.size = UInt32(size)
    fill(table)
    HostTable.all.withLock { $0[UInt(bitPattern: table)] = self }
  }

  /// What was logged outside a task.
  var lines: [Line] { state.withLock { $0.lines } }
  /// What the plugin did that the header forbids.
  var misuse: [String] { state.withLock { $0.misuse } }

  func note(_ line: Line) { state.withLock { $0.lines.append(line) } }
  func noteMisuse(_ what: String) { state.withLock { $0.misuse.append(what) } }

  private static let all: Lock<[UInt: HostTable]> = {
    // As the header promises to plugins.
    signal(SIGPIPE, SIG_IGN)
    return Lock([:])
  }()

  static func at(_ pointer: UnsafePointer<roost_host>?) -> HostTable? {
    all.withLock { $0[UInt(bitPattern: pointer)] }
  }
}

private func fill(_ table: UnsafeMutablePointer<roost_host>) {
  table.pointee.log = { host, level, task, message in
    let line = HostTable.Line(level: level, message: copied(message))
    if let task { TestTask.alive(task, "log")?.note(line) } else { HostTable.at(host)?.note(line) }
  }
  table.pointee.task_info = { task, info in
    guard let info else { return }
    let size = min(Int(info.pointee.size), MemoryLayout<roost_task_info>.size)
    let filled = TestTask.alive(task, "task_info")?.info() ?? roost_task_info()
    withUnsafeBytes(of: filled) {
      UnsafeMutableRawBufferPointer(start: info, count: size).copyMemory(
        from: UnsafeRawBufferPointer(rebasing: $0[..<size]))
    }
    info.pointee.size = UInt32(size)
  }
  table.pointee.stop_requested = { TestTask.alive($0, "stop_requested")?.stop ?? 1 }
  table.pointee.progress = { TestTask.alive($0, "progress")?.note(progress: $1, copied($2)) }
  table.pointee.set_result = { task, json in
    TestTask.alive(task, "set_result")?.take(result: bytes(json)) == true ? ROOST_OK : ROOST_FAILED
  }
  table.pointee.set_error = { task, error in
    if let error { TestTask.alive(task, "set_error")?.take(error: error.pointee) }
  }
  table.pointee.finish = { TestTask.alive($0, "finish")?.finish($1) }
  table.pointee.record = { task, json in
    guard let task = TestTask.alive(task, "record"), let json else { return ROOST_FAILED }
    json.pointee = task.record
    return ROOST_OK
  }
  table.pointee.extension = { _, _ in nil }
  table.pointee.add_executor = { registry, executor in
    guard let executor else { return ROOST_FAILED }
    return Registration.at(registry).add(copied(executor.pointee.name), executor.pointee)
  }
  table.pointee.add_callback = { registry, handler in
    guard let handler else { return ROOST_FAILED }
    return Registration.at(registry).add(copied(handler.pointee.name), handler.pointee, to: \.callbacks)
  }
  table.pointee.add_exception_handler = { registry, handler in
    guard let handler else { return ROOST_FAILED }
    return Registration.at(registry).add(copied(handler.pointee.name), handler.pointee, to: \.exceptionHandlers)
  }
}

/// What a plugin registered.
final class Registration {
  private(set) var executors: [String: roost_executor] = [:]
  var callbacks: [String: roost_handler] = [:]
  var exceptionHandlers: [String: roost_handler] = [:]

  static func at(_ pointer: OpaquePointer?) -> Registration {
    guard let pointer else { preconditionFailure("a registry of NULL") }
    return Unmanaged<Registration>.fromOpaque(UnsafeRawPointer(pointer)).takeUnretainedValue()
  }

  func add(_ name: String, _ executor: roost_executor) -> roost_status {
    guard executors[name] == nil, executor.size >= MemoryLayout<roost_executor>.size else { return ROOST_FAILED }
    executors[name] = executor
    return ROOST_OK
  }

  func add(
    _ name: String, _ handler: roost_handler, to kind: ReferenceWritableKeyPath<Registration, [String: roost_handler]>
  ) -> roost_status {
    guard self[keyPath: kind][name] == nil, handler.size >= MemoryLayout<roost_handler>.size else {
      return ROOST_FAILED
    }
    self[keyPath: kind][name] = handler
    return ROOST_OK
  }
}

func bytes(_ bytes: roost_bytes) -> [UInt8] {
  Array(UnsafeRawBufferPointer(start: bytes.data, count: Int(bytes.length)))
}

func copied(_ text: roost_bytes) -> String { String(decoding: bytes(text), as: UTF8.self) }

/// Bytes with an address, as the host lends them; overwritten when they go, so that a late reader is seen.
// @unchecked: written only in init and deinit.
final class LentBytes: @unchecked Sendable {
  private let buffer: UnsafeMutableRawBufferPointer

  init(_ bytes: [UInt8]) {
    buffer = .allocate(byteCount: bytes.count, alignment: 1)
    buffer.copyBytes(from: bytes)
  }

  convenience init(_ text: String) { self.init(Array(text.utf8)) }

  deinit {
    buffer.initializeMemory(as: UInt8.self, repeating: 0xDD)
    buffer.deallocate()
  }

  var lent: roost_bytes {
    roost_bytes(data: buffer.baseAddress?.assumingMemoryBound(to: CChar.self), length: UInt64(buffer.count))
  }
}
