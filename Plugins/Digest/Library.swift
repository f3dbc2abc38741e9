// SPDX-License-Identifier: Apache-2.0
import Glibc
import RoostPlugin

/// The files that may be read: those whose real path, after every link, lies below one of the roots.
struct Library: Sendable {
  /// A larger file is refused, because it is held in memory several times over.
  static let sizeLimit = 64 << 20

  /// O_PATH of Linux, which Swift's Glibc module does not show.
  private static let pinOnly: Int32 = 0o10000000

  private let roots: [String]

  init(roots: [String]) throws(TaskRejection) {
    guard !roots.isEmpty else { throw TaskRejection("settings.roots: empty, so that nothing could be read") }
    var resolved: [String] = []
    for root in roots {
      guard let real = realpath(root, nil) else {
        throw TaskRejection("settings.roots: \(root): \(Self.text(of: errno))")
      }
      defer { free(real) }
      resolved.append(String(cString: real))
    }
    self.roots = resolved
  }

  /// The whole file as text.
  ///
  /// The file is pinned first, without being opened, and its real path is asked of the kernel: what is read is what was checked,
  /// whatever happens to the links meanwhile, and no device or pipe outside the roots is touched.
  func text(at path: String) throws(TaskRejection) -> String {
    guard !path.utf8.contains(0) else { throw TaskRejection("params.path: contains a NUL character") }
    let pinned = open(path, Self.pinOnly | O_CLOEXEC)
    guard pinned >= 0 else { throw TaskRejection("params.path: \(path): \(Self.text(of: errno))") }
    defer { close(pinned) }
    let link = "/proc/self/fd/\(pinned)"
    guard let real = realPath(behind: link), isAllowed(real) else {
      throw TaskRejection("params.path: \(path) is outside the directories that this plugin may read (settings.roots)")
    }

    var status = stat()
    guard fstat(pinned, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
      throw TaskRejection("params.path: \(path) is not a file")
    }
    guard status.st_size <= Self.sizeLimit else {
      throw TaskRejection("params.path: \(path) has \(status.st_size) bytes, more than \(Self.sizeLimit)")
    }
    let descriptor = open(link, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw TaskRejection("params.path: \(path): \(Self.text(of: errno))") }
    defer { close(descriptor) }
    guard let text = String(validating: try read(descriptor, path), as: UTF8.self) else {
      throw TaskRejection("params.path: \(path) is not text: it is not UTF-8")
    }
    return text
  }

  private func isAllowed(_ real: String) -> Bool {
    roots.contains { root in
      root == "/" || real == root || real.utf8.starts(with: (root + "/").utf8)
    }
  }

  private func realPath(behind link: String) -> String? {
    withUnsafeTemporaryAllocation(byteCount: Int(PATH_MAX), alignment: 1) { buffer in
      guard let start = buffer.baseAddress else { return nil }
      let count = readlink(link, start, buffer.count)
      return count > 0 ? String(validating: buffer[..<count], as: UTF8.self) : nil
    }
  }

  /// Reads to the end, which may have moved since the size was asked for, but not beyond the limit.
  private func read(_ descriptor: Int32, _ path: String) throws(TaskRejection) -> [UInt8] {
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 1 << 20)
    while true {
      let count = Glibc.read(descriptor, &chunk, chunk.count)
      if count == 0 { return bytes }
      if count < 0 {
        if errno == EINTR { continue }
        throw TaskRejection("params.path: \(path): \(Self.text(of: errno))")
      }
      bytes.append(contentsOf: chunk[..<count])
      guard bytes.count <= Self.sizeLimit else {
        throw TaskRejection("params.path: \(path) has more than \(Self.sizeLimit) bytes")
      }
    }
  }

  private static func text(of error: Int32) -> String { String(cString: strerror(error)) }
}
