// SPDX-License-Identifier: Apache-2.0
internal import Glibc

/// A copy of a plugin file that nobody writes to any more, whatever becomes of the original.
package struct StoredPlugin: Sendable, Equatable {
  package let place: PluginPlace
  /// The path of the copy.
  package let copy: String
  /// 64 lowercase hex digits.
  package let digest: String
  /// Sentences about what is risky with the original but no reason to refuse it.
  package let warnings: [String]

  /// `sha256:` and the digest.
  package var build: String { "sha256:" + digest }
}

/// A directory of copies, each in a folder named by its digest: a new build always has a new path, and a file that is
/// overwritten in place hurts nobody who has it loaded.
///
/// Any number of threads and processes may add to one directory at once.
package struct PluginStore: Sendable {
  /// Absolute; made when the first copy is.
  package let directory: String

  package init(directory: String) {
    self.directory = directory
  }

  /// Checks a file as `PluginFile` does, and makes a copy of just what was checked unless there is one.
  ///
  /// `sha256` is the digest that it must have, 64 lowercase hex digits (nil: any).
  package func add(name: String, path: String, sha256: String? = nil) throws(PluginError) -> StoredPlugin {
    let place = PluginPlace(name: name, path: path)
    let source = try TrustedFile(place, at: path)
    // Most of what cannot be used shows here, before anything is written.
    _ = try PluginFile.checkContent(of: source.descriptor, place)
    let draft = try Draft(in: directory, place)
    let digest = try draft.fill(from: source)
    // The original may have changed since it was checked; nobody else has the draft.
    let file = try PluginFile.checkContent(of: draft.descriptor, place)
    try PluginFile.check(digest, expected: sha256, place)

    let steps = source.resolvedPath.split(separator: "/")
    let neighbours = try Neighbours(of: file, in: "/" + steps.dropLast().joined(separator: "/"), name)
    // So deep that what the plugin looks for above its own directory still lies in the folder of its digest.
    let levels = Array(repeating: "plugin", count: neighbours.height)
    let folder = ([directory, digest] + levels).joined(separator: "/")
    let copy = "\(folder)/\(steps.last ?? "plugin.so")"
    try keep(draft, as: copy, digest: digest, in: folder)
    for link in neighbours.links { try make(link, in: folder, place) }
    return StoredPlugin(
      place: place, copy: copy, digest: digest, warnings: source.warnings + neighbours.warnings)
  }

  /// Gives the draft its name, unless a good copy has it.
  private func keep(_ draft: Draft, as copy: String, digest: String, in folder: String) throws(PluginError) {
    if Self.isGood(copy, digest) { return }
    try draft.seal()
    // Somebody who removes old copies may take the folder away in between.
    for _ in 0..<10 {
      try makeTree(folder, draft.place)
      if draft.rename(to: copy) { return }
      guard errno == ENOENT else { break }
    }
    throw .notCopied(draft.place, to: copy, reason: errorText(errno))
  }

  /// Whether a copy is there and still what it was.
  private static func isGood(_ copy: String, _ digest: String) -> Bool {
    let descriptor = open(copy, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)
    guard descriptor >= 0 else { return false }
    defer { close(descriptor) }
    var status = stat()
    return fstat(descriptor, &status) == 0 && status.st_mode == S_IFREG | Draft.finalMode
      && TrustedPath.isTrusted(status.st_uid) && SHA256.hex(of: descriptor) == digest
  }

  private func make(_ link: Neighbours.Link, in folder: String, _ place: PluginPlace) throws(PluginError) {
    let path = "\(folder)/\(link.name)"
    var buffer = [CChar](repeating: 0, count: Int(PATH_MAX))
    let count = readlink(path, &buffer, buffer.count)
    if count >= 0, buffer[..<count].map(UInt8.init(bitPattern:)).elementsEqual(link.target.utf8) { return }
    try makeTree(String(path[..<(path.lastIndex(of: "/") ?? path.endIndex)]), place)
    // One file in two directories has one copy, whose links lead to where it was added from last.
    let draft = Draft.path(in: directory)
    guard symlink(link.target, draft) == 0, rename(draft, path) == 0 else {
      let error = errno
      unlink(draft)
      throw .notCopied(place, to: path, reason: errorText(error))
    }
  }
}

/// Makes a directory and those above it that are missing, such that everybody can read them whatever the umask is.
func makeTree(_ path: String, _ place: PluginPlace) throws(PluginError) {
  var made = ""
  for step in path.split(separator: "/") {
    made += "/\(step)"
    if mkdir(made, 0o755) == 0 {
      chmod(made, 0o755)
    } else if errno != EEXIST {
      // On a path that is there already, mkdir may have another reason to refuse.
      let error = errno
      guard access(made, F_OK) == 0 else { throw .notCopied(place, to: path, reason: errorText(error)) }
    }
  }
}
