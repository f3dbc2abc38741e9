// SPDX-License-Identifier: Apache-2.0

/// The name that was most likely meant by `word`, for "did you mean"; nil when none is near enough.
package func nearestName(to word: String, among names: some Sequence<String>) -> String? {
  let limit = max(1, min(3, word.unicodeScalars.count / 3))
  var best: (name: String, distance: Int)?
  for name in names.sorted() {
    let distance = editDistance(word.lowercased(), name.lowercased())
    if distance <= limit, distance < best?.distance ?? .max { best = (name, distance) }
  }
  if let best { return best.name }
  // A word that was left off early, as "warn" for "warning"; only when it can mean one thing.
  let longer = names.filter { word.utf8.count >= 3 && $0.lowercased().hasPrefix(word.lowercased()) }
  return longer.count == 1 ? longer.first : nil
}

/// `; did you mean "name"?`, to stand at the end of a message; empty when no name is near.
package func didYouMean(_ word: String, among names: some Sequence<String>) -> String {
  nearestName(to: word, among: names).map { "; did you mean \"\($0)\"?" } ?? ""
}

/// Insertions, deletions, replacements and swaps of neighbours between two words (optimal string alignment).
private func editDistance(_ a: String, _ b: String) -> Int {
  let a = Array(a.unicodeScalars)
  let b = Array(b.unicodeScalars)
  // A long word is nobody's typing error; the bound keeps a hostile one cheap.
  guard a.count <= 64, b.count <= 64 else { return .max }
  var beforeLast: [Int] = []
  var last = Array(0...b.count)
  for i in a.indices {
    var row = [i + 1]
    for j in b.indices {
      var cost = min(last[j + 1] + 1, row[j] + 1, last[j] + (a[i] == b[j] ? 0 : 1))
      if i > 0, j > 0, a[i] == b[j - 1], a[i - 1] == b[j] { cost = min(cost, beforeLast[j - 1] + 1) }
      row.append(cost)
    }
    (beforeLast, last) = (last, row)
  }
  return last[b.count]
}
