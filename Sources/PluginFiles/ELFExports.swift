// SPDX-License-Identifier: Apache-2.0

/// The functions that dlsym would find in a file, read from the tables that the dynamic linker itself uses.
struct ELFExports {
  private let symbols: [UInt8]
  private let strings: [UInt8]
  private let first: Int

  private enum Tag {
    static let hash: UInt64 = 4
    static let strings: UInt64 = 5
    static let symbols: UInt64 = 6
    static let stringsSize: UInt64 = 10
    static let gnuHash: UInt64 = 0x6fff_fef5
    static let flags: UInt64 = 0x6fff_fffb
  }
  private static let symbolSize = 24
  private static let programFlag: UInt64 = 0x0800_0000

  init(of file: ELFFile, _ place: PluginPlace) throws(PluginError) {
    let entries = try file.dynamicEntries()
    func value(_ tag: UInt64) -> UInt64? { entries.first { $0.tag == tag }?.value }
    if let flags = value(Tag.flags), flags & Self.programFlag != 0 {
      throw .notShared(place, found: "a position-independent program")
    }
    guard let symbolTable = value(Tag.symbols), let stringTable = value(Tag.strings),
      let stringsSize = value(Tag.stringsSize)
    else { throw .damaged(place, reason: "it has no table of symbols") }
    let range: Range<UInt64>
    if let table = value(Tag.gnuHash) {
      range = try Self.gnuRange(file, table)
    } else if let table = value(Tag.hash) {
      range = 0..<UInt64(try file.bytes(at: table, count: 8).uint32(4))
    } else {
      throw .damaged(place, reason: "it has no hash table of symbols")
    }
    first = Int(range.lowerBound)
    symbols = try file.bytes(at: symbolTable, count: range.upperBound * UInt64(Self.symbolSize))
    strings = try file.bytes(at: stringTable, count: stringsSize)
  }

  func contains(_ name: String) -> Bool {
    let wanted = Array(name.utf8)
    return indices.contains { isExported($0) && self.name($0).elementsEqual(wanted) }
  }

  /// The exported name that differs from `name` by the fewest letters, if one is near at all.
  func closest(to name: String) -> String? {
    let wanted = Array(name.utf8)
    var best: (name: String, distance: Int)?
    for index in indices where isExported(index) {
      let candidate = Array(self.name(index))
      guard candidate.count <= 2 * wanted.count else { continue }
      let distance = editDistance(candidate, wanted)
      if distance <= wanted.count / 2, distance < best?.distance ?? .max {
        best = (String(decoding: candidate, as: UTF8.self), distance)
      }
    }
    return best?.name
  }

  private var indices: Range<Int> { min(first, symbols.count / Self.symbolSize)..<symbols.count / Self.symbolSize }

  private func isExported(_ index: Int) -> Bool {
    let start = index * Self.symbolSize
    let type = symbols[start + 4] & 15
    let isBound = [1, 2, 10].contains(symbols[start + 4] >> 4)
    let isVisible = symbols[start + 5] & 3 == 0 || symbols[start + 5] & 3 == 3
    // Untyped, function or indirect function; section 0 is "defined elsewhere".
    return [0, 2, 10].contains(type) && isBound && isVisible && symbols.uint16(start + 6) != 0
  }

  private func name(_ index: Int) -> ArraySlice<UInt8> {
    let start = Int(symbols.uint32(index * Self.symbolSize))
    guard start < strings.count else { return [] }
    return strings[start...].prefix { $0 != 0 }
  }

  /// The hash table knows no count: the last symbol is the end of the chain that starts last.
  private static func gnuRange(_ file: ELFFile, _ table: UInt64) throws(PluginError) -> Range<UInt64> {
    let header = try file.bytes(at: table, count: 16)
    let bucketCount = UInt64(header.uint32(0))
    let first = UInt64(header.uint32(4))
    // Wrapping, because a damaged file may say anything; bytes(at:) refuses what lies outside.
    let buckets = table &+ 16 &+ UInt64(header.uint32(8)) * 8
    let words = try file.bytes(at: buckets, count: bucketCount * 4)
    var last: UInt64 = 0
    for start in stride(from: 0, to: words.count, by: 4) { last = max(last, UInt64(words.uint32(start))) }
    guard last >= first, last > 0 else { return first..<first }
    let chains = buckets &+ bucketCount * 4
    while try file.bytes(at: chains &+ (last - first) * 4, count: 4).uint32(0) & 1 == 0 { last += 1 }
    return first..<last + 1
  }
}

/// Letters to insert, delete or replace until both are equal (Levenshtein).
func editDistance(_ a: [UInt8], _ b: [UInt8]) -> Int {
  var row = Array(0...b.count)
  for (i, letter) in a.enumerated() {
    var diagonal = row[0]
    row[0] = i + 1
    for j in b.indices {
      let replaced = diagonal + (letter == b[j] ? 0 : 1)
      diagonal = row[j + 1]
      row[j + 1] = min(replaced, diagonal + 1, row[j] + 1)
    }
  }
  return row[b.count]
}
