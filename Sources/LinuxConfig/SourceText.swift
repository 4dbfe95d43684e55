/// The pieces that line-oriented parsers share. Everything works on UTF-8 bytes: in Swift "\r\n" is one `Character`,
/// and a splitter by characters would not see the line end.

/// One line of a file, without its line end.
struct SourceLine {
  var number: Int
  var text: String
}

/// A run of characters without blanks, and where it starts.
struct SourceWord: Equatable {
  var text: String
  var column: Int
}

extension UInt8 {
  var isBlank: Bool { self == 0x20 || self == 0x09 }
  /// Space, tab, line feed, vertical tab, form feed, carriage return: C's `isspace`.
  var isSpace: Bool { self == 0x20 || (0x09...0x0D).contains(self) }
  var isDigit: Bool { (0x30...0x39).contains(self) }
  var isLetter: Bool { (0x41...0x5A).contains(self) || (0x61...0x7A).contains(self) }
  /// What a shell variable name may start with.
  var isNameStart: Bool { isLetter || self == 0x5F }
  /// What a shell variable name may go on with.
  var isNamePart: Bool { isNameStart || isDigit }
}

extension String {
  init(bytes: some Sequence<UInt8>) { self = String(decoding: Array(bytes), as: UTF8.self) }

  /// The lines of a text. A last line without a line end counts; a carriage return before a line end is not part of
  /// the line, and ``SourceText/carriageReturns(in:file:)`` says so once.
  var sourceLines: [SourceLine] {
    var lines: [SourceLine] = []
    let bytes = utf8
    var start = bytes.startIndex
    while start < bytes.endIndex {
      let end = bytes[start...].firstIndex(of: 0x0A) ?? bytes.endIndex
      var slice = bytes[start..<end]
      if slice.last == 0x0D { slice.removeLast() }
      lines.append(SourceLine(number: lines.count + 1, text: String(Substring(slice))))
      start = end == bytes.endIndex ? end : bytes.index(after: end)
    }
    return lines
  }

  /// The text without white space at both ends.
  var trimmed: String {
    let bytes = utf8
    guard let first = bytes.firstIndex(where: { !$0.isSpace }),
      let last = bytes.lastIndex(where: { !$0.isSpace })
    else { return "" }
    return String(Substring(bytes[first...last]))
  }

  /// The words between blanks, with the column each starts at.
  var words: [SourceWord] {
    var words: [SourceWord] = []
    var current: [UInt8] = []
    var start = 0
    var column = 0
    for byte in utf8 {
      column += 1
      if byte.isSpace {
        if !current.isEmpty { words.append(SourceWord(text: String(bytes: current), column: start)) }
        current.removeAll()
      } else {
        if current.isEmpty { start = column }
        current.append(byte)
      }
    }
    if !current.isEmpty { words.append(SourceWord(text: String(bytes: current), column: start)) }
    return words
  }

  /// The text before and after the first occurrence of a byte; `nil` when it is not there.
  func split(at byte: UInt8) -> (before: String, after: String)? {
    guard let index = utf8.firstIndex(of: byte) else { return nil }
    let next = utf8.index(after: index)
    return (String(Substring(utf8[..<index])), String(Substring(utf8[next...])))
  }

  /// Whether the text starts with an ASCII prefix, compared by byte.
  func starts(withBytes prefix: String) -> Bool { utf8.starts(with: prefix.utf8) }

  /// The text after a prefix; `nil` when it does not start with it.
  func dropping(prefix: String) -> String? {
    guard starts(withBytes: prefix) else { return nil }
    return String(Substring(utf8.dropFirst(prefix.utf8.count)))
  }

  /// The text before a suffix; `nil` when it does not end with it.
  func dropping(suffix: String) -> String? {
    guard utf8.reversed().starts(with: suffix.utf8.reversed()) else { return nil }
    return String(Substring(utf8.dropLast(suffix.utf8.count)))
  }

  /// The text without one pair of equal quotes around it.
  var unquoted: String {
    guard let first = utf8.first, first == 0x22 || first == 0x27, utf8.count >= 2, utf8.last == first else {
      return self
    }
    return String(Substring(utf8.dropFirst().dropLast()))
  }

  /// A decimal number of digits only, without sign; `nil` when it is none or does not fit.
  var decimal: Int? {
    guard !utf8.isEmpty, utf8.allSatisfy(\.isDigit) else { return nil }
    return Int(self)
  }

  /// Shortens what a message quotes, so that a damaged file does not print a megabyte.
  var quoted: String {
    let shown = utf8.count > 80 ? String(Substring(prefix(60))) + "…" : self
    return "'" + shown.map { $0 == "\n" ? "\\n" : $0 == "\0" ? "\\0" : String($0) }.joined() + "'"
  }
}

/// Helpers for messages about a text.
enum SourceText {
  /// One warning for a file with DOS line ends; most readers take the carriage return as part of the last word.
  static func carriageReturns(in text: String, file: String) -> [Problem] {
    var line = 1
    var previous: UInt8 = 0
    for byte in text.utf8 {
      if byte == 0x0A {
        if previous == 0x0D {
          return [
            Problem(
              .warning, file: file, line: line, message: "the line ends in a carriage return",
              hint: "DOS line ends; the program that reads this file may take \\r as part of the value")
          ]
        }
        line += 1
      }
      previous = byte
    }
    return []
  }

  /// The candidate nearest to a name, when it is near enough to be what was meant: up to two changes, one for a
  /// short name; a difference in case only counts as none.
  static func nearest(to name: String, among candidates: some Sequence<String>) -> String? {
    let lowered = name.lowercased()
    let allowed = name.utf8.count <= 4 ? 1 : 2
    var best: (name: String, distance: Int)?
    guard name.utf8.count <= 64 else { return nil }
    for candidate in candidates {
      let distance = distance(lowered, candidate.lowercased())
      if distance <= allowed, best.map({ distance < $0.distance }) ?? true { best = (candidate, distance) }
    }
    return best?.name
  }

  /// Levenshtein's distance in bytes.
  static func distance(_ left: String, _ right: String) -> Int {
    let left = Array(left.utf8)
    let right = Array(right.utf8)
    var row = Array(0...right.count)
    for (i, a) in left.enumerated() {
      var diagonal = row[0]
      row[0] = i + 1
      for (j, b) in right.enumerated() {
        let substituted = diagonal + (a == b ? 0 : 1)
        diagonal = row[j + 1]
        row[j + 1] = min(substituted, diagonal + 1, row[j] + 1)
      }
    }
    return row[right.count]
  }
}
