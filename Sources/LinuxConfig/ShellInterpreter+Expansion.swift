/// Expansion of words: parameters, commands, arithmetic, field splitting, file names.
extension ShellInterpreter {
  /// A stretch of an expanded word.
  private enum Atom {
    /// Text; `splits` for the result of an unquoted expansion.
    case text(String, quoted: Bool, splits: Bool)
    case unknown(quoted: Bool)
    /// Between two elements of `"$@"`.
    case boundary
  }

  // MARK: Results

  /// A word as one value: for assignments, `case`, redirections.
  mutating func expandToOne(_ word: ShellWord) -> ShellValue {
    var value = ShellValue("")
    for atom in atoms(word, quoted: false) {
      switch atom {
      case .text(let text, _, _): value.append(text)
      case .unknown: value.append(nil as String?)
      case .boundary: value.append(" ")
      }
    }
    return value
  }

  /// A word as a pattern, in which quoted characters stand for themselves.
  mutating func expandPattern(_ word: ShellWord) -> ShellPattern {
    ShellPattern(
      atoms(word, quoted: false).map { atom -> (text: String?, quoted: Bool) in
        switch atom {
        case .text(let text, let quoted, _): (text, quoted)
        case .unknown: (nil, true)
        case .boundary: (" ", true)
        }
      })
  }

  /// Words as fields: split, and with file names matched. A field that is unknown altogether stands for any number.
  mutating func expandFields(_ words: [ShellWord]) -> [ShellValue] {
    var fields: [ShellValue] = []
    for word in words {
      for field in split(atoms(word, quoted: false)) {
        fields += expandFileNames(field)
        if fields.count > 10_000 {
          note(.limit, "more than 10000 words", line: word.line)
          result.isComplete = false
          return fields
        }
      }
    }
    return fields
  }

  private typealias Field = [(text: String?, quoted: Bool)]

  private mutating func split(_ atoms: [Atom]) -> [Field] {
    let separators = Array((variables["IFS"].map { $0.known ?? " \t\n" } ?? " \t\n").utf8)
    var fields: [Field] = []
    var current: Field = []
    var isOpen = false
    func isBlank(_ byte: UInt8) -> Bool { byte.isSpace }
    for atom in atoms {
      switch atom {
      case .unknown(let quoted):
        current.append((nil, quoted))
        isOpen = true
      case .boundary:
        if isOpen { fields.append(current) }
        current = []
        isOpen = false
      case .text(let text, let quoted, false):
        current.append((text, quoted))
        if quoted || !text.isEmpty { isOpen = true }
      case .text(let text, let quoted, true):
        var run: [UInt8] = []
        for byte in text.utf8 {
          guard separators.contains(byte) else {
            run.append(byte)
            continue
          }
          if !run.isEmpty {
            current.append((String(bytes: run), quoted))
            isOpen = true
          }
          // A separator that is no blank delimits a field even when it is empty.
          if isOpen || !isBlank(byte) { fields.append(current) }
          (current, isOpen, run) = ([], false, [])
        }
        if !run.isEmpty {
          current.append((String(bytes: run), quoted))
          isOpen = true
        }
      }
    }
    if isOpen { fields.append(current) }
    return fields
  }

  private mutating func expandFileNames(_ field: Field) -> [ShellValue] {
    let plain = ShellValue(pieces: field.map(\.text))
    let hasWildcard = field.contains { piece in
      !piece.quoted && (piece.text?.utf8.contains { $0 == 0x2A || $0 == 0x3F || $0 == 0x5B } ?? false)
    }
    guard hasWildcard, plain.isKnown else { return [plain] }
    // Split into the parts of the path, each a pattern.
    var parts: [Field] = [[]]
    for piece in field {
      let texts = (piece.text ?? "").utf8.split(separator: 0x2F, omittingEmptySubsequences: false)
      for (index, text) in texts.enumerated() {
        if index > 0 { parts.append([]) }
        parts[parts.count - 1].append((String(bytes: text), piece.quoted))
      }
    }
    let text = plain.known ?? ""
    let isAbsolute = text.utf8.first == 0x2F
    guard let start = isAbsolute ? "/" : directory else { return [.unknown] }
    var found: [(path: String, shown: String)] = [(start, isAbsolute ? "/" : "")]
    for part in parts where !part.allSatisfy({ ($0.text ?? "").isEmpty }) {
      let pattern = ShellPattern(part)
      var next: [(path: String, shown: String)] = []
      for place in found {
        func step(_ name: String) -> (path: String, shown: String) {
          let separator = place.shown.isEmpty || place.shown.utf8.last == 0x2F ? "" : "/"
          return (TreePath.join(place.path, name), place.shown + separator + name)
        }
        guard pattern.isWild else {
          let target = step(part.map { $0.text ?? "" }.joined())
          switch lookUp(target.path, followLast: false) {
          case .found: next.append(target)
          case .absent: break
          case .unknown: return [.unknown]
          }
          continue
        }
        switch lookUp(place.path) {
        case .unknown: return [.unknown]
        case .found(_, .directory(let names)):
          let showsHidden = pattern.items.first == .byte(0x2E)
          next += names.filter { (showsHidden || $0.utf8.first != 0x2E) && pattern.matches($0.utf8) }.map(
            step)
        case .found, .absent: break
        }
      }
      found = next
    }
    return found.isEmpty ? [plain] : found.map { ShellValue($0.shown) }
  }

