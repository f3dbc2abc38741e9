// SPDX-License-Identifier: Apache-2.0
internal import Glibc

extension PluginStore {
  /// Seconds after which a draft belongs to a process that died while it wrote it.
  private static let draftAge = 3600

  /// Removes every copy but those of the given digests; who has one loaded keeps it.
  ///
  /// Meant for a directory that one host uses alone. A worker that is to be started again needs its copies still.
  package func removeAll(except digests: Set<String>) {
    for name in Self.entries(of: directory) {
      let path = "\(directory)/\(name)"
      let isCopy = name.utf8.count == 64 && !digests.contains(name)
      if isCopy || name.hasPrefix(Draft.prefix) && Self.age(of: path) > Self.draftAge { Self.remove(path) }
    }
  }

  private static func age(of path: String) -> Int {
    var status = stat()
    return lstat(path, &status) == 0 ? time(nil) - status.st_mtim.tv_sec : 0
  }

  /// Removes a file, a link or a directory with all that is in it, as far as it can be.
  private static func remove(_ path: String) {
    guard unlink(path) != 0, errno == EISDIR || errno == EPERM else { return }
    for name in entries(of: path) { remove("\(path)/\(name)") }
    rmdir(path)
  }

  private static func entries(of directory: String) -> [String] {
    guard let stream = opendir(directory) else { return [] }
    defer { closedir(stream) }
    var names: [String] = []
    while let entry = readdir(stream) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      if name != ".", name != ".." { names.append(name) }
    }
    return names
  }
}
