// SPDX-License-Identifier: Apache-2.0
internal import TaskModel

/// A body that is a JSON object: one pass over the bytes finds its members, and nothing is made of values not asked for.
struct ObjectBody {
  /// Which members an object may have.
  struct Shape: Sendable {
    /// What the object is, for people.
    let name: String
    let members: [String]
    /// Members that cannot be used yet.
    var planned: [String] = []
  }

  private let bytes: [UInt8]
  private let shape: Shape
  /// Where the value of each of the shape's members stands.
  private let ranges: [Range<Int>?]

  /// Reads the whole body, or the value in `range`, which has been checked to be JSON.
  ///
  /// - Throws: a problem for what is not JSON, else for what is no object, else for the first member that is unknown or
  ///   stands twice.
  init(_ body: [UInt8], in range: Range<Int>? = nil, _ shape: Shape) throws(Problem) {
    let range = range ?? body.indices
    let scan: Scan
    do throws(JSONSyntaxError) {
      scan = try body.withUnsafeBufferPointer { (buffer) throws(JSONSyntaxError) in
        try Scan(UnsafeBufferPointer(rebasing: buffer[range]), shape)
      }
    } catch {
      throw Problem(error)
    }
    if let refusal = scan.refusal { throw refusal }
    bytes = body
    self.shape = shape
    ranges = scan.ranges.map { found in
      found.map { range.lowerBound + $0.lowerBound..<range.lowerBound + $0.upperBound }
    }
  }

  /// Where a member's value stands; nil when it is not there.
  func range(_ member: String) -> Range<Int>? {
    shape.members.firstIndex(of: member).flatMap { ranges[$0] }
  }

  /// The value's bytes as they were sent.
  func bytes(_ member: String) -> [UInt8]? {
    range(member).map { Array(bytes[$0]) }
  }

  /// Whether a member is there and something else than null.
  func has(_ member: String) -> Bool {
    range(member).map { bytes[$0.lowerBound] != UInt8(ascii: "n") } ?? false
  }

  /// A string; a problem when the member is missing or is something else.
  func text(_ member: String) throws(Problem) -> String {
    guard let range = range(member) else {
      throw Problem(.badRequest, "\(shape.name) needs the member \(quoted(member)), a string")
    }
    guard bytes[range.lowerBound] == UInt8(ascii: "\"") else {
      throw Problem(.badRequest, "\(quoted(member)) is not a string")
    }
    return bytes.withUnsafeBufferPointer { JSONNode.unescaped($0[range.dropFirst().dropLast()]) }
  }

  /// A whole number of 32 bits; nil when the member is missing.
  func integer(_ member: String) throws(Problem) -> Int32? {
    guard let range = range(member) else { return nil }
    guard let number = Int32(String(decoding: bytes[range], as: UTF8.self)) else {
      throw Problem(.badRequest, "\(quoted(member)) is not a whole number of 32 bits")
    }
    return number
  }

  /// The strings of an array, each once; a problem when the member is missing, something else, or has more than `limit`.
  func texts(_ member: String, limit: Int) throws(Problem) -> [String] {
    let mistake = Problem(.badRequest, "\(shape.name) needs the member \(quoted(member)), an array of strings")
    guard let range = range(member), bytes[range.lowerBound] == UInt8(ascii: "[") else { throw mistake }
    var texts: [String] = []
    var seen: Set<String> = []
    var count = 0
    let isRight = bytes.withUnsafeBufferPointer { buffer in
      let array = UnsafeBufferPointer(rebasing: buffer[range])
      var scanner = JSONScanner(array)
      _ = scanner.take(UInt8(ascii: "["))
      while !scanner.take(UInt8(ascii: "]")) {
        _ = scanner.take(UInt8(ascii: ","))
        guard scanner.peek() == UInt8(ascii: "\""), let string = try? scanner.string() else { return false }
        count += 1
        guard count <= limit else { continue }
        let text = JSONNode.unescaped(array[string])
        if seen.insert(text).inserted { texts.append(text) }
      }
      return true
    }
    guard isRight else { throw mistake }
    guard count <= limit else {
      throw Problem(
        .tooMany, "\(count) \(member) are more than the \(limit) that one request may have; ask in several requests",
        facts: [("limit", .number(limit))])
    }
    return texts
  }
}

/// The one pass: what stands where, and the first thing that the shape does not allow.
private struct Scan {
  var ranges: [Range<Int>?]
  var refusal: Problem?

  init(_ text: UnsafeBufferPointer<UInt8>, _ shape: ObjectBody.Shape) throws(JSONSyntaxError) {
    ranges = Array(repeating: nil, count: shape.members.count)
    var scanner = JSONScanner(text)
    guard scanner.take(UInt8(ascii: "{")) else {
      _ = try scanner.value()
      try scanner.end()
      refusal = Problem(.badRequest, "\(shape.name) is a JSON object; this is another value")
      return
    }
    var isFirst = true
    while !scanner.take(UInt8(ascii: "}")) {
      if !isFirst, !scanner.take(UInt8(ascii: ",")) { throw scanner.missing("\",\" or \"}\"") }
      isFirst = false
      guard scanner.peek() == UInt8(ascii: "\"") else { throw scanner.missing("a member name in quotes") }
      let name = JSONNode.unescaped(text[try scanner.string()])
      guard scanner.take(UInt8(ascii: ":")) else { throw scanner.missing("\":\"") }
      note(name, at: try scanner.value(), shape)
    }
    try scanner.end()
  }

  private mutating func note(_ name: String, at range: Range<Int>, _ shape: ObjectBody.Shape) {
    if let index = shape.members.firstIndex(of: name) {
      if ranges[index] != nil, refusal == nil {
        refusal = Problem(.badRequest, "the member \(quoted(name)) stands more than once; give it once")
      }
      ranges[index] = range
    } else if refusal == nil {
      let why =
        shape.planned.contains(name)
        ? "the member \(quoted(name)) is not supported yet; leave it out"
        : "\(shape.name) has no member \(quoted(name))\(didYouMean(name, among: shape.members + shape.planned))"
      refusal = Problem(.unknownField, why, facts: [("field", .text(name.prefixed(byBytes: 80)))])
    }
  }
}

extension JSONScanner {
  fileprivate mutating func missing(_ wanted: String) -> JSONSyntaxError {
    peek() == nil ? failure("the text ends inside an object") : failure("\(wanted) is missing")
  }
}
