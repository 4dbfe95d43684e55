/// Words and what is expanded in them.
extension ShellParser {
  /// Gathers the parts of a word, joining neighbouring text.
  struct Parts {
    var parts: [ShellWord.Part] = []
    private var text: [UInt8] = []
    private var isQuoted = false

    mutating func add(_ byte: UInt8, quoted: Bool) {
      if quoted != isQuoted { flush() }
      isQuoted = quoted
      text.append(byte)
    }

    mutating func add(_ part: ShellWord.Part) {
      flush()
      parts.append(part)
    }

    mutating func flush() {
      if !text.isEmpty { parts.append(.text(String(decoding: text, as: UTF8.self), quoted: isQuoted)) }
      text.removeAll()
    }
  }

  /// One word, up to a blank or an operator.
  mutating func word() throws(ShellSyntaxError) -> ShellWord {
    let line = line
    var parts = Parts()
    if isNext("<(") || isNext(">(") {
      parts.add(.parameter(try processSubstitution(), quoted: true))
    }
    while let next = byte(), !Self.endsWord(next) { try piece(into: &parts) }
    parts.flush()
    return ShellWord(parts: parts.parts, line: line)
  }

  /// `<(…)` of bash: a path nobody knows. The commands in it are checked and kept as text.
  private mutating func processSubstitution() throws(ShellSyntaxError) -> ShellParameter {
    let start = at
    at += 2
    _ = try nested { (parser) throws(ShellSyntaxError) in try parser.list() }
    guard take(")") else { throw unexpected() }
    return ShellParameter("", .other(String(bytes: bytes[start..<at])))
  }

  /// One character, quoted stretch or expansion outside double quotes.
  private mutating func piece(into parts: inout Parts) throws(ShellSyntaxError) {
    let start = at
    guard let next = byte() else { return }
    at += 1
    switch next {
    case 0x5C:  // backslash
      guard let escaped = byte() else {
        parts.add(0x5C, quoted: true)
        return
      }
      at += 1
      if escaped != 0x0A { parts.add(escaped, quoted: true) }
    case 0x27:  // single quote
      guard let end = bytes[at...].firstIndex(of: 0x27) else {
        throw fail("the single quote is never closed", at: start)
      }
      parts.add(.text(String(bytes: bytes[at..<end]), quoted: true))
      at = end + 1
    case 0x22: try doubleQuoted(into: &parts, from: start)
    case 0x24 where byte() == 0x27: try ansiQuoted(into: &parts)
    case 0x24 where byte() == 0x22:
      at += 1
      try doubleQuoted(into: &parts, from: start)
    case 0x24: try dollar(into: &parts, quoted: false)
    case 0x60: try backticks(into: &parts, quoted: false, from: start)
    default: parts.add(next, quoted: false)
    }
  }

  /// What follows an opening double quote, with the closing one.
  private mutating func doubleQuoted(into parts: inout Parts, from start: Int) throws(ShellSyntaxError) {
    // An empty pair of quotes still makes a word.
    if byte() == 0x22 { parts.add(.text("", quoted: true)) }
    while let next = byte() {
      if next == 0x22 {
        at += 1
        return
      }
      try quotedPiece(into: &parts, escapable: [0x24, 0x60, 0x22, 0x5C])
    }
    throw fail("the double quote is never closed", at: start)
  }

  /// One character or expansion where only `$`, backticks and some backslashes mean anything.
  private mutating func quotedPiece(
    into parts: inout Parts, escapable: [UInt8]
  ) throws(ShellSyntaxError) {
    let start = at
    guard let next = byte() else { return }
    at += 1
    switch next {
    case 0x5C:
      if let escaped = byte(), escapable.contains(escaped) || escaped == 0x0A {
        at += 1
        if escaped != 0x0A { parts.add(escaped, quoted: true) }
      } else {
        parts.add(next, quoted: true)
      }
    case 0x24: try dollar(into: &parts, quoted: true)
    case 0x60: try backticks(into: &parts, quoted: true, from: start)
    default: parts.add(next, quoted: true)
    }
  }

  /// The whole text of a here-document that is expanded.
  mutating func hereText() throws(ShellSyntaxError) -> ShellWord {
    var parts = Parts()
    while byte() != nil { try quotedPiece(into: &parts, escapable: [0x24, 0x60, 0x5C]) }
    parts.flush()
    return ShellWord(parts: parts.parts, line: position(0).line)
  }

