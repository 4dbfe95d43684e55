/// `[`, `test` and `[[`: conditions with three answers.
private enum TestOperator {
  static let unary: Set<String> = [
    "-b", "-c", "-d", "-e", "-f", "-g", "-h", "-k", "-L", "-n", "-O", "-G", "-p", "-r", "-S", "-s", "-t",
    "-u", "-w",
    "-x", "-z",
  ]
  static let binary: Set<String> = [
    "=", "==", "!=", "<", ">", "-eq", "-ne", "-lt", "-le", "-gt", "-ge", "-nt", "-ot", "-ef", "=~",
  ]
}

extension ShellInterpreter {
  /// The status of `test`: 0 true, 1 false, 2 when the arguments make no sense.
  mutating func test(_ arguments: [ShellValue]) -> ShellStatus {
    var reader = TestReader(words: arguments, patterns: [:])
    let value = disjunction(&reader)
    if reader.isBroken || reader.at < reader.words.count {
      // An unknown word may be empty, or several words; then nothing can be said about the syntax.
      return arguments.contains { !$0.isKnown } ? .unknown : .code(2)
    }
    return value.map { $0 ? .zero : .nonzero } ?? .unknown
  }

  mutating func doubleBracket(_ words: [ShellWord], line: Int) -> ShellStatus {
    var reader = TestReader(words: [], patterns: [:])
    reader.isDouble = true
    for word in words.dropFirst().dropLast() {
      if let bare = word.bare, ["&&", "||", "(", ")", "!", "<", ">"].contains(bare) {
        reader.operators.insert(reader.words.count)
      }
      if let operation = reader.words.last?.known, ["=", "==", "!="].contains(operation) {
        reader.patterns[reader.words.count] = expandPattern(word)
      }
      reader.words.append(expandToOne(word))
    }
    let value = disjunction(&reader)
    if reader.isBroken || reader.at < reader.words.count {
      note(.notModelled, words.map(ShellText.of).joined(separator: " "), line: line)
      return .unknown
    }
    return value.map { $0 ? .zero : .nonzero } ?? .unknown
  }

  /// The words of a test and how far they are read.
  struct TestReader {
    var words: [ShellValue]
    /// Right sides of `==` in `[[`, by index.
    var patterns: [Int: ShellPattern]
    /// Indices of words that are operators of `[[` because they are not quoted.
    var operators: Set<Int> = []
    var at = 0
    var depth = 0
    var isBroken = false
    var isDouble = false

    func word(_ ahead: Int = 0) -> String? { at + ahead < words.count ? words[at + ahead].known : nil }
    var left: Int { words.count - at }
  }

  private mutating func disjunction(_ reader: inout TestReader) -> Bool? {
    var value = conjunction(&reader)
    while !reader.isBroken, reader.word() == (reader.isDouble ? "||" : "-o") {
      reader.at += 1
      let right = conjunction(&reader)
      value = value == true || right == true ? true : value == nil || right == nil ? nil : false
    }
    return value
  }

  private mutating func conjunction(_ reader: inout TestReader) -> Bool? {
    var value = primary(&reader)
    while !reader.isBroken, reader.word() == (reader.isDouble ? "&&" : "-a") {
      reader.at += 1
      let right = primary(&reader)
      value = value == false || right == false ? false : value == nil || right == nil ? nil : true
    }
    return value
  }

