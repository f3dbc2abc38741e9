// SPDX-License-Identifier: Apache-2.0
internal import Glibc

/// A user that worker processes run as.
struct UserAccount: Sendable, Equatable {
  let id: uid_t
  let group: gid_t
  /// All groups, the primary one too.
  let groups: [gid_t]

  /// Most groups that Linux lets a process have.
  private static let groupLimit: Int32 = 65_536

  /// Looks the name up in the system's databases; nil when there is no such user.
  init?(name: String) {
    var entry = passwd()
    var found: UnsafeMutablePointer<passwd>?
    var texts = [CChar](repeating: 0, count: 1 << 16)
    guard getpwnam_r(name, &entry, &texts, texts.count, &found) == 0, found != nil else { return nil }
    id = entry.pw_uid
    group = entry.pw_gid
    var count: Int32 = 64
    var groups = [gid_t](repeating: 0, count: Int(count))
    if getgrouplist(name, entry.pw_gid, &groups, &count) < 0 {
      count = min(count, Self.groupLimit)
      groups = [gid_t](repeating: 0, count: Int(count))
      getgrouplist(name, entry.pw_gid, &groups, &count)
    }
    self.groups = Array(groups.prefix(Int(count)))
  }
}
