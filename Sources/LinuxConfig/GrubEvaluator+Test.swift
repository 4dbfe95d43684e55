/// `test` and `[` of GRUB 2 (commands/test.c).
extension GrubEvaluator {
  /// `test EXPRESSION` as commands/test.c reads it.
  mutating func test(_ words: [String], line: Int) -> Bool {
    var at = 0
    let value = disjunction(words, &at, line: line, depth: 0)
    if at < words.count { problem("the condition has \(words[at].quoted) too much", line: line) }
    return value
  }

  private mutating func disjunction(_ words: [String], _ at: inout Int, line: Int, depth: Int) -> Bool {
    var value = conjunction(words, &at, line: line, depth: depth)
    while at < words.count, words[at] == "-o" {
      at += 1
      let right = conjunction(words, &at, line: line, depth: depth)
      value = value || right
    }
    return value
  }

  private mutating func conjunction(_ words: [String], _ at: inout Int, line: Int, depth: Int) -> Bool {
    var value = primary(words, &at, line: line, depth: depth)
    while at < words.count, words[at] == "-a" {
      at += 1
      let right = primary(words, &at, line: line, depth: depth)
      value = value && right
    }
    return value
  }

  private mutating func primary(_ words: [String], _ at: inout Int, line: Int, depth: Int) -> Bool {
    guard at < words.count, depth < 50 else { return false }
    if at + 2 < words.count, let value = compare(words[at], words[at + 1], words[at + 2]) {
      at += 3
      return value
    }
    let word = words[at]
    at += 1
    if word == "!", at < words.count { return !primary(words, &at, line: line, depth: depth + 1) }
    if word == "(" {
      let value = disjunction(words, &at, line: line, depth: depth + 1)
      if at < words.count, words[at] == ")" { at += 1 } else { problem("'(' is not closed", line: line) }
      return value
    }
    if ["-d", "-e", "-f", "-s", "-n", "-z"].contains(word), at < words.count {
      let operand = words[at]
      at += 1
      switch word {
      case "-n": return !operand.isEmpty
      case "-z": return operand.isEmpty
      default: break
      }
      switch (word, node(operand)) {
      case (_, nil): return false
      case ("-d", .directory?), ("-e", _?), ("-f", .file?), ("-f", .link?): return true
      case ("-s", .file(let bytes)?): return !bytes.isEmpty
      default: return false
      }
    }
    return !word.isEmpty
  }

  /// A comparison; `nil` when the middle word is no operator.
  private mutating func compare(_ left: String, _ operation: String, _ right: String) -> Bool? {
    func numbers(_ test: (Int, Int) -> Bool) -> Bool { test(Self.number(left), Self.number(right)) }
    switch operation {
    case "=", "==": return left == right
    case "!=": return left != right
    case "<": return TreePath.sortsBefore(left, right)
    case ">": return TreePath.sortsBefore(right, left)
    case "<=": return !TreePath.sortsBefore(right, left)
    case ">=": return !TreePath.sortsBefore(left, right)
    case "-eq": return numbers(==)
    case "-ne": return numbers(!=)
    case "-lt": return numbers(<)
    case "-le": return numbers(<=)
    case "-gt": return numbers(>)
    case "-ge": return numbers(>=)
    case "-nt", "-ot": return false  // A tree has no times.
    default: return nil
    }
  }

  /// `strtol` takes the number a text starts with, or 0.
  private static func number(_ text: String) -> Int {
    let isNegative = text.utf8.first == 0x2D
    let digits = text.utf8.dropFirst(isNegative ? 1 : 0).prefix { $0.isDigit }
    let value = Int(String(bytes: digits)) ?? (digits.isEmpty ? 0 : Int.max)
    return isNegative ? -value : value
  }
}