  // MARK: Parts

  private mutating func atoms(_ word: ShellWord, quoted outer: Bool) -> [Atom] {
    var atoms: [Atom] = []
    depth += 1
    defer { depth -= 1 }
    guard depth <= limits.depth else {
      note(.limit, "depth", line: word.line)
      result.isComplete = false
      return [.unknown(quoted: outer)]
    }
    for part in word.parts {
      switch part {
      case .text(let text, let quoted): atoms.append(.text(text, quoted: quoted || outer, splits: false))
      case .parameter(let parameter, let quoted):
        atoms += self.atoms(parameter, quoted: quoted || outer, line: word.line)
      case .command(let commands, let quoted):
        atoms += Self.atoms(substitute(commands), quoted: quoted || outer)
      case .arithmetic(let expression, let quoted):
        atoms += Self.atoms(arithmetic(expandToOne(expression), line: word.line), quoted: quoted || outer)
      }
    }
    return atoms
  }

  private static func atoms(_ value: ShellValue, quoted: Bool) -> [Atom] {
    if value.pieces.isEmpty { return [.text("", quoted: quoted, splits: !quoted)] }
    return value.pieces.map { piece in
      piece.map { .text($0, quoted: quoted, splits: !quoted) } ?? .unknown(quoted: quoted)
    }
  }

  /// `$(…)`: what the commands write, without the line ends at its end.
  mutating func substitute(_ commands: [ShellCommand]) -> ShellValue {
    sinks.append(ShellSink(text: ""))
    let flow = inSubshell { $0.execute(commands) }
    if case .exit = flow { status = .unknown }
    guard let text = sinks.removeLast().text else { return .unknown }
    var pieces = text.pieces
    while let last = pieces.last, let known = last {
      let kept = known.utf8.reversed().drop { $0 == 0x0A }.count
      if kept == known.utf8.count { break }
      pieces.removeLast()
      if kept > 0 {
        pieces.append(String(bytes: known.utf8.prefix(kept)))
        break
      }
    }
    return ShellValue(pieces: pieces)
  }

