// SPDX-License-Identifier: Apache-2.0
internal import Glibc

/// A regular file, open for reading, that nobody but root and the host's user can change or replace; belongs to one thread.
final class TrustedFile {
  let descriptor: Int32
  /// As it was when the file was opened.
  let status: stat
  /// Absolute, with all links followed.
  let resolvedPath: String
  /// Sentences about what its group may change.
  let warnings: [String]

  /// Opens the file at a path and checks it and every directory above it; errors are told of `place`.
  init(_ place: PluginPlace, at path: String) throws(PluginError) {
    let trusted = try TrustedPath(place, at: path)
    // Not blocking, because what stands there may be a pipe; no link, because all of them were followed.
    let descriptor = open(trusted.resolved, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | O_NOFOLLOW)
    guard descriptor >= 0 else { throw .unreadable(place, reason: errorText(errno)) }
    var status = stat()
    let failure = fstat(descriptor, &status) == 0 ? 0 : errno
    self.descriptor = descriptor
    self.status = status
    resolvedPath = trusted.resolved
    let groupMayWrite = status.st_mode & S_IWGRP != 0
    warnings =
      trusted.warnings + (groupMayWrite ? ["\(path) may be written to by its group \(status.st_gid)"] : [])

    // From here on the descriptor is closed whatever is thrown.
    guard failure == 0 else { throw .unreadable(place, reason: errorText(failure)) }
    try Self.checkKind(status, place)
    try Self.checkOwner(status, place, path)
  }

  deinit { close(descriptor) }

  /// Whether its content may be another one than when it was opened.
  var hasChanged: Bool {
    var now = stat()
    guard fstat(descriptor, &now) == 0 else { return true }
    return now.st_size != status.st_size || now.st_mtim.tv_sec != status.st_mtim.tv_sec
      || now.st_mtim.tv_nsec != status.st_mtim.tv_nsec
  }

  private static func checkKind(_ status: stat, _ place: PluginPlace) throws(PluginError) {
    switch status.st_mode & S_IFMT {
    case S_IFREG: return
    case S_IFDIR: throw .notFile(place, found: "a directory")
    case S_IFIFO: throw .notFile(place, found: "a pipe")
    case S_IFSOCK: throw .notFile(place, found: "a socket")
    default: throw .notFile(place, found: "a device")
    }
  }

  private static func checkOwner(_ status: stat, _ place: PluginPlace, _ path: String) throws(PluginError) {
    guard TrustedPath.isTrusted(status.st_uid) else {
      throw .permission(
        place, problem: "belongs to uid \(status.st_uid)", remedy: "give it to root or to uid \(geteuid())")
    }
    guard status.st_mode & S_IWOTH == 0 else {
      throw .permission(
        place, problem: "may be written to by others (mode \(TrustedPath.octal(status.st_mode)))",
        remedy: "chmod o-w \(path)")
    }
  }
}
