/// A recursive-descent parser for ``GrubConfig``. The characters that end a word are those of `yylex.l` in GRUB 2:
/// `{ } | & ; < >` and blanks.
struct GrubConfigParser {
  static let deepest = 48
  static let mostErrors = 50

  private let bytes: [UInt8]
  private let file: String
  private var at = 0
  private var depth = 0
  /// The line of `at`, kept in step with it.
  private var line = 1
  private(set) var problems: [Problem] = []

  private struct Failure: Error {
    var message: String
    var line: Int
    var column: Int
  }

  init(_ bytes: [UInt8], file: String) {
    self.bytes = bytes
    self.file = file
  }

  private var byte: UInt8? { at < bytes.count ? bytes[at] : nil }

  private mutating func advance() {
    if bytes[at] == 0x0A { line += 1 }
    at += 1
  }

  private func fail(_ message: String) -> Failure { fail(message, at: at, line: line) }

  private func fail(_ message: String, at offset: Int, line: Int) -> Failure {
    var start = offset
    while start > 0, bytes[start - 1] != 0x0A { start -= 1 }
    return Failure(message: message, line: line, column: offset - start + 1)
  }

  // MARK: Blanks

  private mutating func skipBlanks() {
    while let next = byte {
      if next.isBlank || next == 0x0D {
        advance()
      } else if next == 0x5C, at + 1 < bytes.count, bytes[at + 1] == 0x0A {
        advance()
        advance()
      } else if next == 0x23 {
        while let next = byte, next != 0x0A { advance() }
      } else {
        return
      }
    }
  }

  private mutating func skipSeparators() {
    skipBlanks()
    while byte == 0x0A || byte == 0x3B {
      advance()
      skipBlanks()
    }
  }

  private static func endsWord(_ byte: UInt8) -> Bool {
    switch byte {
    case 0x09, 0x0A, 0x0D, 0x20, 0x26, 0x3B, 0x3C, 0x3E, 0x7B, 0x7C, 0x7D: true
    default: false
    }
  }

  private func peekWord() -> String {
    var end = at
    while end < bytes.count, end - at < 64, !Self.endsWord(bytes[end]) { end += 1 }
    return String(decoding: bytes[at..<end], as: UTF8.self)
  }

  // MARK: Commands

  mutating func script() -> [GrubCommand] {
    var commands: [GrubCommand] = []
    var errors = 0
    while true {
      skipSeparators()
      if at >= bytes.count { return commands }
      let (start, startLine) = (at, line)
      do throws(Failure) {
        if let command = try command() {
          commands.append(command)
          continue
        }
        throw fail("unexpected \(byte == 0x7D ? "'}'" : peekWord().quoted)")
      } catch {
        errors += 1
        depth = 0
        problems.append(
          Problem(
            .error, file: file, line: error.line, column: error.column, message: error.message,
            hint: error.line == startLine ? nil : "the command starts in line \(startLine)"))
        (at, line) = (start, startLine)
        recover(isLast: errors >= Self.mostErrors, errorLine: error.line)
        commands.append(
          GrubCommand(kind: .unreadable(String(bytes: bytes[start..<at]).trimmed), line: startLine))
      }
    }
  }

  /// Skips to after the line with the closing word at the margin, or to after the bad line of a simple command.
  private mutating func recover(isLast: Bool, errorLine: Int) {
    func skipLine(_ parser: inout GrubConfigParser) -> String {
      let start = parser.at
      while let next = parser.byte, next != 0x0A { parser.advance() }
      let text = String(bytes: parser.bytes[start..<parser.at])
      if parser.byte != nil { parser.advance() }
      return text
    }
    let opener = peekWord()
    let first = skipLine(&self)
    let isCompound =
      ["if", "for", "while", "until", "function", "menuentry", "submenu", "hiddenentry"].contains(opener)
      || first.trimmed.utf8.last == 0x7B
    while at < bytes.count {
      if isLast {
        _ = skipLine(&self)
      } else if isCompound {
        let text = skipLine(&self)
        if let word = text.words.first, word.column == 1, ["}", "fi", "done"].contains(word.text) { return }
      } else if line <= errorLine {
        _ = skipLine(&self)
      } else {
        return
      }
    }
  }

  private static let closers: Set<String> = ["then", "else", "elif", "fi", "do", "done"]

  /// Commands up to `}`, a closing keyword, or the end.
  private mutating func list() throws(Failure) -> [GrubCommand] {
    var commands: [GrubCommand] = []
    while true {
      skipSeparators()
      guard let command = try command() else { return commands }
      commands.append(command)
    }
  }

  /// The next command; `nil` at what closes a list.
  private mutating func command() throws(Failure) -> GrubCommand? {
    depth += 1
    defer { depth -= 1 }
    if depth > Self.deepest { throw fail("more than \(Self.deepest) blocks inside one another") }
    guard let next = byte, next != 0x7D else { return nil }
    let line = line
    let word = peekWord()
    if Self.closers.contains(word) { return nil }
    let kind: GrubCommand.Kind
    switch word {
    case "if": kind = try conditional()
    case "for":
      take(word)
      let name = try plainName()
      try expect("in")
      let words = try words()
      kind = .forEach(variable: name, words: words, body: try doGroup())
    case "while", "until":
      take(word)
      let condition = try list()
      kind = .loop(condition: condition, body: try doGroup(), isUntil: word == "until")
    case "function":
      take(word)
      let name = try plainName()
      kind = .function(name: name, body: try block())
    case "menuentry", "submenu", "hiddenentry":
      take(word)
      let words = try words()
      let body = try block()
      kind = word == "submenu" ? .submenu(words, body: body) : .entry(words, body: body)
    default:
      let words = try words()
      if words.isEmpty { throw fail("unexpected \(String(bytes: [next]).quoted)") }
      skipBlanks()
      if let next = byte, next != 0x0A, next != 0x3B, next != 0x7D {
        throw fail("unexpected \(String(bytes: [next]).quoted)")
      }
      kind = .simple(words)
    }
    return GrubCommand(kind: kind, line: line)
  }