  private mutating func primary(_ reader: inout TestReader) -> Bool? {
    reader.depth += 1
    defer { reader.depth -= 1 }
    if reader.depth > 100 {
      reader.isBroken = true
      return nil
    }
    guard reader.left > 0 else {
      // `[ ]` is false; an operand missing elsewhere is an error.
      reader.isBroken = reader.at > 0
      return false
    }
    // POSIX: with three words a binary operator in the middle decides, whatever the first word looks like.
    if reader.left >= 3, let operation = reader.word(1), TestOperator.binary.contains(operation) {
      let index = reader.at
      reader.at += 3
      return compare(reader.words[index], operation, reader.words[index + 2], reader.patterns[index + 2])
    }
    if reader.word() == "!", reader.left > 1 {
      reader.at += 1
      return primary(&reader).map { !$0 }
    }
    if reader.word() == "(", reader.left > 2 {
      reader.at += 1
      let value = disjunction(&reader)
      if reader.word() == ")" { reader.at += 1 } else { reader.isBroken = true }
      return value
    }
    if let operation = reader.word(), TestOperator.unary.contains(operation), reader.left > 1 {
      let operand = reader.words[reader.at + 1]
      reader.at += 2
      return unary(operation, operand)
    }
    let word = reader.words[reader.at]
    reader.at += 1
    return word.isEmpty.map { !$0 }
  }

  private mutating func compare(
    _ left: ShellValue, _ operation: String, _ right: ShellValue, _ pattern: ShellPattern?
  ) -> Bool? {
    switch operation {
    case "=", "==", "!=":
      let equal = pattern.map { ShellPattern.matches(left, $0) } ?? areEqual(left, right)
      return operation == "!=" ? equal.map { !$0 } : equal
    case "<", ">":
      guard let left = left.known, let right = right.known else { return nil }
      return operation == "<" ? TreePath.sortsBefore(left, right) : TreePath.sortsBefore(right, left)
    case "-nt", "-ot", "-ef", "=~": return nil
    default:
      guard let left = left.known, let right = right.known else { return nil }
      guard let left = Int(left.trimmed), let right = Int(right.trimmed) else { return false }
      switch operation {
      case "-eq": return left == right
      case "-ne": return left != right
      case "-lt": return left < right
      case "-le": return left <= right
      case "-gt": return left > right
      default: return left >= right
      }
    }
  }

  /// Whether two values are equal; known to differ also when what they start with differs.
  private func areEqual(_ left: ShellValue, _ right: ShellValue) -> Bool? {
    if let left = left.known, let right = right.known { return left == right }
    let (one, other) = (Array(left.knownPrefix.utf8), Array(right.knownPrefix.utf8))
    let common = min(one.count, other.count)
    if one[..<common] != other[..<common] { return false }
    // A known text that is shorter than what the other certainly holds cannot be equal.
    let least = { (value: ShellValue) in value.pieces.reduce(0) { $0 + ($1?.utf8.count ?? 0) } }
    if let known = left.known, known.utf8.count < least(right) { return false }
    if let known = right.known, known.utf8.count < least(left) { return false }
    return nil
  }

  private mutating func unary(_ operation: String, _ operand: ShellValue) -> Bool? {
    switch operation {
    case "-n": return operand.isEmpty.map { !$0 }
    case "-z": return operand.isEmpty
    case "-t": return nil
    default: break
    }
    if operand.isEmpty == true { return false }
    guard let path = absolute(operand) else { return nil }
    let isLinkTest = operation == "-h" || operation == "-L"
    if path == "/dev/null" { return ["-e", "-c", "-r", "-w"].contains(operation) }
    switch lookUp(path, followLast: !isLinkTest) {
    case .unknown: return nil
    case .absent: return false
    case .found(_, let node):
      switch (operation, node) {
      case ("-d", .directory), ("-f", .file), ("-h", .link), ("-L", .link): return true
      case ("-d", _), ("-f", _), ("-h", _), ("-L", _): return false
      case ("-s", .file(let bytes)): return unknownFiles.contains(path) ? nil : !bytes.isEmpty
      case ("-s", _), ("-e", _), ("-r", _), ("-w", _): return true
      // A tree has no permissions; what scripts ask -x of is meant to be run.
      case ("-x", _): return true
      case ("-b", .directory), ("-c", .directory), ("-p", .directory), ("-S", .directory): return false
      default: return nil
      }
    }
  }
}
