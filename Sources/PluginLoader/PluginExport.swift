// SPDX-License-Identifier: Apache-2.0
internal import CRoost
package import TaskModel

/// Something that config may name as `PLUGIN/name`.
package struct PluginExport: Sendable, Equatable {
  package typealias Kind = PluginExportKind

  package let name: String
  package let kind: Kind
  /// JSON Schema of an executor's params, if it gave one.
  package let paramsSchema: [UInt8]?
}

/// An executor as the plugin registered it, copied.
///
/// Unchecked, because `data` is a pointer: the plugin's own, handed back and never followed.
struct RegisteredExecutor: @unchecked Sendable {
  let export: PluginExport
  let run: @convention(c) (UnsafeMutableRawPointer?, OpaquePointer?) -> roost_status
  let cancel: (@convention(c) (UnsafeMutableRawPointer?, OpaquePointer?) -> Void)?
  let data: UnsafeMutableRawPointer?
}

/// A callback or exception handler as the plugin registered it, copied.
///
/// Unchecked, because `data` is a pointer: the plugin's own, handed back and never followed.
struct RegisteredHandler: @unchecked Sendable {
  let export: PluginExport
  let handle: @convention(c) (UnsafeMutableRawPointer?, OpaquePointer?, UnsafePointer<roost_outcome>?) -> roost_status
  let data: UnsafeMutableRawPointer?
}
