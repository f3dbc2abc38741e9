// SPDX-License-Identifier: Apache-2.0
internal import Glibc

/// A path on whose every step nobody but root and the host's user can put another file.
struct TrustedPath {
  /// Absolute, with all links followed.
  let resolved: String
  /// Sentences about directories that their group may write to.
  let warnings: [String]

  /// As many as the kernel follows.
  private static let linkLimit = 40

  /// Follows the path one step at a time, links included, and checks every directory that it passes.
  ///
  /// Errors are told of `place`.
  init(_ place: PluginPlace, at path: String) throws(PluginError) {
    guard !path.isEmpty, !path.utf8.contains(0) else {
      throw .notFound(place, missing: path)
    }
    var pending = Self.steps(of: Self.absolute(path))
    var done: [Substring] = []
    var warnings: [String] = []
    var links = 0
    while let step = pending.popLast() {
      if step == "." { continue }
      if step == ".." {
        _ = done.popLast()
        continue
      }
      let directory = "/" + done.joined(separator: "/")
      let path = directory == "/" ? "/\(step)" : "\(directory)/\(step)"
      let entry = try Self.status(of: path, place)
      if let warning = try Self.check(directory, holding: entry, place) { warnings.append(warning) }
      switch entry.st_mode & S_IFMT {
      case S_IFLNK:
        links += 1
        guard links <= Self.linkLimit else { throw .unreadable(place, reason: "too many symbolic links") }
        let target = try Self.target(of: path, place)
        if target.hasPrefix("/") { done = [] }
        pending += Self.steps(of: target)
      case S_IFDIR: done.append(step)
      default:
        guard pending.isEmpty else { throw .notFound(place, missing: "directory \(path)") }
        done.append(step)
      }
    }
    resolved = "/" + done.joined(separator: "/")
    var seen: Set<String> = []
    self.warnings = warnings.filter { seen.insert($0).inserted }
  }

  /// Whether the owner is one who may replace the plugin anyway.
  static func isTrusted(_ owner: uid_t) -> Bool { owner == 0 || owner == geteuid() }

  /// The permission bits as chmod takes them.
  static func octal(_ mode: mode_t) -> String { "0" + String(mode & 0o7777, radix: 8) }

  private static func check(
    _ directory: String, holding entry: stat, _ place: PluginPlace
  ) throws(PluginError) -> String? {
    let status = try status(of: directory, place)
    guard isTrusted(status.st_uid) else {
      throw .permission(
        place, problem: "lies in \(directory), which belongs to uid \(status.st_uid)",
        remedy: "give the directory to root or to uid \(geteuid()), or put the plugin elsewhere")
    }
    let sticky = status.st_mode & S_ISVTX != 0
    if status.st_mode & S_IWOTH != 0, !(sticky && isTrusted(entry.st_uid)) {
      throw .permission(
        place, problem: "lies in \(directory), which others may write to (mode \(octal(status.st_mode)))",
        remedy: "chmod o-w \(directory), or put the plugin elsewhere")
    }
    guard status.st_mode & S_IWGRP != 0, !sticky else { return nil }
    return "\(directory) may be written to by its group \(status.st_gid)"
  }

  private static func status(of path: String, _ place: PluginPlace) throws(PluginError) -> stat {
    var status = stat()
    if lstat(path, &status) == 0 { return status }
    switch errno {
    case ENOENT, ENOTDIR: throw .notFound(place, missing: path)
    case let error: throw .unreadable(place, reason: "\(path): \(errorText(error))")
    }
  }

  private static func target(of link: String, _ place: PluginPlace) throws(PluginError) -> String {
    var buffer = [CChar](repeating: 0, count: Int(PATH_MAX))
    let count = readlink(link, &buffer, buffer.count)
    guard count >= 0 else { throw .unreadable(place, reason: "\(link): \(errorText(errno))") }
    return String(decoding: buffer.prefix(count).map(UInt8.init(bitPattern:)), as: UTF8.self)
  }

  private static func absolute(_ path: String) -> String {
    guard !path.hasPrefix("/") else { return path }
    var buffer = [CChar](repeating: 0, count: Int(PATH_MAX))
    guard getcwd(&buffer, buffer.count) != nil else { return "/" + path }
    return String(decoding: buffer.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self) + "/" + path
  }

  /// Last step first.
  private static func steps(of path: String) -> [Substring] { path.split(separator: "/").reversed() }
}

/// What the C library says about an errno.
func errorText(_ error: Int32) -> String {
  strerror(error).map { String(cString: $0) } ?? "error \(error)"
}