  /// `$'…'` of bash, with the escapes of C.
  private mutating func ansiQuoted(into parts: inout Parts) throws(ShellSyntaxError) {
    let start = at
    at += 1
    let escapes: [UInt8: UInt8] = [0x6E: 0x0A, 0x74: 0x09, 0x72: 0x0D, 0x61: 7, 0x62: 8, 0x65: 27]
    while let next = byte() {
      at += 1
      if next == 0x27 { return }
      guard next == 0x5C, let escaped = byte() else {
        parts.add(next, quoted: true)
        continue
      }
      at += 1
      parts.add(escapes[escaped] ?? escaped, quoted: true)
    }
    throw fail("the quote is never closed", at: start)
  }

  /// Backticks: the text between them, one level of backslashes removed, is a script of its own.
  private mutating func backticks(
    into parts: inout Parts, quoted: Bool, from start: Int
  ) throws(ShellSyntaxError) {
    var inner: [UInt8] = []
    while let next = byte(), next != 0x60 {
      at += 1
      if next == 0x5C, let escaped = byte(),
        [0x60, 0x5C, 0x24].contains(escaped) || (quoted && escaped == 0x22)
      {
        inner.append(escaped)
        at += 1
      } else {
        inner.append(next)
      }
    }
    guard take("`") else { throw fail("the backtick is never closed", at: start) }
    if depth >= Self.deepest {
      throw fail("more than \(Self.deepest) constructs inside one another", at: start)
    }
    var parser = ShellParser(inner, file: file, baseLine: position(start).line, depth: depth + 1)
    let commands = try parser.list()
    if parser.at < inner.count { throw fail("the command in backticks cannot be read", at: start) }
    problems += parser.problems
    parts.add(.command(commands, quoted: quoted))
  }

  /// What follows a dollar sign.
  private mutating func dollar(into parts: inout Parts, quoted: Bool) throws(ShellSyntaxError) {
    let start = at - 1
    guard let next = byte() else {
      parts.add(0x24, quoted: quoted)
      return
    }
    if next.isNameStart {
      let from = at
      while let next = byte(), next.isNamePart { at += 1 }
      parts.add(.parameter(ShellParameter(String(bytes: bytes[from..<at])), quoted: quoted))
    } else if next.isDigit || Self.isSpecial(next) {
      at += 1
      parts.add(.parameter(ShellParameter(String(bytes: [next])), quoted: quoted))
    } else if next == 0x7B {
      at += 1
      let parameter = try nested { (parser) throws(ShellSyntaxError) in
        try parser.braced(quoted: quoted, from: start)
      }
      parts.add(.parameter(parameter, quoted: quoted))
    } else if isNext("(("), let expression = try arithmetic() {
      parts.add(.arithmetic(expression, quoted: quoted))
    } else if next == 0x28 {
      at += 1
      let commands = try nested { (parser) throws(ShellSyntaxError) in try parser.list() }
      guard take(")") else {
        throw byte() == nil ? fail("'$(' is never closed", at: start) : unexpected()
      }
      parts.add(.command(commands, quoted: quoted))
    } else {
      parts.add(0x24, quoted: quoted)
    }
  }

  /// `@ * # ? $ ! -`
  static func isSpecial(_ byte: UInt8) -> Bool { [0x40, 0x2A, 0x23, 0x3F, 0x24, 0x21, 0x2D].contains(byte) }

  /// `$((…))`; `nil`, with nothing taken, when the parentheses do not close as two, so that it is a command.
  private mutating func arithmetic() throws(ShellSyntaxError) -> ShellWord? {
    let start = at
    let line = line
    // Decided by looking ahead, never by trying and going back: nested attempts would take exponential time.
    guard closesAsArithmetic(from: at + 2) else { return nil }
    at += 2
    var open = 0
    var parts = Parts()
    while let next = byte() {
      if next == 0x28 { open += 1 }
      if next == 0x29 {
        if open == 0 {
          guard isNext("))") else { throw fail("'$((' is never closed by '))'", at: start) }
          at += 2
          parts.flush()
          return ShellWord(parts: parts.parts, line: line)
        }
        open -= 1
      }
      if next == 0x22 {
        at += 1
        continue
      }
      try nested { (parser) throws(ShellSyntaxError) in
        try parser.quotedPiece(into: &parts, escapable: [0x24, 0x60, 0x5C])
      }
    }
    throw fail("'$((' is never closed by '))'", at: start)
  }

