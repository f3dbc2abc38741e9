// SPDX-License-Identifier: Apache-2.0
internal import Glibc

/// The parts of an ELF file that dlopen will trust, read with pread so that a file cut short meanwhile is an error, not SIGBUS.
struct ELFFile {
  struct Segment {
    let type: UInt32
    let offset, address, size: UInt64
  }

  let segments: [Segment]
  private let descriptor: Int32
  private let size: UInt64
  private let place: PluginPlace

  #if arch(x86_64)
    private static let machine: UInt16 = 62
  #elseif arch(arm64)
    private static let machine: UInt16 = 183
  #endif
  private static let loadable: UInt32 = 1
  private static let dynamic: UInt32 = 2

  /// Checks that this is a shared library of this machine and that all of it is there; the descriptor stays the caller's.
  init(_ descriptor: Int32, _ place: PluginPlace) throws(PluginError) {
    var status = stat()
    guard fstat(descriptor, &status) == 0 else { throw .unreadable(place, reason: errorText(errno)) }
    let size = UInt64(max(0, status.st_size))
    self.descriptor = descriptor
    self.size = size
    self.place = place
    let header = try Self.header(descriptor, size: size, place)
    segments = try Self.segments(header, descriptor, size: size, place)
    try Self.checkSections(header, descriptor, size: size, place)
    guard segments.contains(where: { $0.type == Self.loadable }),
      segments.contains(where: { $0.type == Self.dynamic })
    else { throw .notShared(place, found: "an ELF file without a dynamic segment") }
  }

  /// Tag and value of each entry in the dynamic segment, up to its end mark.
  func dynamicEntries() throws(PluginError) -> [(tag: UInt64, value: UInt64)] {
    guard let segment = segments.first(where: { $0.type == Self.dynamic }) else { return [] }
    let bytes = try read(segment.offset, segment.size)
    var entries: [(tag: UInt64, value: UInt64)] = []
    for start in stride(from: 0, through: bytes.count - 16, by: 16) {
      let tag = bytes.uint64(start)
      if tag == 0 { break }
      entries.append((tag, bytes.uint64(start + 8)))
    }
    return entries
  }

  /// The bytes that will lie at an address of the loaded file.
  func bytes(at address: UInt64, count: UInt64) throws(PluginError) -> [UInt8] {
    for segment in segments where segment.type == Self.loadable && address >= segment.address {
      let start = address - segment.address
      if start <= segment.size, count <= segment.size - start { return try read(segment.offset + start, count) }
    }
    throw .damaged(place, reason: "a table lies outside its segments")
  }

  private func read(_ offset: UInt64, _ count: UInt64) throws(PluginError) -> [UInt8] {
    try Self.read(descriptor, offset, count, size: size, place)
  }

  private static func read(
    _ descriptor: Int32, _ offset: UInt64, _ count: UInt64, size: UInt64, _ place: PluginPlace
  ) throws(PluginError) -> [UInt8] {
    try requireInside(offset, count, size: size, place)
    var failure: Int32 = 0
    let bytes = [UInt8](unsafeUninitializedCapacity: Int(count)) { buffer, filled in
      filled = 0
      while filled < Int(count) {
        let got = pread(
          descriptor, buffer.baseAddress.map { $0 + filled }, Int(count) - filled, off_t(offset) + off_t(filled))
        if got < 0, errno == EINTR { continue }
        if got < 0 { failure = errno }
        guard got > 0 else { return }
        filled += got
      }
    }
    guard failure == 0 else { throw .unreadable(place, reason: errorText(failure)) }
    guard bytes.count == Int(count) else {
      throw .truncated(place, size: offset + UInt64(bytes.count), needed: offset + count)
    }
    return bytes
  }

  private static func requireInside(
    _ offset: UInt64, _ count: UInt64, size: UInt64, _ place: PluginPlace
  ) throws(PluginError) {
    let (end, overflow) = offset.addingReportingOverflow(count)
    guard !overflow, end <= UInt64(Int64.max) else { throw .damaged(place, reason: "a table ends beyond any file") }
    guard end <= size else { throw .truncated(place, size: size, needed: end) }
  }

