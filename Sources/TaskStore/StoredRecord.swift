// SPDX-License-Identifier: Apache-2.0
package import TaskModel

/// A record as it stands in Redis, read where it lies; the layout is drawn in Scripts/record.lua (offsets here count from 0).
package struct StoredRecord: Sendable {
  package static let format = UInt8(ascii: "1")
  static let headerSize = 90
  /// Params and results up to this size stand inside the record; larger ones in keys of their own, which scripts never read.
  package static let inlineLimit = 1024

  package enum State: UInt8, Sendable {
    case pending = 0x50, taken = 0x54, running = 0x52, detached = 0x44, scheduled = 0x53, completed = 0x43, failed =
      0x46
    case cancelled = 0x58

    /// The status that everybody sees.
    package var status: TaskStatus {
      switch self {
      case .pending, .taken: .pending
      case .running, .detached: .inProgress
      case .scheduled: .scheduled
      case .completed: .completed
      case .failed: .failed
      case .cancelled: .cancelled
      }
    }
  }

  package enum Flag: UInt8 {
    case cancelAsked = 1
    case watched = 2
    case progress = 4
    case log = 8
    case key = 16
    case expires = 32
    /// To run alone: it took a worker down, or may have.
    case alone = 64
  }

  private let bytes: [UInt8]

  /// Nil when this is no record of a format that this version reads.
  package init?(_ bytes: [UInt8]) {
    guard bytes.count >= Self.headerSize, bytes.first == Self.format else { return nil }
    self.bytes = bytes
    guard State(rawValue: byte(1)) != nil, outcomeStart + outcomeLength <= bytes.count else { return nil }
  }

  package var state: State { State(rawValue: byte(1)) ?? .pending }
  package var handlerPhase: HandlerPhase { HandlerPhase(rawValue: byte(2)) ?? .none }
  package var hasParamsKey: Bool { byte(4) & 1 != 0 }
  package var hasResultKey: Bool { byte(4) & 2 != 0 }
  package var attempts: Int { Int(integer(6, 2)) }
  package var maxAttempts: Int { Int(integer(8, 2)) }
  package var handlerAttempts: Int { Int(integer(10, 2)) }
  package var origin: UInt32 { UInt32(integer(12, 4)) }
  package var startedAt: Timestamp? { time(20) }
  package var finishedAt: Timestamp? { time(26) }
  /// Worker and take number: what a write of the worker must name to be accepted.
  package var fence: ArraySlice<UInt8> { slice(32, 12) }
  /// The take number of the fence.
  package var take: UInt32 { UInt32(integer(40, 4)) }
  package var priority: TaskPriority { TaskPriority(rawValue: byte(49)) ?? .normal }
  package var crashes: Int { Int(integer(52, 2)) }
  /// How often its worker was lost while it ran, for a reason that nobody knows.
  package var lostLeases: Int { Int(integer(54, 2)) }
  /// The take whose attempt is to end as timed out; 0: none.
  package var verdict: UInt32 { UInt32(integer(56, 4)) }
  package var createdAt: Timestamp { Timestamp(millis: Int64(integer(66, 6))) }
  package var dueAt: Timestamp? { time(72) }
  package var deadline: Timestamp? { time(78) }
  package var cancelRequestedAt: Timestamp? { time(84) }
  package func has(_ flag: Flag) -> Bool { byte(48) & flag.rawValue != 0 }

  package var type: String { String(decoding: typeBytes, as: UTF8.self) }
  var typeBytes: ArraySlice<UInt8> { slice(Self.headerSize, typeLength) }
  /// What few tasks have.
  package var extras: Extras { Extras(slice(Self.headerSize + typeLength, extrasLength)) }
  /// The params themselves, or their size as text when they have a key of their own.
  package var params: ArraySlice<UInt8> { slice(Self.headerSize + typeLength + extrasLength, paramsLength) }
  /// The result, the error, or name and size of the result when it has a key of its own.
  package var outcome: ArraySlice<UInt8> { slice(outcomeStart, outcomeLength) }
  /// The last error of the handler.
  package var note: ArraySlice<UInt8> { bytes[(outcomeStart + outcomeLength)...] }
  /// The name in the key of a result that has one.
  package var resultName: String {
    String(decoding: outcome.prefix { $0 != UInt8(ascii: " ") }, as: UTF8.self)
  }

  /// Bytes of those of the parts that have keys of their own.
  package func largeBytes(_ parts: TaskRecord.Parts) -> Int {
    func size(_ text: ArraySlice<UInt8>) -> Int {
      Int(String(decoding: text.split(separator: UInt8(ascii: " ")).last ?? [], as: UTF8.self)) ?? 0
    }
    return (hasParamsKey && parts.contains(.params) ? size(params) : 0)
      + (hasResultKey && parts.contains(.result) ? size(outcome) : 0)
  }

  private var typeLength: Int { Int(byte(50)) }
  private var paramsLength: Int { Int(integer(60, 4)) }
  private var extrasLength: Int { Int(integer(64, 2)) }
  private var outcomeLength: Int { Int(integer(16, 4)) }
  private var outcomeStart: Int { Self.headerSize + typeLength + extrasLength + paramsLength }

  /// Not retried by a user, and nothing is to be seen to when it ends but that those who wait for it are told.
  var isPlain: Bool { integer(44, 4) == 0 && byte(48) & ~Flag.watched.rawValue == 0 }
  /// What an outcome leaves as it is.
  var fenceToParams: ArraySlice<UInt8> { slice(32, outcomeStart - 32) }

  private func byte(_ offset: Int) -> UInt8 { bytes[offset] }
  private func slice(_ offset: Int, _ count: Int) -> ArraySlice<UInt8> { bytes[offset..<offset + count] }
  private func integer(_ offset: Int, _ size: Int) -> UInt64 {
    var value: UInt64 = 0
    for index in (0..<size).reversed() { value = value << 8 | UInt64(byte(offset + index)) }
    return value
  }
  private func time(_ offset: Int) -> Timestamp? {
    let millis = Int64(integer(offset, 6))
    return millis == 0 ? nil : Timestamp(millis: millis)
  }
}

