/// A pattern of `case`, `${x#…}` and file names: `*`, `?`, `[…]`; quoted characters stand for themselves.
struct ShellPattern: Hashable {
  enum Item: Hashable {
    case byte(UInt8)
    case one
    case any
    case set([ClosedRange<UInt8>], inverted: Bool)
    /// A stretch nobody knows.
    case unknown
  }

  var items: [Item] = []

  /// A pattern of pieces: text (`nil` for unknown) and whether it was quoted.
  init(_ pieces: [(text: String?, quoted: Bool)]) {
    // One run of bytes, each with a mark for "quoted", so that a bracket expression may span pieces.
    var bytes: [UInt8?] = []
    var quoted: [Bool] = []
    for piece in pieces {
      guard let text = piece.text else {
        bytes.append(nil)
        quoted.append(true)
        continue
      }
      bytes += text.utf8.map { $0 }
      quoted += Array(repeating: piece.quoted, count: text.utf8.count)
    }
    var at = 0
    while at < bytes.count {
      guard let byte = bytes[at] else {
        items.append(.unknown)
        at += 1
        continue
      }
      if !quoted[at], byte == 0x5C, at + 1 < bytes.count, let next = bytes[at + 1] {
        items.append(.byte(next))
        at += 2
        continue
      }
      switch byte {
      case 0x2A where !quoted[at]: if items.last != .any { items.append(.any) }
      case 0x3F where !quoted[at]: items.append(.one)
      case 0x5B where !quoted[at]:
        if let (set, end) = Self.bracket(bytes, quoted, from: at + 1) {
          items.append(set)
          at = end
          continue
        }
        items.append(.byte(byte))
      default: items.append(.byte(byte))
      }
      at += 1
    }
  }

  private static func bracket(_ bytes: [UInt8?], _ quoted: [Bool], from start: Int) -> (Item, Int)? {
    var at = start
    var inverted = false
    if at < bytes.count, bytes[at] == 0x21 || bytes[at] == 0x5E {
      inverted = true
      at += 1
    }
    let first = at
    var ranges: [ClosedRange<UInt8>] = []
    let classes: [String: [ClosedRange<UInt8>]] = [
      "digit": [0x30...0x39], "alpha": [0x41...0x5A, 0x61...0x7A], "upper": [0x41...0x5A],
      "lower": [0x61...0x7A], "space": [0x09...0x0D, 0x20...0x20], "blank": [0x09...0x09, 0x20...0x20],
      "alnum": [0x30...0x39, 0x41...0x5A, 0x61...0x7A],
    ]
    while at < bytes.count, let byte = bytes[at] {
      if byte == 0x5D, at > first, !quoted[at] { return (.set(ranges, inverted: inverted), at + 1) }
      if byte == 0x5B, at + 1 < bytes.count, bytes[at + 1] == 0x3A,
        let end = bytes[(at + 2)...].firstIndex(of: 0x3A), end + 1 < bytes.count, bytes[end + 1] == 0x5D,
        let ranged = classes[String(bytes: bytes[(at + 2)..<end].compactMap { $0 })]
      {
        ranges += ranged
        at = end + 2
        continue
      }
      if at + 2 < bytes.count, bytes[at + 1] == 0x2D, let last = bytes[at + 2], last != 0x5D {
        if byte <= last { ranges.append(byte...last) }
        at += 3
      } else {
        ranges.append(byte...byte)
        at += 1
      }
    }
    return nil
  }

  var hasUnknown: Bool { items.contains(.unknown) }

  /// Whether it can match anything but its own text.
  var isWild: Bool {
    items.contains {
      switch $0 {
      case .any, .one, .set: true
      case .byte, .unknown: false
      }
    }
  }

  /// The bytes before the first item that is not one.
  private var literalPrefix: [UInt8] {
    var prefix: [UInt8] = []
    for item in items {
      guard case .byte(let byte) = item else { break }
      prefix.append(byte)
    }
    return prefix
  }

  private static func matches(_ item: Item, _ byte: UInt8) -> Bool {
    switch item {
    case .byte(let wanted): wanted == byte
    case .one, .any, .unknown: true
    case .set(let ranges, let inverted): ranges.contains { $0.contains(byte) } != inverted
    }
  }

  /// Whether the whole text matches. Time is bounded by the product of both lengths.
  func matches(_ text: some Collection<UInt8>) -> Bool {
    var item = 0
    var star: (item: Int, at: Int)?
    let bytes = Array(text)
    var offset = 0
    while offset < bytes.count {
      if item < items.count, items[item] == .any {
        star = (item, offset)
        item += 1
      } else if item < items.count, Self.matches(items[item], bytes[offset]) {
        item += 1
        offset += 1
      } else if let last = star {
        star = (last.item, last.at + 1)
        item = last.item + 1
        offset = last.at + 1
      } else {
        return false
      }
    }
    return items[item...].allSatisfy { $0 == .any }
  }

  /// Whether a value matches a pattern; `nil` when it depends on what is not known.
  static func matches(_ value: ShellValue, _ pattern: ShellPattern) -> Bool? {
    if pattern.items == [.any] { return true }
    if let known = value.known, !pattern.hasUnknown { return pattern.matches(known.utf8) }
    let prefix = pattern.literalPrefix
    let start = Array(value.knownPrefix.utf8)
    let common = min(prefix.count, start.count)
    if prefix[..<common] != start[..<common] { return false }
    if pattern.items.count == prefix.count + 1, pattern.items.last == .any, start.count >= prefix.count {
      return true
    }
    return nil
  }

  /// The length of the shortest or longest prefix that matches; `nil` when none does.
  func prefixLength(of bytes: [UInt8], longest: Bool) -> Int? {
    let lengths = Array(0...bytes.count)
    return longest
      ? lengths.reversed().first { matches(bytes[..<$0]) } : lengths.first { matches(bytes[..<$0]) }
  }

  /// Where the shortest or longest suffix that matches starts; `nil` when none does.
  func suffixStart(of bytes: [UInt8], longest: Bool) -> Int? {
    let starts = Array(0...bytes.count)
    return longest
      ? starts.first { matches(bytes[$0...]) } : starts.reversed().first { matches(bytes[$0...]) }
  }
}

/// Patterns of file names, for those who list directories themselves.
public enum FileGlob {
  /// Whether a name matches a pattern of `*`, `?` and `[…]`, as `find -name` and `case` have them.
  public static func matches(_ name: String, _ pattern: String) -> Bool {
    ShellPattern([(pattern, false)]).matches(name.utf8)
  }
}
