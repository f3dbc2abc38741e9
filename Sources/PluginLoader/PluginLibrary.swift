// SPDX-License-Identifier: Apache-2.0
package import PluginFiles
internal import CRoost
internal import Glibc
internal import Logging

/// A plugin's code, loaded for the life of the process, under one name of config.
///
/// Unchecked, because of `table`: a copy of the plugin's own, which never changes, of functions that may be called as
/// roost_plugin.h says.
package final class PluginLibrary: @unchecked Sendable {
  package let place: PluginPlace
  /// As the plugin calls itself.
  package let pluginName: String
  package let version: String
  package let toolchain: String
  /// `sha256:` and the digest of what is loaded in hex.
  package let build: String
  package let exports: [PluginExport]
  /// Sentences about what is risky but no reason to refuse.
  package let warnings: [String]

  let host: HostContext
  let table: roost_plugin
  let registration: Registration

  /// The name that config gives the plugin.
  package var name: String { place.name }
  package var path: String { place.path }

  /// Checks the file, loads it and asks it what it exports; with `copy` that one is loaded, and all messages name `path`.
  ///
  /// Its code is never unloaded, so a file that is replaced under its path gives this process the old code again: load
  /// new builds from new paths. `log` takes the plugin's lines that belong to no task (nil: the log of this process). May be called from any thread,
  /// several times for one file; waits for other [control thread] calls to end.
  package init(
    name: String, path: String, copy: String? = nil, log: PluginLog? = nil
  ) throws(PluginError) {
    let file = try PluginFile(name: name, path: path, copy: copy)
    let log = log ?? { level, message in Log.write(level, { message }, ["plugin": name]) }
    let loaded = try ControlThread.take { () throws(PluginError) -> Loaded in try Loaded(file, log) }
    place = file.place
    build = file.build
    warnings = file.warnings
    host = loaded.host
    table = loaded.table
    registration = loaded.registration
    exports = loaded.registration.exports
    pluginName = loaded.table.name.text(limit: 256)
    version = loaded.table.version.text(limit: 256)
    toolchain = loaded.table.toolchain.text(limit: 256)
  }

  /// Creates an instance with the settings, a JSON object (empty: `{}`), and starts it.
  ///
  /// May be called from any thread; waits for other [control thread] calls to end, and as long as the plugin likes.
  package func makeInstance(settings: [UInt8] = []) throws(PluginError) -> PluginInstance {
    try ControlThread.take { () throws(PluginError) -> PluginInstance in
      let pointer = try create(settings.isEmpty ? Array("{}".utf8) : settings)
      try start(pointer)
      return PluginInstance(pointer, of: self)
    }
  }

  private func create(_ settings: [UInt8]) throws(PluginError) -> UnsafeMutableRawPointer? {
    let lent = StableBytes(capacity: settings.count)
    let bytes = lent.append(settings)
    var instance: UnsafeMutableRawPointer?
    var message = MessageBuffer()
    let status = withExtendedLifetime(lent) {
      message.lend { table.create(host.table, bytes, &instance, $0, $1) }
    }
    switch status {
    case ROOST_OK: return instance
    case ROOST_REJECTED: throw .settingsRefused(place, reason: message.text)
    default: throw .createFailed(place, reason: message.text)
    }
  }

  private func start(_ instance: UnsafeMutableRawPointer?) throws(PluginError) {
    guard let start = table.start else { return }
    var message = MessageBuffer()
    guard message.lend({ start(instance, $0, $1) }) != ROOST_OK else { return }
    table.destroy?(instance)
    throw .startFailed(place, reason: message.text)
  }
}

/// Room for the reason that create() and start() write.
private struct MessageBuffer {
  private var bytes = [CChar](repeating: 0, count: 2048)

  mutating func lend(_ body: (UnsafeMutablePointer<CChar>?, UInt32) -> roost_status) -> roost_status {
    bytes.withUnsafeMutableBufferPointer { body($0.baseAddress, UInt32($0.count)) }
  }

