/// Why a script cannot be read from some place on.
struct ShellSyntaxError: Error {
  var message: String
  var offset: Int
}

/// A recursive-descent parser for ``ShellScript``, on bytes. Which characters end a word, and which words are keywords,
/// depends on where in the grammar they stand, so there is no separate lexer.
struct ShellParser {
  /// How deep constructs may nest; damaged input must not exhaust the stack.
  static let deepest = 64
  /// After this many syntax errors the rest of the file is given up.
  static let mostErrors = 50

  let bytes: [UInt8]
  let file: String
  var at = 0
  var depth = 0
  var problems: [Problem] = []
  /// The line of the first byte; not 1 in a here-document or in backticks.
  private let baseLine: Int
  private let lineStarts: [Int]
  /// Offset of a line end whose next line starts the text of a here-document, to the offset after that text.
  private var jumps: [Int: Int] = [:]

  init(_ bytes: [UInt8], file: String, baseLine: Int = 1, depth: Int = 0) {
    self.bytes = bytes
    self.file = file
    self.baseLine = baseLine
    self.depth = depth
    var starts = [0]
    for (offset, byte) in bytes.enumerated() where byte == 0x0A { starts.append(offset + 1) }
    lineStarts = starts
  }

  // MARK: Places

  func position(_ offset: Int) -> (line: Int, column: Int) {
    var low = 0
    var high = lineStarts.count
    while high - low > 1 {
      let middle = (low + high) / 2
      if lineStarts[middle] <= offset { low = middle } else { high = middle }
    }
    return (baseLine + low, offset - lineStarts[low] + 1)
  }

  var line: Int { position(at).line }

  func byte(_ ahead: Int = 0) -> UInt8? { at + ahead < bytes.count ? bytes[at + ahead] : nil }

  func isNext(_ text: StaticString) -> Bool {
    let count = text.utf8CodeUnitCount
    guard at + count <= bytes.count else { return false }
    for offset in 0..<count where bytes[at + offset] != text.utf8Start[offset] { return false }
    return true
  }

  mutating func take(_ text: StaticString) -> Bool {
    guard isNext(text) else { return false }
    at += text.utf8CodeUnitCount
    return true
  }

  func fail(_ message: String, at offset: Int? = nil) -> ShellSyntaxError {
    ShellSyntaxError(message: message, offset: offset ?? at)
  }

  mutating func warn(_ message: String, at offset: Int) {
    let place = position(offset)
    problems.append(
      Problem(.warning, file: file, line: place.line, column: place.column, message: message))
  }

  /// Runs a nested rule one level deeper.
  mutating func nested<Result>(
    _ rule: (inout ShellParser) throws(ShellSyntaxError) -> Result
  ) throws(ShellSyntaxError) -> Result {
    depth += 1
    defer { depth -= 1 }
    if depth > Self.deepest { throw fail("more than \(Self.deepest) constructs inside one another") }
    return try rule(&self)
  }

  // MARK: Blanks, comments and line ends

  /// Skips blanks, joined lines and a comment.
  mutating func skipBlanks() {
    while let next = byte() {
      if next.isBlank || next == 0x0D {
        at += 1
      } else if next == 0x5C, byte(1) == 0x0A {
        at += 2
      } else if next == 0x5C, byte(1) == 0x0D, byte(2) == 0x0A {
        at += 3
      } else if next == 0x23 {
        while let next = byte(), next != 0x0A { at += 1 }
      } else {
        return
      }
    }
  }

  /// Takes one line end, and the here-documents that start after it.
  mutating func takeLineEnd() -> Bool {
    guard byte() == 0x0A else { return false }
    at = jumps[at] ?? at + 1
    return true
  }

  mutating func skipLines() {
    repeat { skipBlanks() } while takeLineEnd()
  }

  // MARK: Lists

