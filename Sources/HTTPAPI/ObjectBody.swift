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
    let object: Result<ObjectBody, Problem>
    do throws(JSONSyntaxError) {
      object = try body.withUnsafeBufferPointer { (buffer) throws(JSONSyntaxError) in
        let text = UnsafeBufferPointer(rebasing: buffer[range])
        var scanner = JSONScanner(text)
        let object = try Self.next(&scanner, over: text, of: body, from: range.lowerBound, shape)
        try scanner.end()
        return object
      }
    } catch {
      throw Problem(error)
    }
    self = try object.get()
  }

  /// Reads one of several values of a body: the one at which `scanner` stands, over `text`, which begins at `start`.
  ///
  /// A failure is a value that the shape does not allow; the scanner has passed it. What is not JSON is thrown.
  static func next(
    _ scanner: inout JSONScanner, over text: UnsafeBufferPointer<UInt8>, of body: [UInt8], from start: Int,
    _ shape: Shape
  ) throws(JSONSyntaxError) -> Result<ObjectBody, Problem> {
    let scan = try Scan(&scanner, text, start, shape)
    if let refusal = scan.refusal { return .failure(refusal) }
    return .success(ObjectBody(bytes: body, shape: shape, ranges: scan.ranges))
  }

  private init(bytes: [UInt8], shape: Shape, ranges: [Range<Int>?]) {
    self.bytes = bytes
    self.shape = shape
    self.ranges = ranges
  }

  /// Whether any member is there that stands in the shape at `index` or behind it.
  func hasMember(from index: Int) -> Bool { ranges[index...].contains { $0 != nil } }

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

  /// A string; nil when the member is missing or null.
  func optionalText(_ member: String) throws(Problem) -> String? {
    has(member) ? try text(member) : nil
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

  init(
    _ scanner: inout JSONScanner, _ text: UnsafeBufferPointer<UInt8>, _ start: Int, _ shape: ObjectBody.Shape
  ) throws(JSONSyntaxError) {
    ranges = Array(repeating: nil, count: shape.members.count)
    guard scanner.take(UInt8(ascii: "{")) else {
      _ = try scanner.value()
      refusal = Problem(.badRequest, "\(shape.name) is a JSON object; this is another value")
      return
    }
    var isFirst = true
    while !scanner.take(UInt8(ascii: "}")) {
      if !isFirst, !scanner.take(UInt8(ascii: ",")) { throw scanner.missing("\",\" or \"}\"", in: "an object") }
      isFirst = false
      guard scanner.peek() == UInt8(ascii: "\"") else {
        throw scanner.missing("a member name in quotes", in: "an object")
      }
      let name = JSONNode.unescaped(text[try scanner.string()])
      guard scanner.take(UInt8(ascii: ":")) else { throw scanner.missing("\":\"", in: "an object") }
      let value = try scanner.value()
      note(name, at: start + value.lowerBound..<start + value.upperBound, shape)
    }
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
  /// `wanted` does not come next.
  mutating func missing(_ wanted: String, in place: String) -> JSONSyntaxError {
    peek() == nil ? failure("the text ends inside \(place)") : failure("\(wanted) is missing")
  }
}
