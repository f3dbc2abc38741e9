// SPDX-License-Identifier: Apache-2.0
internal import Glibc

/// A `.so` that can be handed to dlopen, as far as that can be told without loading it.
package struct PluginFile: Sendable {
  /// The entry of the highest major version of the ABI that this host knows.
  package static let entry = "roost_plugin_v1"

  package let place: PluginPlace
  /// What is to be loaded: absolute, with all links followed.
  package let resolvedPath: String
  /// `sha256:` and the digest of the content in hex.
  package let build: String
  /// Sentences about what is risky but no reason to refuse.
  package let warnings: [String]

  /// Checks who may change the file, that it is a whole shared library of this machine, that it exports the entry, and that it
  /// has the digest (64 lowercase hex digits; nil: any).
  ///
  /// With `copy` that file is looked at, and errors are told of `path`. Reads the whole file; never maps it or runs any of
  /// it. May be called from any thread.
  package init(name: String, path: String, copy: String? = nil, sha256: String? = nil) throws(PluginError) {
    let place = PluginPlace(name: name, path: path)
    let file = try TrustedFile(place, at: copy ?? path)
    _ = try Self.checkContent(of: file.descriptor, place)
    guard let digest = SHA256.hex(of: file.descriptor) else { throw .unreadable(place, reason: errorText(errno)) }
    try Self.check(digest, expected: sha256, place)
    self.place = place
    resolvedPath = file.resolvedPath
    build = "sha256:" + digest
    warnings = file.warnings
  }

  /// Checks that an open file is a whole shared library of this machine and exports the entry.
  static func checkContent(of descriptor: Int32, _ place: PluginPlace) throws(PluginError) -> ELFFile {
    let file = try ELFFile(descriptor, place)
    let exports = try ELFExports(of: file, place)
    if exports.contains(entry) { return file }
    if exports.contains("roost_plugin_v2") {
      throw .abiTooNew(place, needs: "plugin ABI 2 (it exports roost_plugin_v2)", known: "1")
    }
    throw .noEntry(place, entry: entry, closest: exports.closest(to: entry))
  }

  static func check(_ digest: String, expected: String?, _ place: PluginPlace) throws(PluginError) {
    if let expected, digest != expected { throw .otherDigest(place, found: digest, expected: expected) }
  }
}