  private mutating func atoms(_ parameter: ShellParameter, quoted: Bool, line: Int) -> [Atom] {
    if parameter.name == "@" || parameter.name == "*", case .value = parameter.operation {
      let isJoined = parameter.name == "*" && quoted
      if isJoined {
        return Self.atoms(allArguments, quoted: true)
      }
      var atoms: [Atom] = []
      for (index, argument) in frame.arguments.enumerated() {
        if index > 0 { atoms.append(.boundary) }
        atoms += Self.atoms(argument, quoted: quoted)
      }
      return atoms
    }
    let current = value(of: parameter.name)
    /// Whether the parameter counts as absent; `nil` when that is not known.
    func isAbsent(_ emptyCounts: Bool) -> Bool? {
      guard let current else { return true }
      return emptyCounts ? current.isEmpty : false
    }
    switch parameter.operation {
    case .value: return Self.atoms(current ?? "", quoted: quoted)
    case .length:
      let length = (current ?? "").known.map { ShellValue("\($0.unicodeScalars.count)") }
      return Self.atoms(length ?? .unknown, quoted: quoted)
    case .orDefault(let word, let emptyCounts):
      switch isAbsent(emptyCounts) {
      case true?: return result(of: word, quoted: quoted)
      case false?: return Self.atoms(current ?? "", quoted: quoted)
      case nil: return [.unknown(quoted: quoted)]
      }
    case .orAssign(let word, let emptyCounts):
      switch isAbsent(emptyCounts) {
      case true?:
        let value = expandToOne(word)
        assign(parameter.name, value)
        return Self.atoms(value, quoted: quoted)
      case false?: return Self.atoms(current ?? "", quoted: quoted)
      case nil:
        assign(parameter.name, .unknown)
        return [.unknown(quoted: quoted)]
      }
    case .orFail(_, let emptyCounts):
      if isAbsent(emptyCounts) == true {
        note(.notModelled, "${\(parameter.name):?…} would end the script", line: line)
      }
      return Self.atoms(current ?? .unknown, quoted: quoted)
    case .alternative(let word, let emptyCounts):
      switch isAbsent(emptyCounts) {
      case true?: return Self.atoms("", quoted: quoted)
      case false?: return result(of: word, quoted: quoted)
      case nil: return [.unknown(quoted: quoted)]
      }
    case .withoutPrefix(let word, let longest):
      return Self.atoms(
        trim(current ?? "", expandPattern(word)) { pattern, bytes in
          pattern.prefixLength(of: bytes, longest: longest).map { bytes[$0...] }
        }, quoted: quoted)
    case .withoutSuffix(let word, let longest):
      return Self.atoms(
        trim(current ?? "", expandPattern(word)) { pattern, bytes in
          pattern.suffixStart(of: bytes, longest: longest).map { bytes[..<$0] }
        }, quoted: quoted)
    case .replacing(let pattern, let replacement, let all):
      let pattern = expandPattern(pattern)
      let value = replace(current ?? "", pattern, with: expandToOne(replacement), all: all)
      return Self.atoms(value, quoted: quoted)
    case .other(let text):
      note(.notModelled, "${\(parameter.name)\(text)}", line: line)
      return [.unknown(quoted: quoted)]
    }
  }

  /// A word that an expansion results in: its own blanks, too, part fields, as in `${name:+-u "$name"}`.
  private mutating func result(of word: ShellWord, quoted: Bool) -> [Atom] {
    atoms(word, quoted: quoted).map { atom in
      if case .text(let text, false, _) = atom { .text(text, quoted: false, splits: true) } else { atom }
    }
  }

  private func trim(
    _ value: ShellValue, _ pattern: ShellPattern, _ cut: (ShellPattern, [UInt8]) -> ArraySlice<UInt8>?
  ) -> ShellValue {
    guard let text = value.known, !pattern.hasUnknown else { return .unknown }
    let bytes = Array(text.utf8)
    // Every prefix is tried, each in the product of both lengths.
    guard bytes.count <= 4096, bytes.count * bytes.count * pattern.items.count <= 50_000_000 else {
      return .unknown
    }
    return cut(pattern, bytes).map { ShellValue(String(bytes: $0)) } ?? value
  }

  private func replace(
    _ value: ShellValue, _ pattern: ShellPattern, with replacement: ShellValue, all: Bool
  ) -> ShellValue {
    guard let text = value.known, let new = replacement.known, !pattern.hasUnknown, text.utf8.count <= 512,
      !pattern.items.isEmpty
    else { return .unknown }
    let bytes = Array(text.utf8)
    var output: [UInt8] = []
    var at = 0
    while at < bytes.count {
      if let length = pattern.prefixLength(of: Array(bytes[at...]), longest: true), length > 0 {
        output += Array(new.utf8)
        at += length
        if !all {
          output += bytes[at...]
          break
        }
      } else {
        output.append(bytes[at])
        at += 1
      }
    }
    return ShellValue(String(bytes: output))
  }

  // MARK: Variables

  private var allArguments: ShellValue {
    var joined = ShellValue("")
    for (index, argument) in frame.arguments.enumerated() {
      if index > 0 { joined.append(" ") }
      joined.append(argument)
    }
    return joined
  }

  /// The value of a parameter; `nil` when it is not set.
  func value(of name: String) -> ShellValue? {
    switch name {
    case "@", "*": return frame.arguments.isEmpty ? nil : allArguments
    case "#": return ShellValue("\(frame.arguments.count)")
    case "?":
      if case .code(let code) = status { return ShellValue("\(code)") }
      return .unknown
    case "$", "!": return .unknown
    case "-": return ShellValue(isErrexit ? "e" : "")
    case "0": return ShellValue(frame.name)
    default:
      guard let number = name.decimal else { return variables[name] }
      return frame.arguments.indices.contains(number - 1) ? frame.arguments[number - 1] : nil
    }
  }

  /// Sets a variable.
  mutating func assign(_ name: String, _ value: ShellValue) {
    guard !readonly.contains(name) else { return }
    variables[name] = value
  }
}
