/// A script of `sed`, as far as configuration files are edited with it: `s`, `d`, `p`, `q`, `a`, `i`, `c`, `y` and `=` with
/// addresses (`5`, `$`, `/re/`, ranges, `first~step`, `!`) and groups. Branches and the hold space are not read.
public struct SedScript: Sendable {
  private enum Address: Sendable {
    case line(Int)
    case last
    case step(first: Int, by: Int)
    case pattern(String, ignoresCase: Bool)
    /// After `first,+N`.
    case more(Int)
  }

  private enum Action: Sendable {
    case substitute(pattern: String, ignoresCase: Bool, with: [Piece], which: Int, all: Bool, prints: Bool)
    case delete, print, quit, number
    case append(String), insert(String), change(String)
    case transliterate([UInt8: UInt8])
    case group([Command])
  }

  /// A part of what is put in place of a match.
  private enum Piece: Sendable, Equatable {
    case text([UInt8])
    case group(Int)
  }

  private struct Command: Sendable {
    var addresses: [Address]
    var isInverted: Bool
    var action: Action
    /// Place among all commands: the ranges that are open are kept by it.
    var number: Int
  }

  private var commands: [Command] = []
  private var count = 0
  private let isExtended: Bool

  /// Reads a script; `nil` when something in it is not understood.
  public init?(_ text: String, isExtended: Bool = false) {
    self.isExtended = isExtended
    var reader = Reader(bytes: Array(text.utf8), isExtended: isExtended)
    guard let commands = reader.commands(depth: 0), reader.at == reader.bytes.count else { return nil }
    self.commands = commands
    count = reader.count
  }

  // MARK: Reading

  private struct Reader {
    var bytes: [UInt8]
    var isExtended: Bool
    var at = 0
    var count = 0

    private var next: UInt8? { at < bytes.count ? bytes[at] : nil }
    private mutating func skip(_ matches: (UInt8) -> Bool) {
      while let byte = next, matches(byte) { at += 1 }
    }
    private mutating func take(_ byte: UInt8) -> Bool {
      guard next == byte else { return false }
      at += 1
      return true
    }

    mutating func commands(depth: Int) -> [Command]? {
      guard depth < 16 else { return nil }
      var all: [Command] = []
      while true {
        skip { $0.isSpace || $0 == 0x3B }
        guard let byte = next else { return depth == 0 ? all : nil }
        if byte == 0x7D { return depth > 0 ? all : nil }
        if byte == 0x23 {
          skip { $0 != 0x0A }
          continue
        }
        guard let command = command(depth: depth) else { return nil }
        all.append(command)
      }
    }

    private mutating func command(depth: Int) -> Command? {
      var addresses: [Address] = []
      if let byte = next, byte.isDigit || byte == 0x24 || byte == 0x2F || byte == 0x5C {
        guard let first = address(isSecond: false) else { return nil }
        addresses.append(first)
        skip(\.isBlank)
        if take(0x2C) {
          skip(\.isBlank)
          guard let second = address(isSecond: true) else { return nil }
          addresses.append(second)
        }
      }
      skip(\.isBlank)
      let isInverted = take(0x21)
      skip(\.isBlank)
      guard let name = next else { return nil }
      at += 1
      count += 1
      let number = count
      guard let action = action(name, depth: depth) else { return nil }
      return Command(addresses: addresses, isInverted: isInverted, action: action, number: number)
    }

    private mutating func address(isSecond: Bool) -> Address? {
      guard let byte = next else { return nil }
      if byte.isDigit {
        guard let first = decimal() else { return nil }
        if !isSecond, take(0x7E) { return decimal().map { .step(first: first, by: $0) } }
        return .line(first)
      }
      at += 1
      switch byte {
      case 0x24: return .last
      case 0x2B where isSecond: return decimal().map { .more($0) }
      case 0x2F, 0x5C:
        var delimiter = byte
        if byte == 0x5C {
          guard let chosen = next else { return nil }
          delimiter = chosen
          at += 1
        }
        // An empty pattern means the one before, which is not kept.
        guard let pattern = part(until: delimiter, isPattern: true), !pattern.isEmpty else { return nil }
        return .pattern(pattern, ignoresCase: take(0x49))
      default: return nil
      }
    }

    private mutating func decimal() -> Int? {
      let start = at
      skip(\.isDigit)
      return String(bytes: bytes[start..<at]).decimal
    }

