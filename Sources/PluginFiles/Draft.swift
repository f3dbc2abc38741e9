// SPDX-License-Identifier: Apache-2.0
internal import Glibc

/// A copy under a name that nobody looks for, until it is whole; removed unless it was given its own.
///
/// Belongs to one thread.
final class Draft {
  /// Readable for workers that run as other users, writable for nobody.
  static let finalMode: mode_t = 0o444
  static let prefix = ".draft-"

  let descriptor: Int32
  let place: PluginPlace
  private let path: String
  private var isKept = false

  /// Makes an empty one in a directory, which must be one that nobody else can write to.
  init(in directory: String, _ place: PluginPlace) throws(PluginError) {
    try makeTree(directory, place)
    let path = Self.path(in: directory)
    let descriptor = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o600)
    guard descriptor >= 0 else { throw .notCopied(place, to: directory, reason: errorText(errno)) }
    self.path = path
    self.descriptor = descriptor
    self.place = place
    _ = try TrustedPath(place, at: path)
  }

  deinit {
    close(descriptor)
    if !isKept { unlink(path) }
  }

  static func path(in directory: String) -> String {
    "\(directory)/\(prefix)\(String(UInt64.random(in: .min ... .max), radix: 16))"
  }

  /// Copies what the file holds and returns its digest.
  func fill(from source: TrustedFile) throws(PluginError) -> String {
    guard let hash = SHA256() else { throw .notCopied(place, to: path, reason: errorText(errno)) }
    var isWritten = true
    let isRead = eachPiece(of: source.descriptor) { piece in
      hash.add(piece)
      isWritten = write(piece)
      return isWritten
    }
    guard isWritten else { throw .notCopied(place, to: path, reason: errorText(errno)) }
    guard isRead else { throw .unreadable(place, reason: errorText(errno)) }
    guard !source.hasChanged else { throw .changing(place) }
    return hash.finish()
  }

  /// Forces it to disk as it is to stay.
  func seal() throws(PluginError) {
    guard fchmod(descriptor, Self.finalMode) == 0, fsync(descriptor) == 0 else {
      throw .notCopied(place, to: path, reason: errorText(errno))
    }
  }

  /// Gives it its own name, in place of what may be there; false with errno set when that fails.
  func rename(to name: String) -> Bool {
    isKept = Glibc.rename(path, name) == 0
    return isKept
  }

  /// False with errno set when not all could be written.
  private func write(_ piece: UnsafeRawBufferPointer) -> Bool {
    var rest = piece[...]
    while !rest.isEmpty {
      let count = Glibc.write(descriptor, UnsafeRawBufferPointer(rebasing: rest).baseAddress, rest.count)
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { return false }
      rest = rest.dropFirst(count)
    }
    return true
  }
}
