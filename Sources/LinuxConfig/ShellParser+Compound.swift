/// Compound commands: `if`, `case`, loops, groups, functions.
extension ShellParser {
  mutating func command() throws(ShellSyntaxError) -> ShellCommand {
    try nested { (parser) throws(ShellSyntaxError) in try parser.oneCommand() }
  }

  private mutating func oneCommand() throws(ShellSyntaxError) -> ShellCommand {
    skipBlanks()
    let line = line
    let kind: ShellCommand.Kind
    switch peekWord() {
    case "if": kind = try conditional()
    case "case": kind = try choice()
    case "for", "select": kind = try forEach()
    case "while", "until": kind = try loop()
    case "{":
      at += 1
      let body = try list()
      try expect("}")
      kind = .group(body)
    case "function": return try bashFunction()
    case "[[": kind = try doubleBracket()
    case let word where Self.closers.contains(word): throw unexpected()
    default:
      guard byte() == 0x28 else { return try simple() }
      if byte(1) == 0x28, let arithmetic = arithmeticCommand() {
        kind = arithmetic
      } else {
        at += 1
        let body = try list()
        guard take(")") else { throw unexpected() }
        kind = .subshell(body)
      }
    }
    var command = ShellCommand(kind, line: line)
    skipBlanks()
    while let redirection = try redirection() {
      command.redirections.append(redirection)
      skipBlanks()
    }
    return command
  }

  /// The unquoted run of ordinary characters that starts here, as far as it can be a keyword.
  func peekWord() -> String {
    var end = at
    while end < bytes.count, end - at < 64, !Self.endsWord(bytes[end]) { end += 1 }
    return String(decoding: bytes[at..<end], as: UTF8.self)
  }

  static func endsWord(_ byte: UInt8) -> Bool {
    switch byte {
    case 0x09, 0x0A, 0x0D, 0x20, 0x26, 0x28, 0x29, 0x3B, 0x3C, 0x3E, 0x7C: true
    default: false
    }
  }

  private mutating func expect(_ keyword: String) throws(ShellSyntaxError) {
    skipLines()
    guard peekWord() == keyword else {
      let found = unexpected()
      throw fail("\(found.message) where '\(keyword)' has to be")
    }
    at += keyword.utf8.count
  }

  private mutating func conditional() throws(ShellSyntaxError) -> ShellCommand.Kind {
    var branches: [ShellBranch] = []
    var otherwise: [ShellCommand]?
    repeat {
      let line = line
      at += peekWord().utf8.count  // if, elif
      let condition = try list()
      try expect("then")
      branches.append(ShellBranch(condition: condition, body: try list(), line: line))
      skipLines()
    } while peekWord() == "elif"
    if peekWord() == "else" {
      at += 4
      otherwise = try list()
    }
    try expect("fi")
    return .conditional(branches, otherwise: otherwise)
  }

  private mutating func loop() throws(ShellSyntaxError) -> ShellCommand.Kind {
    let isUntil = peekWord() == "until"
    at += 5
    let condition = try list()
    return .loop(condition: condition, body: try doGroup(), isUntil: isUntil)
  }

  private mutating func doGroup() throws(ShellSyntaxError) -> [ShellCommand] {
    try expect("do")
    let body = try list()
    try expect("done")
    return body
  }

  private mutating func forEach() throws(ShellSyntaxError) -> ShellCommand.Kind {
    let start = at
    at += peekWord().utf8.count
    skipBlanks()
    if byte() == 0x28, let arithmetic = arithmeticCommand() {
      let condition = ShellCommand(arithmetic, line: position(start).line)
      skipSemicolon()
      return .loop(condition: [condition], body: try doGroup(), isUntil: false)
    }
    let name = peekWord()
    guard let first = name.utf8.first, first.isNameStart, name.utf8.allSatisfy(\.isNamePart) else {
      throw fail("\(name.quoted) is no name of a variable")
    }
    at += name.utf8.count
    skipLines()
    var words: [ShellWord]?
    if peekWord() == "in" {
      at += 2
      var found: [ShellWord] = []
      skipBlanks()
      while let next = byte(), !Self.endsWord(next) {
        found.append(try word())
        skipBlanks()
      }
      words = found
    }
    skipSemicolon()
    return .forEach(variable: name, words: words, body: try doGroup())
  }

  private mutating func skipSemicolon() {
    skipBlanks()
    if byte() == 0x3B { at += 1 }
    skipLines()
  }

  private mutating func choice() throws(ShellSyntaxError) -> ShellCommand.Kind {
    at += 4
    skipBlanks()
    let subject = try word()
    try expect("in")
    var arms: [ShellCaseArm] = []
    while true {
      skipLines()
      if peekWord() == "esac" { break }
      let line = line
      _ = take("(")
      var patterns: [ShellWord] = []
      repeat {
        skipBlanks()
        patterns.append(try word())
        skipBlanks()
      } while take("|")
      guard take(")") else { throw unexpected() }
      let body = try list()
      arms.append(ShellCaseArm(patterns: patterns, body: body, line: line))
      if take(";;&") || take(";;") || take(";&") { continue }
      skipLines()
      guard peekWord() == "esac" else { throw unexpected() }
    }
    try expect("esac")
    return .choice(subject, arms)
  }

  private mutating func bashFunction() throws(ShellSyntaxError) -> ShellCommand {
    let line = line
    at += 8
    skipBlanks()
    let name = peekWord()
    guard !name.isEmpty else { throw unexpected() }
    at += name.utf8.count
    skipBlanks()
    if take("(") {
      skipBlanks()
      guard take(")") else { throw unexpected() }
    }
    skipLines()
    return ShellCommand(.function(name: name, body: try command()), line: line)
  }

  /// `(( … ))` up to the closing parentheses; `nil` when it is two subshells instead.
  mutating func arithmeticCommand() -> ShellCommand.Kind? {
    guard isNext("((") else { return nil }
    var open = 0
    var end = at
    while end < bytes.count, bytes[end] != 0x0A {
      if bytes[end] == 0x28 { open += 1 }
      if bytes[end] == 0x29 {
        open -= 1
        if open == 0 { break }
      }
      end += 1
    }
    guard end < bytes.count, open == 0, end > at + 3, bytes[end - 1] == 0x29 else { return nil }
    let line = line
    let expression = String(bytes: bytes[(at + 2)..<(end - 1)])
    at = end + 1
    return .simple(assignments: [], words: [ShellWord("((", line: line), ShellWord(expression, line: line)])
  }

  /// `[[ … ]]` of bash as a simple command whose operators are unquoted words.
  private mutating func doubleBracket() throws(ShellSyntaxError) -> ShellCommand.Kind {
    var words = [ShellWord("[[", line: line)]
    at += 2
    while true {
      skipLines()
      guard let next = byte() else { throw fail("'[[' is never closed by ']]'") }
      if peekWord() == "]]" {
        words.append(ShellWord("]]", line: line))
        at += 2
        return .simple(assignments: [], words: words)
      }
      if isNext("&&") || isNext("||") {
        words.append(ShellWord(next == 0x26 ? "&&" : "||", line: line))
        at += 2
      } else if words.last?.bare == "=~" {
        let start = at
        while let next = byte(), !next.isSpace { at += 1 }
        words.append(
          ShellWord(parts: [.text(String(bytes: bytes[start..<at]), quoted: true)], line: line))
      } else if [0x28, 0x29, 0x3C, 0x3E].contains(next) {
        words.append(ShellWord(String(bytes: [next]), line: line))
        at += 1
      } else if Self.endsWord(next) {
        throw unexpected()
      } else {
        words.append(try word())
      }
    }
  }
}
