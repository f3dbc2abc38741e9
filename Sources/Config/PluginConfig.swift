// SPDX-License-Identifier: Apache-2.0

/// `plugins.P`: one shared library under one name.
package struct PluginConfig: Sendable, Equatable {
  /// Absolute; whether there is a file is not known yet.
  package var path: String
  /// A JSON object for the plugin alone; it may hold secrets and is never shown.
  package var settings: [UInt8]
  /// The digest that the file must have, 64 lowercase hex digits; nil: any.
  package var sha256: String?
}

/// One export of one plugin, written `PLUGIN/EXPORT`.
package struct ExportRef: Sendable, Hashable, CustomStringConvertible {
  /// The name that config gives the plugin.
  package let plugin: String
  package let export: String

  package init(plugin: String, export: String) {
    self.plugin = plugin
    self.export = export
  }

  package var description: String { "\(plugin)/\(export)" }
}

extension PluginConfig {
  init(_ from: ConfigDecoder) {
    let file = from.requiredString("path", "write the path of the plugin's .so file") ?? ""
    path = from.report.absolute(file)
    settings = from.settings("settings")
    sha256 = from.digest("sha256")
  }
}

extension ConfigDecoder {
  /// A SHA-256 digest as sha256sum or `inspect` prints it; nil when absent or wrong.
  fileprivate func digest(_ key: String) -> String? {
    guard let text = string(key)?.lowercased() else { return nil }
    let digits = text.hasPrefix("sha256:") ? text.dropFirst(7) : text[...]
    let isDigest =
      digits.utf8.count == 64
      && digits.utf8.allSatisfy {
        (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains($0)
      }
    if !isDigest {
      refuse(key, "\(shown(key)) is not a SHA-256 digest; write its 64 hex digits, as sha256sum prints them")
    }
    return isDigest ? String(digits) : nil
  }
}