    /// Text up to a delimiter; a delimiter after a backslash is text.
    private mutating func part(until delimiter: UInt8, isPattern: Bool) -> String? {
      var text: [UInt8] = []
      var isBracket = false
      while let byte = next {
        at += 1
        if byte == 0x5C, !isBracket, let escaped = next {
          at += 1
          if escaped == delimiter, !isPattern || delimiter != 0x7C {
            text.append(escaped)
          } else {
            text += [byte, escaped]
          }
          continue
        }
        if isPattern {
          if byte == 0x5B { isBracket = true }
          if byte == 0x5D, text.last != 0x5B, !(text.last == 0x5E && text.dropLast().last == 0x5B) {
            isBracket = false
          }
        }
        if byte == delimiter, !isBracket { return String(bytes: text) }
        text.append(byte)
      }
      return nil
    }

    private mutating func action(_ name: UInt8, depth: Int) -> Action? {
      switch name {
      case 0x73: return substitution()
      case 0x64: return .delete
      case 0x70: return .print
      case 0x71: return .quit
      case 0x3D: return .number
      case 0x61: return textArgument().map { .append($0) }
      case 0x69: return textArgument().map { .insert($0) }
      case 0x63: return textArgument().map { .change($0) }
      case 0x79:
        guard let delimiter = next else { return nil }
        at += 1
        guard let from = part(until: delimiter, isPattern: false),
          let to = part(until: delimiter, isPattern: false), from.utf8.count == to.utf8.count
        else { return nil }
        return .transliterate(Dictionary(zip(from.utf8, to.utf8), uniquingKeysWith: { first, _ in first }))
      case 0x7B:
        guard let inner = commands(depth: depth + 1), take(0x7D) else { return nil }
        return .group(inner)
      default: return nil
      }
    }

    /// The text of `a`, `i` and `c`: in the same line (GNU), or after a backslash in the next ones.
    private mutating func textArgument() -> String? {
      skip(\.isBlank)
      if next == 0x5C {
        at += 1
        let beforeLine = at
        skip(\.isBlank)
        // "a\text" keeps the blanks of the text; "a\" and a new line begins it there.
        if !take(0x0A) { at = beforeLine }
      }
      var text: [UInt8] = []
      while let byte = next {
        at += 1
        if byte == 0x5C, let escaped = next {
          at += 1
          text.append(escaped == 0x74 ? 0x09 : escaped)
          continue
        }
        if byte == 0x0A { break }
        text.append(byte)
      }
      return String(bytes: text + [0x0A])
    }

    private mutating func substitution() -> Action? {
      guard let delimiter = next, delimiter != 0x0A, delimiter != 0x5C else { return nil }
      at += 1
      guard let pattern = part(until: delimiter, isPattern: true),
        let replacement = part(until: delimiter, isPattern: false)
      else { return nil }
      var (which, all, prints, ignoresCase) = (1, false, false, false)
      flags: while let byte = next {
        switch byte {
        case 0x67: all = true
        case 0x70: prints = true
        case 0x69, 0x49: ignoresCase = true
        case 0x31...0x39:
          guard let number = decimal() else { return nil }
          which = number
          continue flags
        case 0x3B, 0x7D, 0x23: break flags
        case _ where byte.isSpace: break flags
        default: return nil
        }
        at += 1
      }
      guard !pattern.isEmpty, PosixRegex(pattern, isExtended: isExtended) != nil,
        let pieces = pieces(replacement)
      else {
        return nil
      }
      return .substitute(
        pattern: pattern, ignoresCase: ignoresCase, with: pieces, which: which, all: all, prints: prints)
    }

    private func pieces(_ text: String) -> [Piece]? {
      var pieces: [Piece] = []
      var current: [UInt8] = []
      func flush() {
        if !current.isEmpty { pieces.append(.text(current)) }
        current = []
      }
      var isEscaped = false
      for byte in text.utf8 {
        if isEscaped {
          isEscaped = false
          switch byte {
          case 0x30...0x39:
            flush()
            pieces.append(.group(Int(byte - 0x30)))
          case 0x6E: current.append(0x0A)
          case 0x74: current.append(0x09)
          case 0x55, 0x4C, 0x75, 0x6C, 0x45: return nil  // \U and its like change letters.
          default: current.append(byte)
          }
        } else if byte == 0x5C {
          isEscaped = true
        } else if byte == 0x26 {
          flush()
          pieces.append(.group(0))
        } else {
          current.append(byte)
        }
      }
      flush()
      return pieces
    }
  }