  /// The whole script; what cannot be read becomes ``ShellCommand/Kind/unreadable(_:)``.
  mutating func script() -> [ShellCommand] {
    var commands: [ShellCommand] = []
    var errors = 0
    while true {
      skipSeparators()
      if at >= bytes.count { return commands }
      let start = at
      do throws(ShellSyntaxError) {
        commands.append(try listItem())
      } catch {
        errors += 1
        depth = 0
        let place = position(error.offset)
        problems.append(
          Problem(
            .error, file: file, line: place.line, column: place.column, message: error.message,
            hint: place.line == position(start).line
              ? nil : "the command starts in line \(position(start).line)"))
        at = errors >= Self.mostErrors ? bytes.count : recovery(from: start, error: error.offset)
        commands.append(
          ShellCommand(
            .unreadable(String(bytes: bytes[start..<at]).trimmed), line: position(start).line))
      }
    }
  }

  /// Where to go on after an error. A compound command written the usual way ends with a keyword at the margin; a simple
  /// one ends with its line.
  private func recovery(from start: Int, error: Int) -> Int {
    func lineEnd(_ offset: Int) -> Int {
      var end = min(max(offset, start), bytes.count)
      while end < bytes.count, bytes[end] != 0x0A { end += 1 }
      return min(end + 1, bytes.count)
    }
    var probe = self
    probe.at = start
    let opener = probe.peekWord()
    let isCompound =
      ["if", "case", "for", "while", "until", "{", "function", "("].contains(opener)
      || String(bytes: bytes[start..<lineEnd(start)]).trimmed.utf8.last == 0x7B
    var end = lineEnd(isCompound ? start : error)
    guard isCompound else { return max(end, start + 1) }
    while end < bytes.count {
      let next = lineEnd(end)
      let text = String(bytes: bytes[end..<next]).words
      end = next
      if let first = text.first, first.column == 1, ["fi", "done", "esac", "}", ")"].contains(first.text) {
        return end
      }
    }
    return bytes.count
  }

  private mutating func skipSeparators() {
    while true {
      skipLines()
      guard byte() == 0x3B, byte(1) != 0x3B else { return }
      at += 1
    }
  }

  private static let closers: Set<String> = ["then", "else", "elif", "fi", "do", "done", "esac", "}"]

  /// Whether a list ends here: at a closing keyword, at `)`, at `;;` or at the end.
  private func listEnds() -> Bool {
    guard let next = byte() else { return true }
    if next == 0x29 { return true }
    if next == 0x3B, byte(1) == 0x3B || byte(1) == 0x26 { return true }
    return Self.closers.contains(peekWord())
  }

  /// Commands up to something that closes them, which stays.
  mutating func list() throws(ShellSyntaxError) -> [ShellCommand] {
    var commands: [ShellCommand] = []
    while true {
      skipLines()
      if listEnds() { return commands }
      commands.append(try listItem())
    }
  }

  /// One and-or list with the `;`, `&` or line end after it.
  private mutating func listItem() throws(ShellSyntaxError) -> ShellCommand {
    var command = try andOr()
    skipBlanks()
    if byte() == 0x26, byte(1) != 0x26 {
      at += 1
      command = ShellCommand(.background(command), line: command.line)
    } else if byte() == 0x3B, byte(1) != 0x3B, byte(1) != 0x26 {
      at += 1
    } else if byte() != nil, !takeLineEnd(), !listEnds() {
      throw unexpected()
    }
    return command
  }

  func unexpected() -> ShellSyntaxError {
    let word = peekWord()
    guard word.isEmpty else { return fail("unexpected \(word.quoted)") }
    guard let next = byte() else { return fail("the script ends in the middle of a command") }
    return fail("unexpected \(String(bytes: [next]).quoted)")
  }

  private mutating func andOr() throws(ShellSyntaxError) -> ShellCommand {
    let first = try pipeline()
    var rest: [ShellJoined] = []
    while true {
      skipBlanks()
      let isAnd = isNext("&&")
      guard isAnd || isNext("||") else { break }
      at += 2
      skipLines()
      rest.append(ShellJoined(isAnd: isAnd, command: try pipeline()))
    }
    return rest.isEmpty ? first : ShellCommand(.andOr(first, rest), line: first.line)
  }