extension StoredRecord {
  /// Appends the record of a new task; `maxAttempts` are those of its type.
  static func append(to bytes: inout [UInt8], _ submission: Submission, maxAttempts: Int, now: Timestamp) {
    let paramsInKey = needsKey(submission.params)
    let inline = paramsInKey ? Array(String(submission.params.count).utf8) : submission.params
    let extras = Extras(submission, now: now)
    let json = extras.json
    let due = submission.due?.time(from: now)
    var head = RecordHead()
    head.set(1, (due == nil ? State.pending : .scheduled).rawValue)
    head.set(4, paramsInKey ? 1 : 0)
    head.set(8, UInt64(min(maxAttempts, 65_535)), size: 2)
    head.set(48, extras.flags | (submission.isWatched ? Flag.watched.rawValue : 0))
    head.set(49, submission.priority.rawValue)
    head.set(50, UInt8(submission.type.utf8.count))
    head.set(60, UInt64(inline.count), size: 4)
    head.set(64, UInt64(json.count), size: 2)
    head.set(66, UInt64(now.millis), size: 6)
    head.set(72, UInt64(due?.millis ?? 0), size: 6)
    head.append(StoredRecord.headerSize, to: &bytes)
    bytes.append(contentsOf: submission.type.utf8)
    bytes.append(contentsOf: json)
    bytes.append(contentsOf: inline)
  }

  /// Whether params or a result of this size get a key of their own.
  package static func needsKey(_ body: [UInt8]) -> Bool { body.count > inlineLimit }
}

/// The fixed part of a record, filled in place and appended at once; zeros but for what every record begins with.
struct RecordHead {
  private var bytes = InlineArray<90, UInt8>(repeating: 0)

  init() {
    bytes[0] = StoredRecord.format
    bytes[2] = HandlerPhase.none.rawValue
    bytes[3] = UInt8(ascii: "0")
  }

  mutating func set(_ offset: Int, _ value: UInt8) { bytes[offset] = value }

  /// Writes the low `size` bytes, lowest first.
  mutating func set(_ offset: Int, _ value: UInt64, size: Int) {
    for index in 0..<size { bytes[offset + index] = UInt8(truncatingIfNeeded: value >> UInt64(index * 8)) }
  }

  /// Appends the first `count` bytes.
  func append(_ count: Int, to array: inout [UInt8]) {
    withUnsafeBytes(of: bytes) { array.append(contentsOf: $0[..<count]) }
  }
}

extension [UInt8] {
  /// Appends the low `size` bytes, lowest first.
  mutating func appendInteger(_ value: UInt64, size: Int) {
    for index in 0..<size { append(UInt8(truncatingIfNeeded: value >> UInt64(index * 8))) }
  }
}