  private static func header(
    _ descriptor: Int32, size: UInt64, _ place: PluginPlace
  ) throws(PluginError) -> [UInt8] {
    guard size > 0 else { throw .truncated(place, size: 0, needed: 64) }
    let start = try read(descriptor, 0, min(size, 64), size: size, place)
    guard zip(start, [0x7f, UInt8(ascii: "E"), UInt8(ascii: "L"), UInt8(ascii: "F")]).allSatisfy({ $0 == $1 }) else {
      throw .notELF(place)
    }
    guard start.count == 64 else { throw .truncated(place, size: size, needed: 64) }
    let expected = name(ofMachine: machine)
    guard start[4] == 2 else { throw .architecture(place, found: "a 32-bit machine", expected: expected) }
    guard start[5] == 1 else { throw .architecture(place, found: "a big-endian machine", expected: expected) }
    guard start.uint16(18) == machine else {
      throw .architecture(place, found: name(ofMachine: start.uint16(18)), expected: expected)
    }
    switch start.uint16(16) {
    case 3: return start
    case 1: throw .notShared(place, found: "an object file")
    case 2: throw .notShared(place, found: "a program")
    case let type: throw .notShared(place, found: "an ELF file of type \(type)")
    }
  }

  private static func segments(
    _ header: [UInt8], _ descriptor: Int32, size: UInt64, _ place: PluginPlace
  ) throws(PluginError) -> [Segment] {
    let count = UInt64(header.uint16(56))
    guard count == 0 || header.uint16(54) == 56 else {
      throw .damaged(place, reason: "its program headers have an unknown size")
    }
    let table = try read(descriptor, header.uint64(32), count * 56, size: size, place)
    var segments: [Segment] = []
    for start in stride(from: 0, to: table.count, by: 56) {
      let segment = Segment(
        type: table.uint32(start), offset: table.uint64(start + 8), address: table.uint64(start + 16),
        size: table.uint64(start + 32))
      if segment.size > 0 { try requireInside(segment.offset, segment.size, size: size, place) }
      segments.append(segment)
    }
    return segments
  }

  /// Sections are not needed to load the file, but they end last, so a cut anywhere shows in them.
  private static func checkSections(
    _ header: [UInt8], _ descriptor: Int32, size: UInt64, _ place: PluginPlace
  ) throws(PluginError) {
    let offset = header.uint64(40)
    guard offset != 0 else { return }
    guard header.uint16(58) == 64 else {
      throw .damaged(place, reason: "its section headers have an unknown size")
    }
    var count = UInt64(header.uint16(60))
    // More than 65,279 sections: the number stands in the first.
    if count == 0 { count = try read(descriptor, offset, 64, size: size, place).uint64(32) }
    let (bytes, overflow) = count.multipliedReportingOverflow(by: 64)
    guard !overflow else { throw .damaged(place, reason: "it has too many sections") }
    let table = try read(descriptor, offset, bytes, size: size, place)
    for start in stride(from: 64, to: table.count, by: 64) {
      let type = table.uint32(start + 4)
      // 0: unused, 8: takes no room in the file.
      guard type != 0, type != 8 else { continue }
      try requireInside(table.uint64(start + 24), table.uint64(start + 32), size: size, place)
    }
  }

  private static func name(ofMachine machine: UInt16) -> String {
    switch machine {
    case 3: "x86"
    case 21: "ppc64"
    case 22: "s390x"
    case 40: "arm"
    case 62: "x86_64"
    case 183: "aarch64"
    case 243: "riscv"
    default: "machine \(machine)"
    }
  }
}

extension [UInt8] {
  func uint16(_ offset: Int) -> UInt16 { loaded(offset) }
  func uint32(_ offset: Int) -> UInt32 { loaded(offset) }
  func uint64(_ offset: Int) -> UInt64 { loaded(offset) }

  private func loaded<T: FixedWidthInteger & BitwiseCopyable>(_ offset: Int) -> T {
    withUnsafeBytes { T(littleEndian: $0.loadUnaligned(fromByteOffset: offset, as: T.self)) }
  }
}
