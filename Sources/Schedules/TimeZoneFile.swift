// SPDX-License-Identifier: Apache-2.0

/// A compiled zone in the format TZif, version 2 or later (RFC 8536).
struct TimeZoneFile {
  let firstOffset: Int64
  let transitions: [ZoneTransition]
  let rule: ZoneRule?

  /// Nil when the bytes are not a whole file of that format, or count leap seconds.
  init?(_ bytes: [UInt8]) {
    var reader = Reader(rest: bytes[...])
    // The first block has times of 32 bits, for readers that are older than version 2.
    guard let old = Header(&reader), old.version >= UInt8(ascii: "2"), reader.skip(old.size(ofTime: 4)) != nil,
      let header = Header(&reader), header.leapCount == 0, header.typeCount > 0
    else { return nil }
    var times: [Int64] = []
    for _ in 0..<header.timeCount {
      guard let time = reader.integer(8), time > times.last ?? .min else { return nil }
      times.append(time)
    }
    guard let kinds = reader.skip(header.timeCount) else { return nil }
    var offsets: [Int64] = []
    for _ in 0..<header.typeCount {
      guard let offset = reader.integer(4), reader.skip(2) != nil, abs(offset) < secondsPerDay + 3600 * 2 else {
        return nil
      }
      offsets.append(offset)
    }
    guard kinds.allSatisfy({ Int($0) < offsets.count }), reader.skip(header.sizeAfterTypes) != nil,
      let footer = reader.line()
    else { return nil }
    firstOffset = offsets[0]
    transitions = zip(times, kinds).map { ZoneTransition(at: $0, offset: offsets[Int($1)]) }
    rule = ZoneRule(footer)
    // An empty line says that nothing is known of later times; then the last offset stays.
    if rule == nil, !footer.isEmpty { return nil }
  }

  private struct Header {
    let version: UInt8
    let universalCount: Int
    let standardCount: Int
    let leapCount: Int
    let timeCount: Int
    let typeCount: Int
    let nameSize: Int

    init?(_ reader: inout Reader) {
      guard let start = reader.skip(20), start.starts(with: Array("TZif".utf8)),
        let universalCount = reader.count(), let standardCount = reader.count(), let leapCount = reader.count(),
        let timeCount = reader.count(), let typeCount = reader.count(), let nameSize = reader.count()
      else { return nil }
      version = start[start.startIndex + 4]
      self.universalCount = universalCount
      self.standardCount = standardCount
      self.leapCount = leapCount
      self.timeCount = timeCount
      self.typeCount = typeCount
      self.nameSize = nameSize
    }

    /// Bytes of the whole block.
    func size(ofTime size: Int) -> Int {
      timeCount * (size + 1) + typeCount * 6 + nameSize + leapCount * (size + 4) + standardCount + universalCount
    }

    /// Bytes between the types and the footer of a block without leap seconds.
    var sizeAfterTypes: Int { nameSize + standardCount + universalCount }
  }

  private struct Reader {
    var rest: ArraySlice<UInt8>

    mutating func skip(_ count: Int) -> ArraySlice<UInt8>? {
      guard count <= rest.count else { return nil }
      defer { rest = rest.dropFirst(count) }
      return rest.prefix(count)
    }

    /// A signed number, most significant byte first.
    mutating func integer(_ size: Int) -> Int64? {
      guard let bytes = skip(size) else { return nil }
      let bits = bytes.reduce(0) { $0 << 8 | UInt64($1) } << UInt64(64 - 8 * size)
      return Int64(bitPattern: bits) >> Int64(64 - 8 * size)
    }

    /// A number of things of which the file has room for.
    mutating func count() -> Int? {
      integer(4).flatMap { $0 >= 0 && $0 <= 1 << 20 ? Int($0) : nil }
    }

    /// What stands between two line feeds.
    mutating func line() -> ArraySlice<UInt8>? {
      guard skip(1) == [0x0a], let end = rest.firstIndex(of: 0x0a) else { return nil }
      return rest[..<end]
    }
  }
}
