// SPDX-License-Identifier: Apache-2.0
internal import Glibc

/// A `.so` that can be handed to dlopen, as far as that can be told without loading it.
package struct PluginFile: Sendable {
  /// The entry of the highest major version of the ABI that this host knows.
  package static let entry = "roost_plugin_v1"

  package let place: PluginPlace
  /// Absolute, with all links followed.
  package let resolvedPath: String
  /// `sha256:` and the digest of the content in hex.
  package let build: String
  /// Sentences about what is risky but no reason to refuse.
  package let warnings: [String]

  /// Checks who may change the file, that it is a whole shared library of this machine, and that it exports the entry.
  ///
  /// Reads the whole file; never maps it or runs any of it. May be called from any thread.
  package init(name: String, path: String) throws(PluginError) {
    let place = PluginPlace(name: name, path: path)
    let trusted = try TrustedPath(place)
    // Not blocking, because what stands there may be a pipe.
    let descriptor = open(trusted.resolved, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)
    guard descriptor >= 0 else { throw .unreadable(place, reason: errorText(errno)) }
    defer { close(descriptor) }

    var status = stat()
    guard fstat(descriptor, &status) == 0 else { throw .unreadable(place, reason: errorText(errno)) }
    try Self.checkKind(status, place)
    try Self.checkOwner(status, place)
    let file = try ELFFile(descriptor, size: UInt64(status.st_size), place)
    let exports = try ELFExports(of: file, place)
    guard exports.contains(Self.entry) else {
      if exports.contains("roost_plugin_v2") {
        throw .abiTooNew(place, needs: "plugin ABI 2 (it exports roost_plugin_v2)", known: "1")
      }
      throw .noEntry(place, entry: Self.entry, closest: exports.closest(to: Self.entry))
    }
    guard let digest = SHA256.hex(of: descriptor) else { throw .unreadable(place, reason: errorText(errno)) }

    self.place = place
    resolvedPath = trusted.resolved
    build = "sha256:" + digest
    let groupMayWrite = status.st_mode & S_IWGRP != 0
    warnings =
      trusted.warnings + (groupMayWrite ? ["\(path) may be written to by its group \(status.st_gid)"] : [])
  }

  private static func checkKind(_ status: stat, _ place: PluginPlace) throws(PluginError) {
    switch status.st_mode & S_IFMT {
    case S_IFREG: return
    case S_IFDIR: throw .notFile(place, found: "a directory")
    case S_IFIFO: throw .notFile(place, found: "a pipe")
    case S_IFSOCK: throw .notFile(place, found: "a socket")
    default: throw .notFile(place, found: "a device")
    }
  }

  private static func checkOwner(_ status: stat, _ place: PluginPlace) throws(PluginError) {
    guard TrustedPath.isTrusted(status.st_uid) else {
      throw .permission(
        place, problem: "belongs to uid \(status.st_uid)", remedy: "give it to root or to uid \(geteuid())")
    }
    guard status.st_mode & S_IWOTH == 0 else {
      throw .permission(
        place, problem: "may be written to by others (mode \(TrustedPath.octal(status.st_mode)))",
        remedy: "chmod o-w \(place.path)")
    }
  }
}
