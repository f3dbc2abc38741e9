// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import PluginFiles

/// Where a host keeps the copies of plugin files that its workers load: it alone, as long as it lives.
struct PluginDirectory: Sendable {
  let store: PluginStore
  /// Whether it goes with the host.
  private let isTemporary: Bool

  private static let prefix = "roost-plugins-"

  /// In the directory of the embedded Redis, which is the host's alone; without one, a new directory for temporary files.
  init(embedded: String?) throws(HostError) {
    isTemporary = embedded == nil
    if let embedded {
      store = PluginStore(directory: embedded + "/plugins")
      return
    }
    let parent = getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp"
    Self.removeLeftOvers(in: parent)
    // The pid says whether its host still lives.
    var template = Array("\(parent)/\(Self.prefix)\(getpid())-XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else {
      throw .system(
        "cannot make a directory for copies of plugins in \(parent); set TMPDIR to one that can be written to")
    }
    let path = String(decoding: template.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
    // Workers of other users read it too.
    chmod(path, 0o755)
    store = PluginStore(directory: path)
  }

  /// The host ends.
  func remove() {
    guard isTemporary else { return }
    store.removeAll(except: [])
    rmdir(store.directory)
  }

  /// Hosts that were killed could not clean up.
  private static func removeLeftOvers(in parent: String) {
    guard let stream = opendir(parent) else { return }
    defer { closedir(stream) }
    while let entry = readdir(stream) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      let path = "\(parent)/\(name)"
      var status = stat()
      guard name.hasPrefix(prefix), let pid = pid_t(name.dropFirst(prefix.count).prefix { $0 != "-" }), pid > 0,
        lstat(path, &status) == 0, status.st_mode & S_IFMT == S_IFDIR, status.st_uid == geteuid(),
        kill(pid, 0) != 0, errno == ESRCH
      else { continue }
      PluginStore(directory: path).removeAll(except: [])
      rmdir(path)
    }
  }
}