  // MARK: Running

  /// What `sed` prints for a text, with `-n` or without; `nil` when it cannot be computed.
  public func run(on text: String, quiet: Bool = false) -> String? {
    var lines = text.utf8.split(separator: 0x0A, omittingEmptySubsequences: false).map { Array($0) }
    let endsInLineFeed = lines.last?.isEmpty == true
    if endsInLineFeed { lines.removeLast() }
    var run = Run(lines: lines, isExtended: isExtended, quiet: quiet, commands: count)
    for index in lines.indices where !run.hasQuit {
      run.begin(index)
      guard run.execute(commands) else { return nil }
      run.finish()
    }
    // A last line without a line end keeps that.
    if !endsInLineFeed, run.lastIsOwn, run.output.last == 0x0A { run.output.removeLast() }
    return String(bytes: run.output)
  }

  private struct Run {
    let lines: [[UInt8]]
    let isExtended: Bool
    let quiet: Bool
    var output: [UInt8] = []
    var hasQuit = false
    /// What was printed last is the input's last line.
    var lastIsOwn = false
    private var index = 0
    private var space: [UInt8] = []
    private var after: [UInt8] = []
    private var isDeleted = false
    /// For each command with a range: the line it ends in; 0: not open.
    private var ends: [Int]

    init(lines: [[UInt8]], isExtended: Bool, quiet: Bool, commands: Int) {
      self.lines = lines
      self.isExtended = isExtended
      self.quiet = quiet
      ends = Array(repeating: 0, count: commands + 1)
    }

    mutating func begin(_ index: Int) {
      self.index = index
      space = lines[index]
      after = []
      isDeleted = false
    }

    mutating func finish() {
      if !quiet, !isDeleted { print() }
      if !after.isEmpty { lastIsOwn = false }
      output += after
    }

    private mutating func print() {
      output += space + [0x0A]
      lastIsOwn = index == lines.count - 1
    }

    /// False: it cannot be computed.
    mutating func execute(_ commands: [Command]) -> Bool {
      for command in commands {
        guard !isDeleted, !hasQuit else { return true }
        guard let isSelected = selects(command) else { return false }
        guard isSelected != command.isInverted else { continue }
        switch command.action {
        case .group(let inner): guard execute(inner) else { return false }
        case .delete: isDeleted = true
        case .print: print()
        case .quit: hasQuit = true
        case .number: output += Array("\(index + 1)\n".utf8)
        case .append(let text): after += Array(text.utf8)
        case .insert(let text): output += Array(text.utf8)
        case .change(let text):
          // A range is changed as a whole: the text comes once, at its end.
          if command.addresses.count < 2 || command.isInverted || ends[command.number] == 0 {
            output += Array(text.utf8)
          }
          isDeleted = true
        case .transliterate(let table): space = space.map { table[$0] ?? $0 }
        case .substitute(let pattern, let ignoresCase, let pieces, let which, let all, let prints):
          guard let regex = PosixRegex(pattern, isExtended: isExtended, ignoresCase: ignoresCase),
            let isDone = substitute(regex, pieces, which: which, all: all)
          else { return false }
          if isDone, prints { print() }
        }
      }
      return true
    }

    private mutating func selects(_ command: Command) -> Bool? {
      let line = index + 1
      guard let first = command.addresses.first else { return true }
      guard command.addresses.count == 2 else { return matches(first) }
      if ends[command.number] > 0 {
        // A pattern ends the range in the first line after its beginning that matches; a number when it is reached.
        if case .pattern = command.addresses[1] {
          guard let isEnd = matches(command.addresses[1]) else { return nil }
          if isEnd { ends[command.number] = 0 }
          return true
        }
        if line >= ends[command.number] { ends[command.number] = 0 }
        return true
      }
      if case .line(0) = first {
        // 0,/re/ is open from the start: the pattern may end it in the first line.
        guard line == 1 else { return false }
        guard let isEnd = matches(command.addresses[1]) else { return nil }
        if !isEnd { ends[command.number] = .max }
        return true
      }
      guard let begins = matches(first) else { return nil }
      guard begins else { return false }
      switch command.addresses[1] {
      case .line(let last): ends[command.number] = last > line ? last : 0
      case .more(let more): ends[command.number] = more > 0 ? line + more : 0
      case .last: ends[command.number] = line < lines.count ? lines.count : 0
      default: ends[command.number] = .max
      }
      return true
    }

