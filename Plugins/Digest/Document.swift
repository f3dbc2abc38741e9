// SPDX-License-Identifier: Apache-2.0

/// A text taken apart: its prose as sentences with their terms, and how often each term stands in all of it.
///
/// Headings, tables and fenced code of Markdown count as words, but are no sentences.
struct Document {
  struct Sentence {
    let text: String
    /// The sentence's terms as numbers into ``Document/terms``, in order, repeats included.
    let terms: [Int]
    let words: Int
    /// Whether a paragraph begins here.
    let opensParagraph: Bool
    /// Whether it ends with a mark, perhaps before closing quotes.
    var isComplete: Bool { SentenceSplitter.endsWithMark(text) }
  }

  private(set) var sentences: [Sentence] = []
  /// How many words the whole text has.
  private(set) var words = 0
  private(set) var terms = TermTable()

  /// Calls `step` now and then with the part that is done, 0 to 1; what it throws ends the work.
  init(_ text: String, step: (Double) throws -> Void) rethrows {
    var paragraphs = Paragraphs(text)
    let size = max(1, text.utf8.count)
    var seen = 0
    var nextStep = 0
    while let paragraph = paragraphs.next() {
      guard paragraph.isProse else {
        words += terms.words(in: paragraph.text, counting: false).words
        continue
      }
      var opens = true
      for sentence in SentenceSplitter(paragraph.text) {
        append(sentence, opensParagraph: opens)
        opens = false
        seen += sentence.utf8.count
        if seen >= nextStep {
          try step(min(1, Double(seen) / Double(size)))
          nextStep = seen + max(32_768, size / 50)
        }
      }
    }
  }

  private mutating func append(_ text: String, opensParagraph: Bool) {
    let found = terms.words(in: text, counting: true)
    words += found.words
    // What has no word, as a line of dashes, says nothing.
    guard found.words > 0 else { return }
    sentences.append(Sentence(text: text, terms: found.terms, words: found.words, opensParagraph: opensParagraph))
  }
}

/// The paragraphs of plain text or Markdown, one at a time.
struct Paragraphs {
  struct Paragraph {
    var text: String
    /// Not a heading, a table or code.
    var isProse: Bool
  }

  private var rest: Substring.UTF8View
  private var isCode = false
  /// A line that was read but belongs to the next paragraph.
  private var pending: Substring?

  init(_ text: String) {
    rest = text[...].utf8
  }

  mutating func next() -> Paragraph? {
    var gathered = ""
    while let line = nextLine() {
      let kind = isCode && !line.isFence ? Line.code : Line(line)
      switch kind {
      case .text(let text):
        Self.append(text, to: &gathered)
        continue
      case .item(let text) where gathered.isEmpty:
        gathered = String(text)
        continue
      case .code where gathered.isEmpty, .heading where gathered.isEmpty, .table where gathered.isEmpty:
        return Paragraph(text: String(line), isProse: false)
      case .item, .code, .heading, .table:
        pending = line
      case .fence:
        isCode.toggle()
      case .blank:
        break
      }
      if !gathered.isEmpty { break }
    }
    return gathered.isEmpty ? nil : Paragraph(text: gathered, isProse: true)
  }

  /// A line break is a space, but not between two letters of a script without spaces.
  private static func append(_ line: Substring, to text: inout String) {
    if let last = text.unicodeScalars.last, let next = line.unicodeScalars.first,
      !(last.isWrittenWithoutSpaces && next.isWrittenWithoutSpaces)
    {
      text += " "
    }
    text += line
  }

  private mutating func nextLine() -> Substring? {
    if let line = pending {
      pending = nil
      return line
    }
    guard !rest.isEmpty else { return nil }
    let end = rest.firstIndex { $0 == 0x0A || $0 == 0x0D } ?? rest.endIndex
    let line = Substring(rest[..<end])
    rest = end == rest.endIndex ? rest[end...] : rest[rest.index(after: end)...]
    // CR LF is one line break.
    if end < rest.startIndex, line.base.utf8[end] == 0x0D, rest.first == 0x0A { rest = rest.dropFirst() }
    return line
  }
}

/// What a line is in Markdown; plain text has only blank lines and text.
private enum Line {
  case blank, fence, code, heading, table
  case item(Substring)
  case text(Substring)

  init(_ line: Substring) {
    let trimmed = line.trimmed
    guard let first = trimmed.utf8.first else {
      self = .blank
      return
    }
    switch first {
    case UInt8(ascii: "`") where line.isFence, UInt8(ascii: "~") where line.isFence: self = .fence
    case UInt8(ascii: "#"): self = .heading
    case UInt8(ascii: "|"): self = .table
    case UInt8(ascii: "-"), UInt8(ascii: "*"), UInt8(ascii: "+"):
      self = trimmed.utf8.dropFirst().first == 0x20 ? .item(trimmed.dropFirst(2)) : .text(trimmed)
    default: self = .text(trimmed)
    }
  }
}

extension Substring {
  fileprivate var isFence: Bool { trimmed.hasPrefix("```") || trimmed.hasPrefix("~~~") }

  /// Without spaces and tabs at both ends, and without the ideographic space that opens Chinese paragraphs.
  fileprivate var trimmed: Substring {
    var scalars = unicodeScalars[...]
    while let first = scalars.first, first.properties.isWhitespace { scalars = scalars.dropFirst() }
    while let last = scalars.last, last.properties.isWhitespace { scalars = scalars.dropLast() }
    return Substring(scalars)
  }
}
