// SPDX-License-Identifier: Apache-2.0
import Glibc

/// How much each sentence says of its document.
///
/// A sentence's weight is the mean frequency of its terms, so that long sentences do not win by length, times factors: opening
/// sentences count more, and very short and very long ones less. The choice is greedy: what chosen sentences have said counts
/// less from then on, so that a summary does not repeat itself.
struct Ranking {
  private let document: Document
  private let importance: [Double]

  init(of document: Document) {
    self.document = document
    // The logarithm keeps one term that stands everywhere from outweighing all others.
    importance = document.terms.counts.map { log(1 + Double($0)) }
  }

  /// The terms seen most, the first one most; among equals the one seen first; of a singular and its plural only the first.
  func keyTerms(_ limit: Int) -> [String] {
    let terms = document.terms
    let order = terms.counts.indices.sorted {
      (terms.counts[$1], $0) < (terms.counts[$0], $1)
    }
    var chosen: [String] = []
    for name in order.lazy.map({ terms.names[$0] })
    where !chosen.contains(where: { $0 + "s" == name || name + "s" == $0 }) {
      if chosen.count == limit { break }
      chosen.append(name)
    }
    return chosen
  }

  /// The indices of the `limit` best sentences, in the order of the text; `step` is called before each choice.
  func best(_ limit: Int, step: () throws -> Void) rethrows -> [Int] {
    var importance = importance
    let sentences = document.sentences
    var candidates = sentences.indices.map { (index: $0, weight: weight(of: $0, importance)) }
    candidates.sort { ($1.weight, $0.index) < ($0.weight, $1.index) }
    var chosen: [Int] = []
    var said = Set<String>()
    while chosen.count < limit {
      try step()
      guard let place = bestPlace(in: candidates, importance, said) else { break }
      let index = candidates.remove(at: place).index
      chosen.append(index)
      said.insert(sentences[index].text)
      for term in Set(sentences[index].terms) { importance[term] *= 0.4 }
    }
    return chosen.sorted()
  }

  /// The place of the sentence that weighs most now, which is seldom far from the top.
  private func bestPlace(
    in candidates: [(index: Int, weight: Double)], _ importance: [Double], _ said: Set<String>
  ) -> Int? {
    var best: Int?
    var bestWeight = -1.0
    for place in candidates.indices {
      // Weights only sink while sentences are chosen, so the first weight is an upper bound: nothing further down can be better.
      if candidates[place].weight <= bestWeight { break }
      let index = candidates[place].index
      guard !said.contains(document.sentences[index].text) else { continue }
      let weight = weight(of: index, importance)
      if weight > bestWeight {
        best = place
        bestWeight = weight
      }
    }
    return best
  }

  private func weight(of index: Int, _ importance: [Double]) -> Double {
    let sentence = document.sentences[index]
    guard !sentence.terms.isEmpty else { return 0 }
    let sum = sentence.terms.reduce(0) { $0 + importance[$1] }
    var weight = sum / Double(sentence.terms.count + 2)
    if index == 0 { weight *= 1.25 }
    if sentence.opensParagraph { weight *= 1.1 }
    // A title or a fragment.
    if !sentence.isComplete { weight *= 0.6 }
    switch sentence.words {
    case ..<6: weight *= 0.5
    case 60...: weight *= 0.6
    default: break
    }
    return weight
  }
}
