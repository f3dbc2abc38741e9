// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import TaskModel

extension TimeZoneRules {
  /// Where zones are when the variable `TZDIR` does not say otherwise.
  package static let standardDirectory = "/usr/share/zoneinfo"

  /// Reads a zone by its name in the IANA database; `UTC` needs no file.
  package static func load(
    _ name: String, directory: String = standardDirectory
  ) throws(TimeZoneError) -> TimeZoneRules {
    if name == utc.name { return utc }
    guard isZoneName(name), let bytes = contents(of: "\(directory)/\(name)") else {
      let known = names(in: directory)
      if known.isEmpty { throw .notInstalled(directory: directory) }
      throw .unknown(nearest: nearestZone(to: name, among: known))
    }
    guard let file = TimeZoneFile(bytes) else { throw .damaged(path: "\(directory)/\(name)") }
    return TimeZoneRules(
      name: name, firstOffset: file.firstOffset, transitions: file.transitions, rule: file.rule)
  }
}

/// Why there is no zone of a name.
package enum TimeZoneError: Error, Sendable, Equatable {
  /// `nearest` is the installed name that was most likely meant.
  case unknown(nearest: String?)
  /// There are no zones at all in the directory.
  case notInstalled(directory: String)
  case damaged(path: String)
}

/// Each part of a name starts with a capital; that leaves out other files, and every way out of the directory.
private func isZoneName(_ name: some StringProtocol) -> Bool {
  name.utf8.count <= 255
    && name.split(separator: "/", omittingEmptySubsequences: false).allSatisfy { part in
      guard let first = part.utf8.first, (0x41...0x5a).contains(first) else { return false }
      return part.utf8.allSatisfy {
        (0x41...0x5a).contains($0 & 0xdf) || (0x30...0x39).contains($0) || "_+-".utf8.contains($0)
      }
    }
}

/// A city may be written without its continent.
private func nearestZone(to name: String, among known: [String]) -> String? {
  let ending = "/\(name.lowercased())"
  return nearestName(to: name, among: known) ?? known.first { $0.lowercased().hasSuffix(ending) }
}

/// The names of all zones below a directory.
private func names(in directory: String, depth: Int = 3) -> [String] {
  guard depth > 0, let stream = opendir(directory) else { return [] }
  defer { closedir(stream) }
  var found: [String] = []
  while let entry = readdir(stream) {
    let name = withUnsafePointer(to: &entry.pointee.d_name) { name in
      name.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
    }
    guard isZoneName(name) else { continue }
    let inner = names(in: "\(directory)/\(name)", depth: depth - 1)
    found += inner.isEmpty ? [name] : inner.map { "\(name)/\($0)" }
  }
  return found.sorted()
}

/// The bytes of a regular file of at most 1 MiB; nil when there is none that can be read.
private func contents(of path: String) -> [UInt8]? {
  // A pipe must not make the host wait.
  let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
  guard descriptor >= 0 else { return nil }
  defer { close(descriptor) }
  var status = stat()
  guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { return nil }
  var bytes: [UInt8] = []
  var buffer = [UInt8](repeating: 0, count: 8192)
  while bytes.count <= 1 << 20 {
    let count = read(descriptor, &buffer, buffer.count)
    if count < 0, errno == EINTR { continue }
    guard count > 0 else { return count == 0 ? bytes : nil }
    bytes += buffer[..<count]
  }
  return nil
}
