// SPDX-License-Identifier: Apache-2.0
import Foundation

/// What the package built, found beside the running test bundle.
public enum BuildProducts {
  public static let directory: String = {
    let bundle =
      (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? CommandLine.arguments[0]
    return URL(fileURLWithPath: bundle).deletingLastPathComponent().path
  }()

  /// The command line tool.
  public static let roost = directory + "/roost"

  /// `lib<name>.so` of a plugin in `Plugins/`.
  public static func plugin(_ name: String) -> String { directory + "/lib\(name).so" }

  /// The top of the source tree.
  public static let sources = URL(fileURLWithPath: #filePath)
    .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent().path
}
