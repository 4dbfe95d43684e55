/// A POSIX regular expression with groups, as `sed` takes it, with GNU's additions (`\+`, `\?`, `\|`, `\s`, `\w`, `\b`, `\<`, `\>`).
///
/// Works on bytes. Of several matches at one place the first that the pattern's order gives is taken, which is the
/// longest but for alternatives that begin alike.
struct PosixRegex {
  private indirect enum Node {
    case byte(UInt8)
    case any
    case set([ClosedRange<UInt8>], inverted: Bool)
    case start, end, wordEdge, wordStart, wordEnd
    case group([[Node]], number: Int)
    case reference(Int)
    case repeated(Node, least: Int, most: Int)
  }

  /// Where a match and its groups lie; group 0 is the whole match.
  struct Match {
    var groups: [Range<Int>?]
    var whole: Range<Int> { groups[0] ?? 0..<0 }
  }

  private var branches: [[Node]] = []
  private(set) var groupCount = 0
  private let ignoresCase: Bool

  /// `nil` when the pattern is not understood.
  init?(_ pattern: String, isExtended: Bool, ignoresCase: Bool = false) {
    self.ignoresCase = ignoresCase
    var parser = Parser(bytes: Array(pattern.utf8), isExtended: isExtended)
    guard let branches = parser.branches(depth: 0), parser.at == parser.bytes.count else { return nil }
    self.branches = branches
    groupCount = parser.groups
  }

  // MARK: Reading

  private struct Parser {
    var bytes: [UInt8]
    var isExtended: Bool
    var at = 0
    var groups = 0

    /// Whether the next bytes are an operator: plain in extended expressions, after a backslash in basic ones.
    private func isOperator(_ byte: UInt8) -> Bool {
      if isExtended { return at < bytes.count && bytes[at] == byte }
      return at + 1 < bytes.count && bytes[at] == 0x5C && bytes[at + 1] == byte
    }
    private mutating func takeOperator(_ byte: UInt8) -> Bool {
      guard isOperator(byte) else { return false }
      at += isExtended ? 1 : 2
      return true
    }

    mutating func branches(depth: Int) -> [[Node]]? {
      guard depth < 32 else { return nil }
      var all: [[Node]] = [[]]
      while at < bytes.count {
        if depth > 0, isOperator(0x29) { return all }
        if takeOperator(0x7C) {
          all.append([])
          continue
        }
        let isFirst = all[all.count - 1].isEmpty
        guard let node = atom(isFirst: isFirst, depth: depth) else { return nil }
        guard let whole = repetition(of: node) else { return nil }
        all[all.count - 1].append(whole)
      }
      return depth == 0 ? all : nil
    }

    private mutating func atom(isFirst: Bool, depth: Int) -> Node? {
      if takeOperator(0x28) {
        groups += 1
        let number = groups
        guard let inner = branches(depth: depth + 1), takeOperator(0x29) else { return nil }
        return .group(inner, number: number)
      }
      let byte = bytes[at]
      at += 1
      switch byte {
      case 0x5E where isExtended || isFirst: return .start
      case 0x24 where isExtended || at == bytes.count || isOperator(0x29) || isOperator(0x7C): return .end
      case 0x2E: return .any
      case 0x5B: return bracket()
      case 0x2A where isFirst && !isExtended: return .byte(byte)
      case 0x2A, 0x2B, 0x3F, 0x7B: return isExtended ? nil : .byte(byte)
      case 0x29: return isExtended ? nil : .byte(byte)
      case 0x5C: return escaped()
      default: return .byte(byte)
      }
    }