  private mutating func pipeline() throws(ShellSyntaxError) -> ShellCommand {
    skipBlanks()
    let line = line
    var negated = false
    while peekWord() == "!" {
      at += 1
      negated.toggle()
      skipBlanks()
    }
    var commands = [try command()]
    while true {
      skipBlanks()
      guard byte() == 0x7C, byte(1) != 0x7C else { break }
      at += byte(1) == 0x26 ? 2 : 1
      skipLines()
      commands.append(try command())
    }
    if commands.count == 1, !negated { return commands[0] }
    return ShellCommand(.pipeline(commands, negated: negated), line: line)
  }

  // MARK: Compound commands

  private mutating func command() throws(ShellSyntaxError) -> ShellCommand {
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
  private mutating func arithmeticCommand() -> ShellCommand.Kind? {
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

  // MARK: Simple commands

  private mutating func simple() throws(ShellSyntaxError) -> ShellCommand {
    let line = line
    var assignments: [ShellAssignment] = []
    var words: [ShellWord] = []
    var redirections: [ShellRedirection] = []
    while true {
      skipBlanks()
      if let redirection = try redirection() {
        redirections.append(redirection)
      } else if words.isEmpty, let assignment = try assignment() {
        assignments.append(assignment)
      } else if let declared = try declaredArray(after: words.first?.bare) {
        words.append(declared)
      } else if let next = byte(), !Self.endsWord(next) || isNext("<(") || isNext(">(") {
        words.append(try word())
        if words.count == 1, assignments.isEmpty, redirections.isEmpty, let name = words[0].bare {
          if let body = try functionBody() {
            return ShellCommand(.function(name: name, body: body), line: line)
          }
        }
      } else {
        break
      }
    }
    if words.isEmpty, assignments.isEmpty, redirections.isEmpty { throw unexpected() }
    return ShellCommand(
      .simple(assignments: assignments, words: words), redirections: redirections, line: line)
  }

  /// `() body` after a name; `nil` when there are no parentheses.
  private mutating func functionBody() throws(ShellSyntaxError) -> ShellCommand? {
    let start = at
    skipBlanks()
    guard take("(") else {
      at = start
      return nil
    }
    skipBlanks()
    guard take(")") else { throw unexpected() }
    skipLines()
    return try command()
  }

  private mutating func assignment() throws(ShellSyntaxError) -> ShellAssignment? {
    guard let first = byte(), first.isNameStart else { return nil }
    var end = at
    while end < bytes.count, bytes[end].isNamePart { end += 1 }
    let name = String(bytes: bytes[at..<end])
    var appends = false
    if end + 1 < bytes.count, bytes[end] == 0x2B, bytes[end + 1] == 0x3D {
      appends = true
      end += 1
    }
    guard end < bytes.count, bytes[end] == 0x3D else { return nil }
    let line = line
    at = end + 1
    if byte() == 0x28 {
      at += 1
      var elements: [ShellWord] = []
      skipLines()
      while let next = byte(), next != 0x29 {
        if Self.endsWord(next) { throw unexpected() }
        elements.append(try word())
        skipLines()
      }
      guard take(")") else { throw unexpected() }
      return ShellAssignment(
        name: name, value: ShellWord(parts: [], line: line), elements: elements, appends: appends, line: line)
    }
    return ShellAssignment(name: name, value: try word(), elements: nil, appends: appends, line: line)
  }

  /// `declare -A x=(…)` of bash: an array among the words, which becomes `x=` and something unknown.
  private mutating func declaredArray(after command: String?) throws(ShellSyntaxError) -> ShellWord? {
    guard let command, ["declare", "typeset", "local", "readonly", "export"].contains(command) else {
      return nil
    }
    let start = at
    guard let assignment = try assignment() else { return nil }
    guard assignment.elements != nil else {
      at = start
      return nil
    }
    return ShellWord(
      parts: [
        .text(assignment.name + "=", quoted: true),
        .parameter(ShellParameter("", .other("array \(assignment.name)")), quoted: true),
      ], line: assignment.line)
  }

  // MARK: Redirections

  private mutating func redirection() throws(ShellSyntaxError) -> ShellRedirection? {
    let start = at
    let line = line
    var end = at
    while end < bytes.count, bytes[end].isDigit, end - at < 4 { end += 1 }
    guard end < bytes.count, bytes[end] == 0x3C || bytes[end] == 0x3E || (end == at && isNext("&>")) else {
      return nil
    }
    let number = String(bytes: bytes[at..<end]).decimal
    at = end
    if isNext("<(") || isNext(">(") {
      at = start
      return nil
    }
    let kind: ShellRedirection.Kind
    if take("&>>") || take("&>") {
      kind = .writeBoth
    } else if take("<<<") {
      kind = .hereString
    } else if take("<<-") {
      return try hereDocument(stripsTabs: true, descriptor: number ?? 0, line: line)
    } else if take("<<") {
      return try hereDocument(stripsTabs: false, descriptor: number ?? 0, line: line)
    } else if take("<>") {
      kind = .readWrite
    } else if take("<&") || take(">&") {
      kind = .duplicate
    } else if take(">>") {
      kind = .append
    } else if take(">|") || take(">") {
      kind = .write
    } else {
      at += 1
      kind = .read
    }
    let isInput = bytes[end] == 0x3C
    skipBlanks()
    guard let next = byte(), !Self.endsWord(next) || isNext("<(") || isNext(">(") else {
      throw fail("the redirection names no file")
    }
    let target = try word()
    var redirection = ShellRedirection(
      kind: kind, descriptor: number ?? (isInput ? 0 : 1), target: target, line: line)
    // ">&file" is bash's older spelling of "&>file".
    if kind == .duplicate, number == nil, !isInput, let text = target.literal, text != "-",
      text.decimal == nil
    {
      redirection.kind = .writeBoth
    }
    return redirection
  }

  private mutating func hereDocument(
    stripsTabs: Bool, descriptor: Int, line: Int
  ) throws(ShellSyntaxError) -> ShellRedirection {
    skipBlanks()
    let start = at
    guard let next = byte(), !Self.endsWord(next) else { throw fail("the here-document has no end word") }
    let word = try word()
    guard let delimiter = word.literal else {
      throw fail("the end word of a here-document cannot be expanded", at: start)
    }
    let isQuoted = word.bare == nil
    var lineEnd = at
    while lineEnd < bytes.count, bytes[lineEnd] != 0x0A { lineEnd += 1 }
    var here = jumps[lineEnd] ?? lineEnd + 1
    let textStart = min(here, bytes.count)
    var text: [UInt8] = []
    var isClosed = false
    while here < bytes.count {
      var end = here
      while end < bytes.count, bytes[end] != 0x0A { end += 1 }
      var content = bytes[here..<end]
      if stripsTabs { content = content.drop { $0 == 0x09 } }
      here = min(end + 1, bytes.count)
      if content.elementsEqual(delimiter.utf8) {
        isClosed = true
        break
      }
      text += content + [0x0A]
    }
    if !isClosed { warn("the here-document is never ended by \(delimiter.quoted)", at: start) }
    jumps[lineEnd] = here
    var target = ShellWord(
      parts: [.text(String(decoding: text, as: UTF8.self), quoted: true)], line: position(textStart).line)
    if !isQuoted {
      var inner = ShellParser(text, file: file, baseLine: position(textStart).line, depth: depth)
      target = try inner.hereText()
      problems += inner.problems
    }
    return ShellRedirection(kind: .hereDocument, descriptor: descriptor, target: target, line: line)
  }
}
