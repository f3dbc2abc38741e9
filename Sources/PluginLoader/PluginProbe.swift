// SPDX-License-Identifier: Apache-2.0
package import PluginFiles
internal import TaskModel

/// What a plugin says of itself without settings.
package struct PluginDescription: Sendable, Equatable {
  /// As the plugin calls itself.
  package let name: String
  package let version: String
  package let toolchain: String
  package let path: String
  /// `sha256:` and the digest of what was loaded in hex.
  package let build: String
  package let exports: [PluginExport]
  package let warnings: [String]

  package var json: [UInt8] {
    var writer = JSONWriter()
    writer.beginObject()
    writer.member("name", name)
    writer.member("version", version)
    writer.member("toolchain", toolchain)
    writer.member("build", build)
    writer.member("path", path)
    writer.key("exports")
    writer.beginArray()
    for export in exports {
      writer.beginObject()
      writer.member("name", export.name)
      writer.member("kind", export.kind.rawValue)
      if let schema = export.paramsSchema {
        writer.key("paramsSchema")
        writer.raw(schema)
      }
      writer.endObject()
    }
    writer.endArray()
    if !warnings.isEmpty {
      writer.key("warnings")
      writer.beginArray()
      for warning in warnings { writer.string(warning) }
      writer.endArray()
    }
    writer.endObject()
    return writer.bytes
  }
}

/// Loads a plugin just to ask what it is.
package enum PluginProbe {
  /// Runs the plugin's constructors, entry and register_exports() in this process and keeps its code loaded: meant for a
  /// process that is thrown away.
  ///
  /// With `copy` that file is loaded, and everything names `path`.
  package static func inspect(
    path: String, name: String, copy: String? = nil
  ) throws(PluginError) -> PluginDescription {
    PluginDescription(try PluginLibrary(name: name, path: path, copy: copy))
  }
}

extension PluginDescription {
  package init(_ library: PluginLibrary) {
    name = library.pluginName
    version = library.version
    toolchain = library.toolchain
    path = library.path
    build = library.build
    exports = library.exports
    warnings = library.warnings
  }
}
