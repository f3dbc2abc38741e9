// SPDX-License-Identifier: Apache-2.0
import Foundation

/// A folder of one test, removed when it goes; short, because socket paths end at 108 bytes.
public final class TemporaryDirectory: Sendable {
  public let path: String

  public init() throws {
    // As in every process of Roost: a peer that has gone is an error of write(), not a death.
    signal(SIGPIPE, SIG_IGN)
    path = "/tmp/roost-\(UInt32.random(in: .min ... .max))"
    try FileManager.default.createDirectory(
      atPath: path, withIntermediateDirectories: false, attributes: [.posixPermissions: 0o700])
  }

  deinit {
    try? FileManager.default.removeItem(atPath: path)
  }

  /// Writes a file below the folder and returns its path.
  @discardableResult
  public func write(_ name: String, _ text: String, mode: Int = 0o644) throws -> String {
    let file = path + "/" + name
    try text.write(toFile: file, atomically: false, encoding: .utf8)
    try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: file)
    return file
  }
}