  var text: String {
    let written = bytes.prefix { $0 != 0 }
    guard !written.isEmpty else { return "it did not say why" }
    return written.withUnsafeBytes { repaired($0, limit: textLimit) }
  }
}

/// The steps from a checked file to registered exports, on the control thread.
///
/// Unchecked, because it is handed on once and holds the immutable tables of host and plugin.
private struct Loaded: @unchecked Sendable {
  let host: HostContext
  let table: roost_plugin
  let registration: Registration

  init(_ file: PluginFile, _ log: @escaping PluginLog) throws(PluginError) {
    let entry = try Self.open(file)
    host = HostContext.make(name: file.place.name, log: log)
    table = try Self.table(entry, host, file.place)
    registration = try Self.register(table, host, file.place)
  }

  private static func open(_ file: PluginFile) throws(PluginError) -> roost_entry {
    let flags = RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE
    guard let library = dlopen(file.resolvedPath, flags) else {
      throw dlopenError(dlerror().map { String(cString: $0) } ?? "unknown reason", file)
    }
    guard let symbol = dlsym(library, PluginFile.entry) else {
      throw .noEntry(file.place, entry: PluginFile.entry, closest: nil)
    }
    // The name of the entry is its type: that is what roost_plugin.h fixes.
    return unsafeBitCast(symbol, to: roost_entry.self)
  }

  /// glibc says in English what went wrong; the text is all there is.
  private static func dlopenError(_ text: String, _ file: PluginFile) -> PluginError {
    // What is loaded may be a copy under a name that means nothing to people.
    let text = text.replacing(file.resolvedPath, with: file.place.path)
    let own = file.place.path + ": "
    let reason = text.hasPrefix(own) ? String(text.dropFirst(own.count)) : text
    if let symbol = reason.suffix(after: "undefined symbol: ") {
      let name = symbol.prefix { $0 != " " && $0 != "," }
      return .symbolUndefined(file.place, symbol: String(name))
    }
    if !text.hasPrefix(own), text.suffix(after: "cannot open shared object file") != nil {
      return .dependencyMissing(file.place, dependency: String(text.prefix { $0 != ":" }))
    }
    if text.suffix(after: "version `") != nil { return .dependencyMissing(file.place, dependency: text) }
    return .loadFailed(file.place, reason: reason)
  }

  private static func table(
    _ entry: roost_entry, _ host: HostContext, _ place: PluginPlace
  ) throws(PluginError) -> roost_plugin {
    guard let given = entry(host.table) else { throw .refused(place) }
    var table = roost_plugin()
    guard received(given, least: LeastSize.plugin, into: &table) != nil else {
      throw .descriptor(
        place, reason: "its size is \(sentSize(given)), not \(LeastSize.plugin) or a larger multiple of 8")
    }
    guard table.abi_minor <= ROOST_ABI_MINOR else {
      throw .abiTooNew(place, needs: "plugin ABI 1.\(table.abi_minor)", known: "1.\(ROOST_ABI_MINOR)")
    }
    guard table.register_exports != nil else { throw .descriptor(place, reason: "register_exports is NULL") }
    guard table.create != nil else { throw .descriptor(place, reason: "create is NULL") }
    return table
  }

  private static func register(
    _ table: roost_plugin, _ host: HostContext, _ place: PluginPlace
  ) throws(PluginError) -> Registration {
    var status = ROOST_OK
    let registration = Registration.collect(place) { registry in
      status = table.register_exports(host.table, registry)
    }
    if let failure = registration.failure { throw failure }
    guard status == ROOST_OK else {
      throw .registerFailed(place, reason: "register_exports() returned \(status)")
    }
    return registration
  }
}

extension String {
  /// What follows the first `mark`, if it is there.
  fileprivate func suffix(after mark: String) -> Substring? {
    guard let range = firstRange(of: mark) else { return nil }
    return self[range.upperBound...]
  }
}
