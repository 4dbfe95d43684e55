/// Finds what somebody may have meant.
public enum Spelling {
  /// "did you mean …?", or the list of what there is when nothing is near.
  public static func hint(_ word: String, among known: [String]) -> String? {
    guard !known.isEmpty else { return nil }
    if let near = nearest(word, among: known) { return "did you mean \"\(near)\"?" }
    let shown = known.prefix(20).map { "\"\($0)\"" }.joined(separator: ", ")
    return "there is: \(shown)\(known.count > 20 ? ", …" : "")"
  }

  /// The nearest of the known words by edit distance, when it is near enough to be meant.
  public static func nearest(_ word: String, among known: [String]) -> String? {
    let lowered = Array(word.lowercased().unicodeScalars.prefix(100))
    var best: (distance: Int, word: String)?
    for candidate in known {
      let distance = editDistance(lowered, Array(candidate.lowercased().unicodeScalars.prefix(100)))
      if distance < best?.distance ?? .max { best = (distance, candidate) }
    }
    guard let best, best.distance <= max(2, lowered.count / 3), best.distance < best.word.count else {
      return nil
    }
    return best.word
  }

  /// Insertions, deletions, changes and swaps of neighbours that make one text of the other (optimal string
  /// alignment).
  static func editDistance<Element: Equatable>(_ left: [Element], _ right: [Element]) -> Int {
    guard !left.isEmpty, !right.isEmpty else { return max(left.count, right.count) }
    var beforeLast = [Int](repeating: 0, count: right.count + 1)
    var last = Array(0...right.count)
    for i in 1...left.count {
      var row = [i] + [Int](repeating: 0, count: right.count)
      for j in 1...right.count {
        let change = last[j - 1] + (left[i - 1] == right[j - 1] ? 0 : 1)
        row[j] = min(last[j] + 1, row[j - 1] + 1, change)
        if i > 1, j > 1, left[i - 1] == right[j - 2], left[i - 2] == right[j - 1] {
          row[j] = min(row[j], beforeLast[j - 2] + 1)
        }
      }
      beforeLast = last
      last = row
    }
    return last[right.count]
  }
}
