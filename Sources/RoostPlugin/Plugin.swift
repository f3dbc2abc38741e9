// SPDX-License-Identifier: Apache-2.0
public import CRoost
internal import Synchronization

/// The host's table of functions, as the entry of a plugin is given it.
public typealias RoostHost = UnsafePointer<roost_host>

/// What the entry of a plugin answers; nil refuses to load.
public typealias RoostPluginDescriptor = UnsafePointer<roost_plugin>?

/// What a shared library offers: executors, callbacks and exception handlers under names that config binds to types.
///
/// ```swift
/// @c(roost_plugin_v1) public func plugin(_ host: RoostHost) -> RoostPluginDescriptor {
///   Plugin("article", version: "1.0.0") {
///     Executor("generate") { try GenerateArticle($0) }
///     Callback("log") { _ in LogOutcome() }
///   }.export(to: host)
/// }
/// ```
/// Listing the exports has no effect; the factories run once the host makes an instance with its settings.
public struct Plugin: Sendable {
  let name: String
  let version: String
  let exports: [Export]

  /// A plugin of that name, with a semantic version of its own.
  public init(_ name: String, version: String, @ExportBuilder exports: () -> [Export]) {
    self.name = name
    self.version = version
    self.exports = exports()
  }

  /// Hands the plugin to the host: what the library's entry returns.
  ///
  /// A library holds one plugin; the last one exported is what it registers and makes instances of.
  public func export(to host: RoostHost) -> RoostPluginDescriptor {
    guard host.pointee.size >= UInt32(MemoryLayout<roost_host>.size) else {
      refuse(
        host, "this host offers \(host.pointee.size) bytes of functions, ABI 1.0 has \(MemoryLayout<roost_host>.size)")
      return nil
    }
    exported.withLock { $0 = self }
    var descriptor = roost_plugin()
    descriptor.size = UInt32(MemoryLayout<roost_plugin>.size)
    descriptor.name = immortal(name)
    descriptor.version = immortal(version)
    descriptor.toolchain = immortal(toolchain)
    descriptor.register_exports = registerExports
    descriptor.create = createInstance
    descriptor.destroy = destroyInstance
    let place = UnsafeMutablePointer<roost_plugin>.allocate(capacity: 1)
    place.initialize(to: descriptor)
    return UnsafePointer(place)
  }

  private func refuse(_ host: RoostHost, _ why: String) {
    guard host.pointee.size >= UInt32(MemoryLayout<roost_host>.offset(of: \.task_info) ?? .max) else { return }
    withBytes(of: "plugin \"\(name)\": \(why)") { host.pointee.log(host, ROOST_LOG_ERROR, nil, $0) }
  }

  /// Tells the registry of every export; the first that the host does not take ends it.
  fileprivate func register(with host: RoostHost, in registry: OpaquePointer) -> roost_status {
    for (number, export) in exports.enumerated() {
      // The number comes back with each call; 1 for the first, because 0 would be a null pointer.
      let data = UnsafeMutableRawPointer(bitPattern: number + 1)
      let status = withBytes(of: export.name) { name in
        switch export.kind {
        case .executor: register(name, data, cancellable: export.cancellable, with: host, in: registry)
        case .callback: host.pointee.add_callback(registry, [handler(name, data)])
        case .exceptionHandler: host.pointee.add_exception_handler(registry, [handler(name, data)])
        }
      }
      guard status == ROOST_OK else { return status }
    }
    return ROOST_OK
  }

  private func register(
    _ name: roost_bytes, _ data: UnsafeMutableRawPointer?, cancellable: Bool, with host: RoostHost,
    in registry: OpaquePointer
  ) -> roost_status {
    var executor = roost_executor()
    executor.size = UInt32(MemoryLayout<roost_executor>.size)
    executor.name = name
    executor.run = runExecutor
    executor.cancel = cancellable ? cancelExecutor : nil
    executor.data = data
    return host.pointee.add_executor(registry, &executor)
  }

  private func handler(_ name: roost_bytes, _ data: UnsafeMutableRawPointer?) -> roost_handler {
    var handler = roost_handler()
    handler.size = UInt32(MemoryLayout<roost_handler>.size)
    handler.name = name
    handler.handle = callHandler
    handler.data = data
    return handler
  }
}

/// The plugin of this library; register_exports() and create() are told of no other.
private let exported = Mutex<Plugin?>(nil)

private let registerExports: @convention(c) (UnsafePointer<roost_host>?, OpaquePointer?) -> roost_status = {
  guard let host = $0, let registry = $1, let plugin = exported.withLock({ $0 }) else { return ROOST_FAILED }
  return plugin.register(with: host, in: registry)
}

private let createInstance:
  @convention(c) (
    UnsafePointer<roost_host>?, roost_bytes, UnsafeMutablePointer<UnsafeMutableRawPointer?>?,
    UnsafeMutablePointer<CChar>?, UInt32
  ) -> roost_status = { host, settings, place, message, capacity in
    guard let host, let place, let plugin = exported.withLock({ $0 }) else { return ROOST_FAILED }
    do throws(TaskRejection) {
      let instance = try PluginInstance(host: host, exports: plugin.exports, settings: RawJSON(copying: settings))
      place.pointee = Unmanaged.passRetained(instance).toOpaque()
      return ROOST_OK
    } catch {
      write(error.message, to: message, capacity: Int(capacity))
      return ROOST_REJECTED
    }
  }

private let destroyInstance: @convention(c) (UnsafeMutableRawPointer?) -> Void = {
  if let instance = $0 { Unmanaged<PluginInstance>.fromOpaque(instance).release() }
}

private let runExecutor: @convention(c) (UnsafeMutableRawPointer?, OpaquePointer?) -> roost_status = {
  guard let instance = $0, let task = $1 else { return ROOST_FAILED }
  return Unmanaged<PluginInstance>.fromOpaque(instance).takeUnretainedValue().run(task)
}

private let cancelExecutor: @convention(c) (UnsafeMutableRawPointer?, OpaquePointer?) -> Void = {
  guard let instance = $0, let task = $1 else { return }
  Unmanaged<PluginInstance>.fromOpaque(instance).takeUnretainedValue().cancel(task)
}

private let callHandler:
  @convention(c) (UnsafeMutableRawPointer?, OpaquePointer?, UnsafePointer<roost_outcome>?) -> roost_status = {
    guard let instance = $0, let task = $1, let outcome = $2 else { return ROOST_FAILED }
    return Unmanaged<PluginInstance>.fromOpaque(instance).takeUnretainedValue().handle(task, outcome.pointee)
  }

/// Text that is never freed, because what a descriptor says lives as long as the process.
private func immortal(_ text: String) -> roost_bytes {
  let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: text.utf8.count, alignment: 1)
  copy.copyBytes(from: text.utf8)
  return roost_bytes(lending: UnsafeRawBufferPointer(copy))
}

/// Copies as much text as fits with its NUL, never half a character.
private func write(_ text: String, to place: UnsafeMutablePointer<CChar>?, capacity: Int) {
  guard let place, capacity > 0 else { return }
  var length = 0
  for scalar in text.unicodeScalars {
    let bytes = Array(String(scalar).utf8)
    guard length + bytes.count < capacity else { break }
    for byte in bytes {
      place[length] = CChar(bitPattern: byte)
      length += 1
    }
  }
  place[length] = 0
}

private var toolchain: String {
  #if compiler(>=6.5)
    "swift-6.5"
  #elseif compiler(>=6.4)
    "swift-6.4"
  #else
    "swift-6.3"
  #endif
}