    private func matches(_ address: Address) -> Bool? {
      switch address {
      case .line(let number): return index + 1 == number
      case .last: return index == lines.count - 1
      case .step(let first, let by):
        return by == 0 ? index + 1 == first : index + 1 >= first && (index + 1 - first) % by == 0
      case .more: return false
      case .pattern(let pattern, let ignoresCase):
        guard let regex = PosixRegex(pattern, isExtended: isExtended, ignoresCase: ignoresCase),
          let found = regex.firstMatch(in: space, from: 0)
        else { return nil }
        return found != nil
      }
    }

    /// Whether anything was replaced; `nil` when finding out takes too long.
    private mutating func substitute(
      _ regex: PosixRegex, _ pieces: [Piece], which: Int, all: Bool
    ) -> Bool? {
      var result: [UInt8] = []
      var place = 0
      var copied = 0
      var number = 0
      var isDone = false
      while place <= space.count {
        guard let found = regex.firstMatch(in: space, from: place) else { return nil }
        guard let match = found else { break }
        number += 1
        if number >= which {
          result += space[copied..<match.whole.lowerBound]
          for piece in pieces {
            switch piece {
            case .text(let text): result += text
            case .group(let group):
              guard group < match.groups.count else { return nil }
              if let range = match.groups[group] { result += space[range] }
            }
          }
          copied = match.whole.upperBound
          isDone = true
          if !all { break }
        }
        place = match.whole.isEmpty ? match.whole.upperBound + 1 : match.whole.upperBound
      }
      guard isDone else { return false }
      space = result + space[copied...]
      return true
    }
  }
}

/// The words of a `sed` command.
public struct SedCall: Sendable {
  /// All `-e` in one, or the first operand.
  public var script: SedScript
  /// `-i`: the files themselves are edited.
  public var inPlace = false
  /// The suffix of `-i` under which the old file is kept; `nil`: it is not.
  public var backup: String?
  /// `-n`.
  public var isQuiet = false
  /// The files, as written.
  public var files: [String]

  /// Reads the words after `sed`, `nil` standing for one that nobody knows; `nil` when they are not understood.
  public init?(_ words: [String?]) {
    var texts: [String] = []
    var operands: [String] = []
    var isExtended = false
    var rest = words[...]
    var isPastOptions = false
    while let word = rest.popFirst() {
      guard let word else { return nil }
      guard !isPastOptions, word.utf8.first == 0x2D, word != "-" else {
        operands.append(word)
        continue
      }
      if word == "--" {
        isPastOptions = true
      } else if let suffix = word.dropping(prefix: "-i") ?? word.dropping(prefix: "--in-place") {
        inPlace = true
        backup = suffix.isEmpty ? nil : suffix.dropping(prefix: "=") ?? suffix
      } else if let text = word.dropping(prefix: "--expression=") {
        texts.append(text)
      } else if let letters = Self.letters[word] ?? Self.letters(of: word) {
        if letters.contains("n") { isQuiet = true }
        if letters.contains("r") || letters.contains("E") { isExtended = true }
        if letters.contains("e") {
          guard let text = rest.popFirst() ?? nil else { return nil }
          texts.append(text)
        }
      } else {
        return nil
      }
    }
    if texts.isEmpty {
      guard !operands.isEmpty else { return nil }
      texts = [operands.removeFirst()]
    }
    guard let script = SedScript(texts.joined(separator: "\n"), isExtended: isExtended) else { return nil }
    self.script = script
    files = operands
  }

  private static let letters = [
    "--quiet": "n", "--silent": "n", "--regexp-extended": "E", "--expression": "e",
  ]

  /// The letters of `-n`, `-ne`, `-rn`: `e` is the last, its text the next word.
  private static func letters(of word: String) -> String? {
    guard let letters = word.dropping(prefix: "-"), !letters.isEmpty,
      letters.allSatisfy({ "nrEe".contains($0) }), !letters.dropLast().contains("e")
    else { return nil }
    return letters
  }
}