    private mutating func escaped() -> Node? {
      guard at < bytes.count else { return nil }
      let byte = bytes[at]
      at += 1
      let word: [ClosedRange<UInt8>] = [0x30...0x39, 0x41...0x5A, 0x5F...0x5F, 0x61...0x7A]
      let space: [ClosedRange<UInt8>] = [0x09...0x0D, 0x20...0x20]
      switch byte {
      case 0x31...0x39: return Int(byte - 0x30) <= groups ? .reference(Int(byte - 0x30)) : nil
      case 0x73: return .set(space, inverted: false)
      case 0x53: return .set(space, inverted: true)
      case 0x77: return .set(word, inverted: false)
      case 0x57: return .set(word, inverted: true)
      case 0x62: return .wordEdge
      case 0x3C: return .wordStart
      case 0x3E: return .wordEnd
      case 0x6E: return .byte(0x0A)
      case 0x74: return .byte(0x09)
      // An operator where nothing can be repeated or closed.
      case 0x28, 0x29, 0x7B, 0x7D, 0x7C, 0x2B, 0x3F: return isExtended ? .byte(byte) : nil
      default: return byte.isNamePart ? nil : .byte(byte)
      }
    }

    private mutating func bracket() -> Node? {
      var end = at
      if end < bytes.count, bytes[end] == 0x5E { end += 1 }
      if end < bytes.count, bytes[end] == 0x5D { end += 1 }
      while end < bytes.count, bytes[end] != 0x5D {
        // "[:alpha:]" has a bracket of its own.
        if bytes[end] == 0x5B, end + 1 < bytes.count, bytes[end + 1] == 0x3A,
          let close = bytes[(end + 2)...].firstIndex(of: 0x3A), close + 1 < bytes.count,
          bytes[close + 1] == 0x5D
        {
          end = close + 1
        }
        end += 1
      }
      guard end < bytes.count else { return nil }
      // A backslash is itself between brackets; GNU sed takes \n and \t all the same.
      let text = String(bytes: bytes[(at - 1)...end]).split(
        separator: "\\n", omittingEmptySubsequences: false
      )
      .joined(separator: "\n").split(separator: "\\t", omittingEmptySubsequences: false)
      .joined(separator: "\t").split(separator: "\\", omittingEmptySubsequences: false)
      .joined(separator: "\\\\")
      at = end + 1
      let items = ShellPattern([(text, false)]).items
      guard items.count == 1, case .set(let ranges, let inverted) = items[0] else { return nil }
      return .set(ranges, inverted: inverted)
    }

    private mutating func repetition(of node: Node) -> Node? {
      var node = node
      while at < bytes.count {
        if bytes[at] == 0x2A {
          at += 1
          node = .repeated(node, least: 0, most: .max)
        } else if takeOperator(0x2B) {
          node = .repeated(node, least: 1, most: .max)
        } else if takeOperator(0x3F) {
          node = .repeated(node, least: 0, most: 1)
        } else if takeOperator(0x7B) {
          guard let (least, most) = interval() else { return nil }
          node = .repeated(node, least: least, most: most)
        } else {
          break
        }
      }
      return node
    }

    private mutating func interval() -> (Int, Int)? {
      var text: [UInt8] = []
      while at < bytes.count, !isOperator(0x7D) {
        text.append(bytes[at])
        at += 1
      }
      guard takeOperator(0x7D) else { return nil }
      let parts = String(bytes: text).utf8.split(separator: 0x2C, omittingEmptySubsequences: false)
        .map { String(bytes: $0) }
      guard let least = parts.first?.decimal, least <= 255, parts.count <= 2 else { return nil }
      if parts.count == 1 { return (least, least) }
      if parts[1].isEmpty { return (least, .max) }
      guard let most = parts[1].decimal, most >= least, most <= 255 else { return nil }
      return (least, most)
    }
  }

  // MARK: Matching

  /// The first match from a place on; `.some(nil)` when there is none, `nil` when finding out takes too long.
  func firstMatch(in text: [UInt8], from start: Int) -> Match?? {
    var matcher = Matcher(text: text, ignoresCase: ignoresCase)
    var place = start
    while place <= text.count {
      matcher.groups = Array(repeating: nil, count: groupCount + 1)
      if let end = matcher.alternatives(branches, at: place, { _, end in end }) {
        var groups = matcher.groups
        groups[0] = place..<end
        return .some(Match(groups: groups))
      }
      if matcher.isTired { return nil }
      place += 1
    }
    return .some(nil)
  }

  private struct Matcher {
    let text: [UInt8]
    let ignoresCase: Bool
    var groups: [Range<Int>?] = []
    private var steps = 0
    private var depth = 0
    var isTired: Bool { steps > 400_000 }