  private mutating func take(_ word: String) {
    at += word.utf8.count
    skipBlanks()
  }

  private mutating func expect(_ keyword: String) throws(Failure) {
    skipSeparators()
    guard peekWord() == keyword else {
      let found =
        byte == nil ? "the file ends" : byte == 0x7D ? "there is '}'" : "there is \(peekWord().quoted)"
      throw fail("\(found) where '\(keyword)' has to be")
    }
    take(keyword)
  }

  private mutating func plainName() throws(Failure) -> String {
    skipBlanks()
    let name = peekWord()
    guard !name.isEmpty, !name.utf8.contains(0x24) else { throw fail("a name has to be here") }
    take(name)
    return name
  }

  private mutating func block() throws(Failure) -> [GrubCommand] {
    skipSeparators()
    guard byte == 0x7B else { throw fail("'{' has to be here") }
    advance()
    let body = try list()
    guard byte == 0x7D else {
      throw fail(byte == nil ? "the block is never closed by '}'" : "unexpected \(peekWord().quoted)")
    }
    advance()
    return body
  }

  private mutating func doGroup() throws(Failure) -> [GrubCommand] {
    try expect("do")
    let body = try list()
    try expect("done")
    return body
  }

  private mutating func conditional() throws(Failure) -> GrubCommand.Kind {
    var branches: [GrubBranch] = []
    repeat {
      take(peekWord())
      let condition = try list()
      try expect("then")
      branches.append(GrubBranch(condition: condition, body: try list()))
    } while peekWord() == "elif"
    var otherwise: [GrubCommand] = []
    if peekWord() == "else" {
      take("else")
      otherwise = try list()
    }
    try expect("fi")
    return .conditional(branches, otherwise: otherwise)
  }

  // MARK: Words

  private mutating func words() throws(Failure) -> [GrubWord] {
    var words: [GrubWord] = []
    skipBlanks()
    while let next = byte, !Self.endsWord(next) {
      words.append(try word())
      skipBlanks()
    }
    return words
  }

  private mutating func word() throws(Failure) -> GrubWord {
    var word = GrubWord(parts: [], line: line)
    var text: [UInt8] = []
    var isQuoted = false
    func flush(_ word: inout GrubWord) {
      if !text.isEmpty { word.parts.append(.text(String(decoding: text, as: UTF8.self), quoted: isQuoted)) }
      text.removeAll()
    }
    func add(_ byte: UInt8, quoted: Bool, _ word: inout GrubWord) {
      if quoted != isQuoted { flush(&word) }
      isQuoted = quoted
      text.append(byte)
    }
    var inDouble = false
    let (start, startLine) = (at, line)
    while let next = byte, inDouble || !Self.endsWord(next) {
      switch next {
      case 0x5C:
        advance()
        guard let escaped = byte else { break }
        advance()
        if inDouble, ![0x24, 0x22, 0x5C, 0x0A].contains(escaped) { add(0x5C, quoted: true, &word) }
        if escaped != 0x0A { add(escaped, quoted: true, &word) }
      case 0x22:
        inDouble.toggle()
        advance()
        flush(&word)
        word.parts.append(.text("", quoted: true))  // "" is a word
      case 0x27 where !inDouble:
        advance()
        let from = at
        while let next = byte, next != 0x27 { advance() }
        guard byte != nil else { throw fail("the quote is never closed", at: start, line: startLine) }
        flush(&word)
        word.parts.append(.text(String(bytes: bytes[from..<at]), quoted: true))
        advance()
      case 0x24:
        advance()
        if let name = try variable() {
          flush(&word)
          word.parts.append(.variable(name, quoted: inDouble))
        } else {
          add(0x24, quoted: inDouble, &word)
        }
      default:
        add(next, quoted: inDouble, &word)
        advance()
      }
    }
    if inDouble { throw fail("the quote is never closed", at: start, line: startLine) }
    flush(&word)
    let hasContent = word.parts.contains { $0 != .text("", quoted: true) }
    if hasContent { word.parts.removeAll { $0 == .text("", quoted: true) } }
    return word
  }

  /// The name after a dollar sign; `nil` when there is none.
  private mutating func variable() throws(Failure) -> String? {
    let isBraced = byte == 0x7B
    if isBraced { advance() }
    let start = at
    if let first = byte, first.isNameStart {
      while let next = byte, next.isNamePart { advance() }
    } else if let first = byte, first.isDigit {
      while let next = byte, next.isDigit { advance() }
    } else if let first = byte, [0x40, 0x2A, 0x23, 0x3F].contains(first) {
      advance()
    }
    let name = String(bytes: bytes[start..<at])
    guard isBraced else { return name.isEmpty ? nil : name }
    guard byte == 0x7D, !name.isEmpty else { throw fail("'${' has no name and '}'") }
    advance()
    return name
  }
}
