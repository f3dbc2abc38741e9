// SPDX-License-Identifier: Apache-2.0
internal import Glibc

/// The directory of one host under test, and the few things that are done with files.
enum BenchDirectory {
  /// Makes one for this user alone, below TMPDIR or /tmp.
  static func make() throws(CommandError) -> String {
    let parent = Terminal.environment("TMPDIR").flatMap { $0.hasPrefix("/") ? $0 : nil } ?? "/tmp"
    guard let template = strdup("\(parent)/roost-bench-XXXXXX") else { throw .failed("out of memory") }
    defer { free(template) }
    guard mkdtemp(template) != nil else {
      throw .failed("cannot make a directory in \(parent): \(String(cString: strerror(errno)))")
    }
    return String(cString: template)
  }

  static func write(_ bytes: [UInt8], to path: String) throws(CommandError) {
    // It may hold a password.
    let descriptor = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0o600)
    defer { close(descriptor) }
    guard descriptor >= 0, Glibc.write(descriptor, bytes, bytes.count) == bytes.count else {
      throw .failed("cannot write \(path): \(String(cString: strerror(errno)))")
    }
  }

  /// The text of a file; empty when it cannot be read.
  static func text(_ path: String) -> String {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return "" }
    defer { close(descriptor) }
    var text: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 1 << 14)
    while true {
      let count = read(descriptor, &buffer, buffer.count)
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { return String(decoding: text, as: UTF8.self) }
      text += buffer[..<count]
    }
  }

  /// Removes a directory with all in it.
  static func remove(_ path: String) {
    if let directory = opendir(path) {
      while let entry = readdir(directory) {
        let name = withUnsafePointer(to: &entry.pointee.d_name) {
          $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
        }
        guard name != ".", name != ".." else { continue }
        // Not every file system says which entries are directories; this refuses them.
        if unlink("\(path)/\(name)") != 0 { remove("\(path)/\(name)") }
      }
      closedir(directory)
    }
    rmdir(path)
  }
}