    init(text: [UInt8], ignoresCase: Bool) {
      self.text = text
      self.ignoresCase = ignoresCase
    }

    typealias Next = (inout Matcher, Int) -> Int?

    mutating func alternatives(_ branches: [[Node]], at place: Int, _ next: Next) -> Int? {
      for branch in branches {
        let saved = groups
        if let end = sequence(branch[...], at: place, next) { return end }
        groups = saved
      }
      return nil
    }

    private mutating func sequence(_ nodes: ArraySlice<Node>, at place: Int, _ next: Next) -> Int? {
      steps += 1
      guard let node = nodes.first else { return next(&self, place) }
      // Deep recursion counts as too long: a line of some thousand characters under a star.
      guard !isTired, depth < 4000 else {
        steps = .max / 2
        return nil
      }
      depth += 1
      defer { depth -= 1 }
      let rest = nodes.dropFirst()
      switch node {
      case .group(let branches, let number):
        return alternatives(branches, at: place) { matcher, end in
          let saved = matcher.groups[number]
          matcher.groups[number] = place..<end
          if let found = matcher.sequence(rest, at: end, next) { return found }
          matcher.groups[number] = saved
          return nil
        }
      case .repeated(let inner, let least, let most):
        if let width = simpleRun(inner, at: place, most: most) {
          guard width >= least else { return nil }
          var count = width
          while count >= least {
            if let end = sequence(rest, at: place + count, next) { return end }
            count -= 1
          }
          return nil
        }
        return repeated(inner, least, most, at: place) { matcher, end in
          matcher.sequence(rest, at: end, next)
        }
      case .reference(let number):
        guard let range = groups[number] else { return nil }
        let end = place + range.count
        guard end <= text.count, text[place..<end] == text[range] else { return nil }
        return sequence(rest, at: end, next)
      default:
        guard let width = width(node, at: place) else { return nil }
        return sequence(rest, at: place + width, next)
      }
    }

    /// How often a node of one byte matches in a row; nil for other nodes.
    private func simpleRun(_ node: Node, at place: Int, most: Int) -> Int? {
      switch node {
      case .byte, .any, .set: break
      default: return nil
      }
      var count = 0
      while count < most, width(node, at: place + count) == 1 { count += 1 }
      return count
    }

    private mutating func repeated(
      _ node: Node, _ least: Int, _ most: Int, at place: Int, _ next: Next
    ) -> Int? {
      if most > 0 {
        let end = sequence([node], at: place) { matcher, end in
          // A turn that takes nothing is the last one.
          guard end > place else { return nil }
          return matcher.repeated(node, max(0, least - 1), most == .max ? .max : most - 1, at: end, next)
        }
        if let end { return end }
      }
      return least == 0 ? next(&self, place) : nil
    }

    /// How many bytes a simple node takes here; nil: it does not match.
    private func width(_ node: Node, at place: Int) -> Int? {
      let before = place > 0 && text[place - 1].isNamePart
      let after = place < text.count && text[place].isNamePart
      switch node {
      case .start: return place == 0 ? 0 : nil
      case .end: return place == text.count ? 0 : nil
      case .wordEdge: return before != after ? 0 : nil
      case .wordStart: return !before && after ? 0 : nil
      case .wordEnd: return before && !after ? 0 : nil
      default: break
      }
      guard place < text.count else { return nil }
      let byte = text[place]
      switch node {
      case .byte(let wanted):
        return wanted == byte || (ignoresCase && Self.folded(wanted) == Self.folded(byte)) ? 1 : nil
      case .any: return 1
      case .set(let ranges, let inverted):
        var found = ranges.contains { $0.contains(byte) }
        if ignoresCase, !found, byte.isLetter { found = ranges.contains { $0.contains(byte ^ 0x20) } }
        return found != inverted ? 1 : nil
      default: return nil
      }
    }

    private static func folded(_ byte: UInt8) -> UInt8 { (0x41...0x5A).contains(byte) ? byte + 0x20 : byte }
  }
}
