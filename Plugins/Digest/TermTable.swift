// SPDX-License-Identifier: Apache-2.0

/// Numbers for terms and how often each was seen; a term is a word that carries meaning, in lower case.
///
/// Scripts without spaces between words have no words to find without a dictionary: there, a term is two letters in a row.
struct TermTable {
  private(set) var names: [String] = []
  private(set) var counts: [Int] = []
  private var numbers: [String: Int] = [:]

  /// The words of a text and, if `counting`, the numbers of its terms, which are counted.
  mutating func words(in text: String, counting: Bool) -> (words: Int, terms: [Int]) {
    var words = 0
    var terms: [Int] = []
    var word = String.UnicodeScalarView()
    var before: Unicode.Scalar?

    func endWord(_ table: inout TermTable) {
      guard !word.isEmpty else { return }
      words += 1
      if counting, let term = table.term(word) { terms.append(term) }
      word.removeAll(keepingCapacity: true)
    }
    for scalar in text.unicodeScalars {
      if scalar.isWrittenWithoutSpaces {
        endWord(&self)
        words += 1
        if counting, let before { terms.append(count("\(before)\(scalar)")) }
        before = scalar
        continue
      }
      before = nil
      if scalar.isPartOfWord {
        word.append(scalar)
      } else if (scalar == "'" || scalar == "’" || scalar == "-"), !word.isEmpty {
        // Inside a word these belong to it; at its end they are taken off again.
        word.append(scalar)
      } else {
        endWord(&self)
      }
    }
    endWord(&self)
    return (words, terms)
  }

  /// The number of a word's term, or nil if the word says nothing by itself.
  private mutating func term(_ scalars: String.UnicodeScalarView) -> Int? {
    var trimmed = scalars[...]
    while let last = trimmed.last, !last.isPartOfWord { trimmed = trimmed.dropLast() }
    let word = String(Substring(trimmed)).lowercased()
    guard trimmed.count > 2 || !word.utf8.allSatisfy({ $0 < 0x80 }), !stopWords.contains(word) else { return nil }
    guard trimmed.contains(where: { $0.properties.isAlphabetic }) else { return nil }
    return count(word)
  }

  private mutating func count(_ term: String) -> Int {
    if let number = numbers[term] {
      counts[number] += 1
      return number
    }
    numbers[term] = names.count
    names.append(term)
    counts.append(1)
    return names.count - 1
  }
}

extension Unicode.Scalar {
  /// Letters, digits, and the marks that combine with them.
  fileprivate var isPartOfWord: Bool {
    if value < 0x80 {
      return (0x30...0x39).contains(value) || (0x41...0x5A).contains(value) || (0x61...0x7A).contains(value)
        || value == 0x5F
    }
    return properties.isAlphabetic || properties.numericType != nil || properties.generalCategory == .nonspacingMark
  }

  /// Chinese ideographs and Japanese kana.
  var isWrittenWithoutSpaces: Bool {
    switch value {
    case 0x3041...0x30FF, 0x3400...0x4DBF, 0x4E00...0x9FFF, 0xF900...0xFAFF, 0x20000...0x323AF: true
    default: false
    }
  }
}

/// Words that are frequent in every text of their language: English, German, French, Spanish.
private let stopWords = Set(
  """
  a about above after again against all also although always am an and any are aren't around as at be became because been
  before being below between both but by came can can't cannot could couldn't did didn't do does doesn't doing don't done
  down during each either else even ever every few first for from further get gets give given go goes got had hadn't has
  hasn't have haven't having he her here hers herself him himself his how however i if in instead into is isn't it it's its
  itself just keep kept last least less like made make makes many may me might more most much must my myself neither never
  next no none nor not nothing now of off often on once one only onto or other others otherwise our ours out over own per
  quite rather said same say says see seen several shall she should shouldn't since so some still such take than that that's
  the their theirs them themselves then there therefore these they they're this those though three through thus to together
  too two under until unless up upon us use used uses using very via was wasn't way we we're well were weren't what when
  where whether which while who whom whose why will with within without won't would wouldn't yes yet you you're your yours
  aber als am auch auf aus bei bin bis bist da das dass dein dem den der des dich die dies diese dieser dieses doch dort du
  durch ein eine einem einen einer eines er es euch für hat hatte hier ich ihm ihn ihr ihre im in ist ja kann kein keine
  mein mich mit muss nach nicht noch nur ob oder ohne sehr sein seine sich sie sind so über um und uns unser unter vom von
  vor war waren was wenn wer werden wie wieder wir wird wo zu zum zur zwar zwischen
  au aux avec ce ces cette dans de des du elle en est et eux il ils je la le les leur leurs lui mais même mes mon ne nos
  notre nous ou où par pas plus pour qu que qui sa sans se ses son sont sur ta te tes ton tu un une vos votre vous été être
  al como con cual cuando del desde donde el ella ellos entre era es esa ese eso esta este esto está están fue ha han hasta
  hay las lo los más me mi muy no nos o para pero por porque que quien se ser si sin sobre son su sus también te tiene todo
  un una uno y ya
  """.split { $0 == " " || $0 == "\n" }.map(String.init))