  private func closesAsArithmetic(from start: Int) -> Bool {
    var open = 0
    for offset in start..<max(start, bytes.count) {
      if bytes[offset] == 0x28 { open += 1 }
      if bytes[offset] == 0x29 {
        if open == 0 { return offset + 1 < bytes.count && bytes[offset + 1] == 0x29 }
        open -= 1
      }
    }
    return false
  }

  /// What stands between `${` and `}`.
  private mutating func braced(quoted: Bool, from start: Int) throws(ShellSyntaxError) -> ShellParameter {
    if byte() == 0x23, let after = byte(1), after != 0x7D {
      let mark = at
      at += 1
      let name = parameterName()
      if !name.isEmpty, take("}") { return ShellParameter(name, .length) }
      at = mark
    }
    let name = parameterName()
    guard !name.isEmpty else {
      // ${!x}, ${x[1]} and the like: bash; keep the text.
      return ShellParameter("", .other(try rawUntilBrace(from: start)))
    }
    if take("}") { return ShellParameter(name) }
    let emptyCounts = byte() == 0x3A && byte(1).map { [0x2D, 0x3D, 0x3F, 0x2B].contains($0) } ?? false
    if emptyCounts { at += 1 }
    let operation: ShellParameter.Operation
    if take("-") {
      operation = .orDefault(try wordUntilBrace(quoted: quoted, from: start), emptyCounts: emptyCounts)
    } else if take("=") {
      operation = .orAssign(try wordUntilBrace(quoted: quoted, from: start), emptyCounts: emptyCounts)
    } else if take("?") {
      operation = .orFail(try wordUntilBrace(quoted: quoted, from: start), emptyCounts: emptyCounts)
    } else if take("+") {
      operation = .alternative(try wordUntilBrace(quoted: quoted, from: start), emptyCounts: emptyCounts)
    } else if take("##") {
      operation = .withoutPrefix(try wordUntilBrace(quoted: false, from: start), longest: true)
    } else if take("#") {
      operation = .withoutPrefix(try wordUntilBrace(quoted: false, from: start), longest: false)
    } else if take("%%") {
      operation = .withoutSuffix(try wordUntilBrace(quoted: false, from: start), longest: true)
    } else if take("%") {
      operation = .withoutSuffix(try wordUntilBrace(quoted: false, from: start), longest: false)
    } else if byte() == 0x2F {
      at += 1
      let all = take("/")
      let pattern = try wordUntilBrace(quoted: false, from: start, orSlash: true)
      var replacement = ShellWord(parts: [], line: line)
      if bytes[at - 1] == 0x2F { replacement = try wordUntilBrace(quoted: quoted, from: start) }
      operation = .replacing(pattern, with: replacement, all: all)
    } else {
      operation = .other(try rawUntilBrace(from: start))
    }
    return ShellParameter(name, operation)
  }

  private mutating func parameterName() -> String {
    guard let first = byte() else { return "" }
    let start = at
    if first.isNameStart {
      while let next = byte(), next.isNamePart { at += 1 }
    } else if first.isDigit {
      while let next = byte(), next.isDigit { at += 1 }
    } else if Self.isSpecial(first) {
      at += 1
    }
    return String(bytes: bytes[start..<at])
  }

  /// The word of an expansion, with the brace that ends it (or the slash, where one is awaited).
  private mutating func wordUntilBrace(
    quoted: Bool, from start: Int, orSlash: Bool = false
  ) throws(ShellSyntaxError) -> ShellWord {
    let line = line
    var parts = Parts()
    while let next = byte() {
      if next == 0x7D || (orSlash && next == 0x2F) {
        at += 1
        parts.flush()
        return ShellWord(parts: parts.parts, line: line)
      }
      if quoted, next == 0x22 {  // "${x:-"y"}": the inner quotes come off.
        at += 1
      } else if quoted {
        try quotedPiece(into: &parts, escapable: [0x24, 0x60, 0x22, 0x5C, 0x7D])
      } else {
        try piece(into: &parts)
      }
    }
    throw fail("'${' is never closed", at: start)
  }

  private mutating func rawUntilBrace(from start: Int) throws(ShellSyntaxError) -> String {
    let from = at
    while let next = byte(), next != 0x0A {
      at += 1
      if next == 0x7D { return String(bytes: bytes[from..<(at - 1)]) }
    }
    throw fail("'${' is never closed", at: start)
  }
}
