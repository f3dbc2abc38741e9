// SPDX-License-Identifier: Apache-2.0

/// Finds where sentences end: after `. ! ? …` that are followed by a space and no lower case letter, and after `。！？`.
struct SentenceSplitter: Sequence, IteratorProtocol {
  private let scalars: [Unicode.Scalar]
  private var start = 0

  /// Splits one paragraph.
  init(_ paragraph: String) {
    scalars = Array(paragraph.unicodeScalars)
  }

  /// The next sentence, without the spaces around it.
  mutating func next() -> String? {
    while start < scalars.count {
      var position = start
      var end: Int?
      while end == nil, position < scalars.count {
        end = Self.endOfSentence(in: scalars, at: position)
        position += 1
      }
      let sentence = Self.trimmed(scalars[start..<(end ?? scalars.count)])
      start = end ?? scalars.count
      if !sentence.isEmpty { return sentence }
    }
    return nil
  }

  /// Whether the last mark of a sentence, closing quotes left aside, is one that ends sentences.
  static func endsWithMark(_ sentence: String) -> Bool {
    guard let last = sentence.unicodeScalars.last(where: { !isCloser($0) }) else { return false }
    return isMark(last) || isFullWidthMark(last)
  }

  private static func trimmed(_ scalars: ArraySlice<Unicode.Scalar>) -> String {
    var text = scalars
    while let first = text.first, first.properties.isWhitespace { text = text.dropFirst() }
    while let last = text.last, last.properties.isWhitespace { text = text.dropLast() }
    var sentence = String.UnicodeScalarView()
    sentence.append(contentsOf: text)
    return String(sentence)
  }

  /// One past the end of the sentence that the mark at `position` ends, closing quotes included; nil if it ends none.
  private static func endOfSentence(in scalars: [Unicode.Scalar], at position: Int) -> Int? {
    let mark = scalars[position]
    if isFullWidthMark(mark) { return skip(in: scalars, from: position + 1) { isFullWidthMark($0) || isCloser($0) } }
    guard isMark(mark) else { return nil }
    let end = skip(in: scalars, from: position + 1) { isMark($0) || isCloser($0) }
    guard end < scalars.count else { return end }
    guard scalars[end].properties.isWhitespace else { return nil }
    if mark == ".", end == position + 1, isAbbreviation(in: scalars, endingAt: position) { return nil }
    let next = skip(in: scalars, from: end) { $0.properties.isWhitespace || isOpener($0) }
    return next < scalars.count && scalars[next].properties.isLowercase ? nil : end
  }

  private static func skip(in scalars: [Unicode.Scalar], from start: Int, while holds: (Unicode.Scalar) -> Bool) -> Int
  {
    var position = start
    while position < scalars.count, holds(scalars[position]) { position += 1 }
    return position
  }

  private static func isMark(_ scalar: Unicode.Scalar) -> Bool {
    scalar == "." || scalar == "!" || scalar == "?" || scalar == "…" || scalar == "‽"
  }

  private static func isFullWidthMark(_ scalar: Unicode.Scalar) -> Bool {
    scalar == "。" || scalar == "！" || scalar == "？" || scalar == "｡" || scalar == "．"
  }

  private static func isCloser(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar {
    case "\"", "'", ")", "]", "}", "”", "’", "»", "」", "』", "）", "】", "》", "*", "_": true
    default: false
    }
  }

  private static func isOpener(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar {
    case "\"", "'", "(", "[", "“", "‘", "«", "*", "_": true
    default: false
    }
  }

  /// Whether the full stop belongs to the word before it, as in `Dr.`, `e.g.` and the initial `J.` of a name.
  private static func isAbbreviation(in scalars: [Unicode.Scalar], endingAt stop: Int) -> Bool {
    var start = stop
    while start > 0, scalars[start - 1].properties.isAlphabetic || scalars[start - 1] == "." { start -= 1 }
    let length = stop - start
    guard length > 0, length <= 6 else { return false }
    var word = ""
    for scalar in scalars[start..<stop] { word.unicodeScalars.append(scalar) }
    // An initial, but not the pronoun.
    if length == 1 { return scalars[start].properties.isUppercase && word != "I" }
    return abbreviations.contains(word.lowercased())
  }

  private static let abbreviations: Set<String> = [
    "mr", "mrs", "ms", "dr", "prof", "st", "sr", "jr", "rev", "hon", "gen", "col", "lt", "capt", "sgt", "gov", "sen",
    "rep", "e.g", "i.e", "cf", "vs", "viz", "al", "ca", "approx", "fig", "figs", "eq", "no", "nos", "vol", "ch", "sec",
    "pp", "ed", "eds", "inc", "ltd", "co", "corp", "dept", "est", "jan", "feb", "mar", "apr", "jun", "jul", "aug",
    "sep", "sept", "oct", "nov", "dec", "a.m", "p.m", "u.s", "u.k", "z.b", "d.h", "bzw", "usw", "nr", "hr", "fr", "mme",
    "p.ex", "art",
  ]
}
