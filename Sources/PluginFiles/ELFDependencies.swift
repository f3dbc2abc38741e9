// SPDX-License-Identifier: Apache-2.0

/// The libraries that a shared library names as needed, and where its run path has them looked for from its own directory.
struct ELFDependencies {
  /// Names, as in `libcurl.so.4`.
  private(set) var needed: [String] = []
  /// What follows `$ORIGIN/` in the run path; empty: its own directory.
  private(set) var besides: [String] = []

  private enum Tag {
    static let needed: UInt64 = 1
    static let strings: UInt64 = 5
    static let stringsSize: UInt64 = 10
    static let oldRunPath: UInt64 = 15
    static let runPath: UInt64 = 29
  }

  init(of file: ELFFile) throws(PluginError) {
    let entries = try file.dynamicEntries()
    guard let table = entries.first(where: { $0.tag == Tag.strings }),
      let size = entries.first(where: { $0.tag == Tag.stringsSize })
    else { return }
    let strings = try file.bytes(at: table.value, count: size.value)
    func texts(_ tag: UInt64) -> [String] {
      entries.filter { $0.tag == tag && $0.value < UInt64(strings.count) }
        .map { String(decoding: strings[Int($0.value)...].prefix { $0 != 0 }, as: UTF8.self) }
    }
    needed = texts(Tag.needed).filter { !$0.isEmpty && !$0.utf8.contains(UInt8(ascii: "/")) }
    // As the dynamic linker does: the old one counts only where there is no new one.
    let paths = entries.contains { $0.tag == Tag.runPath } ? texts(Tag.runPath) : texts(Tag.oldRunPath)
    besides = paths.flatMap { $0.split(separator: ":") }.compactMap(Self.besideOrigin)
  }

  private static func besideOrigin(_ path: Substring) -> String? {
    for origin in ["$ORIGIN", "${ORIGIN}"] where path.hasPrefix(origin) {
      let rest = path.dropFirst(origin.count)
      // $LIB and $PLATFORM differ from one machine to the next; nobody keeps a plugin's own libraries under them.
      guard rest.isEmpty || rest.hasPrefix("/"), !rest.utf8.contains(UInt8(ascii: "$")) else { return nil }
      return String(rest.dropFirst())
    }
    return nil
  }
}
