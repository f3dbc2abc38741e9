// SPDX-License-Identifier: Apache-2.0
internal import PluginFiles
internal import CRoost
internal import Synchronization
internal import Threading
internal import TaskModel

/// What a plugin registers inside register_exports(), and the first thing that was wrong with it.
struct Registration: Sendable {
  private(set) var executors: [RegisteredExecutor] = []
  private(set) var handlers: [RegisteredHandler] = []
  private(set) var failure: PluginError?
  private let place: PluginPlace

  private struct Open: Sendable {
    let token: UInt
    var registration: Registration
  }

  // At most one is open, because register_exports() is called on the control thread only.
  private static let open = Lock<Open?>(nil)
  private static let lastToken = Atomic<UInt>(1 << 62)

  private init(_ place: PluginPlace) {
    self.place = place
  }

  var exports: [PluginExport] { executors.map(\.export) + handlers.map(\.export) }

  /// Lends `body` a registry that is alive until it returns, and gives back what was added; on the control thread.
  static func collect(_ place: PluginPlace, _ body: (OpaquePointer?) -> Void) -> Registration {
    let token = lastToken.add(1, ordering: .relaxed).newValue
    open.withLock { $0 = Open(token: token, registration: Registration(place)) }
    body(OpaquePointer(bitPattern: token))
    return open.withLock { open in
      defer { open = nil }
      return open?.registration ?? Registration(place)
    }
  }

  static func add(to registry: OpaquePointer?, executor: UnsafePointer<roost_executor>?) -> roost_status {
    add(to: registry, "add_executor") { $0.add(executor) }
  }

  static func add(
    to registry: OpaquePointer?, handler: UnsafePointer<roost_handler>?, _ kind: PluginExport.Kind
  ) -> roost_status {
    add(to: registry, kind == .callback ? "add_callback" : "add_exception_handler") { $0.add(handler, kind) }
  }

  private static func add(
    to registry: OpaquePointer?, _ function: StaticString, _ change: (inout Registration) -> PluginError?
  ) -> roost_status {
    let token = UInt(bitPattern: registry)
    let accepted: Bool? = open.withLock { open in
      guard var registration = open?.registration, open?.token == token else { return nil }
      let failure = change(&registration)
      if registration.failure == nil { registration.failure = failure }
      open?.registration = registration
      return failure == nil
    }
    if accepted == nil { HostContext.deadRegistry(in: function) }
    return accepted == true ? ROOST_OK : ROOST_FAILED
  }

  private mutating func add(_ executor: UnsafePointer<roost_executor>?) -> PluginError? {
    guard let executor else { return .registerFailed(place, reason: "add_executor() was called with NULL") }
    var sent = roost_executor()
    guard received(executor, least: LeastSize.executor, into: &sent) != nil else {
      return wrongSize("roost_executor", sentSize(executor), LeastSize.executor)
    }
    let name = sent.name.text(limit: 256)
    if let failure = check(name, .executor, hasFunction: sent.run != nil) { return failure }
    guard let run = sent.run else { return nil }
    let schema = sent.params_schema.copied()
    if !schema.isEmpty {
      do {
        try JSONScanner.validate(schema)
      } catch {
        return .registerFailed(place, reason: "the params_schema of executor \"\(name)\" is not JSON: \(error)")
      }
    }
    let export = PluginExport(name: name, kind: .executor, paramsSchema: schema.isEmpty ? nil : schema)
    executors.append(RegisteredExecutor(export: export, run: run, cancel: sent.cancel, data: sent.data))
    return nil
  }

  private mutating func add(_ handler: UnsafePointer<roost_handler>?, _ kind: PluginExport.Kind) -> PluginError? {
    guard let handler else { return .registerFailed(place, reason: "a \(kind.words) was added as NULL") }
    var sent = roost_handler()
    guard received(handler, least: LeastSize.handler, into: &sent) != nil else {
      return wrongSize("roost_handler", sentSize(handler), LeastSize.handler)
    }
    let name = sent.name.text(limit: 256)
    if let failure = check(name, kind, hasFunction: sent.handle != nil) { return failure }
    guard let handle = sent.handle else { return nil }
    let export = PluginExport(name: name, kind: kind, paramsSchema: nil)
    handlers.append(RegisteredHandler(export: export, handle: handle, data: sent.data))
    return nil
  }

  private func check(_ name: String, _ kind: PluginExport.Kind, hasFunction: Bool) -> PluginError? {
    guard isValidName(name) else {
      return .registerFailed(
        place, reason: "\"\(name)\" is no name for \(kind.words): 1 to 64 of letters, digits, \".\", \"_\", \"-\"")
    }
    guard hasFunction else {
      return .registerFailed(place, reason: "\(kind.words) \"\(name)\" has no function")
    }
    let isTaken = exports.contains { $0.kind == kind && $0.name == name }
    return isTaken ? .duplicateExport(place, kind: kind.words, name: name) : nil
  }

  private func wrongSize(_ type: String, _ size: UInt32, _ least: UInt32) -> PluginError {
    .registerFailed(place, reason: "a \(type) has size \(size), not \(least) or a larger multiple of 8")
  }
}
