extension StringProtocol {
  /// What follows the first occurrence of a text.
  func after(_ text: String) -> SubSequence? { firstRange(of: text).map { self[$0.upperBound...] } }

  /// Without spaces at both ends.
  var trimmed: String {
    var rest = self[...]
    while rest.first?.isWhitespace == true { rest.removeFirst() }
    while rest.last?.isWhitespace == true { rest.removeLast() }
    return String(rest)
  }
}

extension String {
  /// Whether the text has another in it, byte by byte: transcripts are long, and this is asked of each line many times.
  func holds(_ other: String) -> Bool {
    var (text, other) = (self, other)
    return text.withUTF8 { text in
      other.withUTF8 { other in
        guard let first = other.first else { return true }
        guard text.count >= other.count else { return false }
        for start in 0...(text.count - other.count) where text[start] == first {
          if (1..<other.count).allSatisfy({ text[start + $0] == other[$0] }) { return true }
        }
        return false
      }
    }
  }
}

/// Joins what the firmware and the boot loader wrote across the right edge of their screen.
struct Screen {
  private static let columns = 80
  private var row = ""

  /// A line, with the one before it when that filled its row.
  mutating func joined(_ line: String) -> String {
    let whole = row.count == Self.columns ? row + line : line
    row = line
    return whole
  }
}
