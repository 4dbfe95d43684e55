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
  var jumps: [Int: Int] = [:]

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

  static let closers: Set<String> = ["then", "else", "elif", "fi", "do", "done", "esac", "}"]

  /// Whether a list ends here: at a closing keyword, at `)`, at `;;` or at the end.
  func listEnds() -> Bool {
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
  mutating func listItem() throws(ShellSyntaxError) -> ShellCommand {
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

  // MARK: Simple commands

  mutating func simple() throws(ShellSyntaxError) -> ShellCommand {
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
  mutating func functionBody() throws(ShellSyntaxError) -> ShellCommand? {
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

  mutating func assignment() throws(ShellSyntaxError) -> ShellAssignment? {
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
  mutating func declaredArray(after command: String?) throws(ShellSyntaxError) -> ShellWord? {
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
}
