// SPDX-License-Identifier: Apache-2.0
internal import Glibc

/// The plugin whose executors the tasks of a measurement run.
enum EchoPlugin {
  private static let file = "libEcho.so"

  /// Where it is: at the given path, beside this program, or where it was installed with it.
  static func find(_ given: String?) throws(CommandError) -> String {
    let folder = programFolder
    let places = given.map { [$0] } ?? ["\(folder)/\(file)", "\(folder)/../lib/roost/\(file)"]
    for place in places {
      guard let path = realpath(place, nil) else { continue }
      defer { free(path) }
      return String(cString: path)
    }
    let how =
      given == nil
      ? "build it with swift build -c release --product Echo, or name it with --plugin" : "--plugin names nothing"
    throw .failed("the plugin to measure with is missing: there is no \(places.joined(separator: " and no ")); \(how)")
  }

  private static var programFolder: String {
    guard let path = realpath("/proc/self/exe", nil) else { return "." }
    defer { free(path) }
    let text = String(cString: path)
    return String(text[..<(text.lastIndex(of: "/") ?? text.startIndex)])
  }
}
