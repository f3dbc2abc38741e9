// SPDX-License-Identifier: Apache-2.0

/// What an export of a plugin is.
package enum PluginExportKind: String, Sendable, CaseIterable {
  case executor
  case callback
  case exceptionHandler

  /// For sentences.
  package var words: String {
    switch self {
    case .executor: "executor"
    case .callback: "callback"
    case .exceptionHandler: "exception handler"
    }
  }
}
