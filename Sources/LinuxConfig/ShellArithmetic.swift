/// `$((…))`: integers as C computes them, with overflow that wraps.
struct ShellArithmetic {
  private let bytes: [UInt8]
  private var at = 0
  private var depth = 0
  /// The value of a variable as text; `nil` when it is not known.
  private let variable: (String) -> String?
  /// Variables the expression assigns, in order.
  private(set) var assignments: [(name: String, value: Int)] = []

  init(_ text: String, variable: @escaping (String) -> String?) {
    bytes = Array(text.utf8)
    self.variable = variable
  }

  private static let levels: [[String]] = [
    ["||"], ["&&"], ["|"], ["^"], ["&"], ["==", "!="], ["<=", ">=", "<", ">"], ["<<", ">>"], ["+", "-"],
    ["*", "/", "%"],
  ]

  /// The value of the whole text; `nil` when it cannot be computed.
  mutating func evaluate() -> Int? {
    skipBlanks()
    if at == bytes.count { return 0 }
    guard let value = conditional() else { return nil }
    return at == bytes.count ? value : nil
  }

  private mutating func skipBlanks() { while at < bytes.count, bytes[at].isSpace { at += 1 } }

  private func isNext(_ text: String) -> Bool { bytes[at...].starts(with: text.utf8) }

  private mutating func take(_ text: String) -> Bool {
    skipBlanks()
    guard isNext(text) else { return false }
    at += text.utf8.count
    skipBlanks()
    return true
  }

  private mutating func conditional() -> Int? {
    depth += 1
    defer { depth -= 1 }
    guard depth < 40 else { return nil }
    if let value = assignment() { return value }
    guard let condition = level(0) else { return nil }
    guard take("?") else { return condition }
    guard let first = conditional(), take(":"), let second = conditional() else { return nil }
    return condition != 0 ? first : second
  }

  /// `x = value`, `x += value`; `nil`, with nothing read, when it is none.
  private mutating func assignment() -> Int? {
    let start = at
    guard at < bytes.count, bytes[at].isNameStart else { return nil }
    let name = takeName()
    for operation in ["=", "+=", "-=", "*="] where !name.isEmpty {
      skipBlanks()
      guard isNext(operation), !isNext("==") else { continue }
      at += operation.utf8.count
      skipBlanks()
      guard let value = conditional() else { break }
      let old = operation == "=" ? 0 : number(variable(name) ?? "?") ?? 0
      let new =
        switch operation {
        case "+=": old &+ value
        case "-=": old &- value
        case "*=": old &* value
        default: value
        }
      assignments.append((name, new))
      return new
    }
    at = start
    return nil
  }

  private mutating func level(_ index: Int) -> Int? {
    guard index < Self.levels.count else { return unary() }
    guard var left = level(index + 1) else { return nil }
    while true {
      skipBlanks()
      guard let operation = Self.levels[index].first(where: { isNext($0) }) else { return left }
      let after = at + operation.utf8.count
      // "<" of "<<", "|" of "||" and "&" of "&&" belong to other levels.
      if operation.utf8.count == 1, after < bytes.count, let sign = operation.utf8.first,
        bytes[after] == sign, [0x3C, 0x3E, 0x7C, 0x26].contains(sign)
      {
        return left
      }
      at = after
      guard let right = level(index + 1), let value = Self.apply(operation, left, right) else { return nil }
      left = value
    }
  }

  private static func apply(_ operation: String, _ left: Int, _ right: Int) -> Int? {
    switch operation {
    case "||": return left != 0 || right != 0 ? 1 : 0
    case "&&": return left != 0 && right != 0 ? 1 : 0
    case "|": return left | right
    case "^": return left ^ right
    case "&": return left & right
    case "==": return left == right ? 1 : 0
    case "!=": return left != right ? 1 : 0
    case "<=": return left <= right ? 1 : 0
    case ">=": return left >= right ? 1 : 0
    case "<": return left < right ? 1 : 0
    case ">": return left > right ? 1 : 0
    case "<<": return (0..<64).contains(right) ? left << right : nil
    case ">>": return (0..<64).contains(right) ? left >> right : nil
    case "+": return left &+ right
    case "-": return left &- right
    case "*": return left &* right
    case "/": return right == 0 ? nil : left.dividedReportingOverflow(by: right).partialValue
    default: return right == 0 ? nil : left.remainderReportingOverflow(dividingBy: right).partialValue
    }
  }

  private mutating func unary() -> Int? {
    depth += 1
    defer { depth -= 1 }
    guard depth < 40 else { return nil }
    skipBlanks()
    guard at < bytes.count else { return nil }
    if isNext("++") || isNext("--") {
      let step = isNext("++") ? 1 : -1
      at += 2
      let name = takeName()
      guard !name.isEmpty, let old = number(variable(name) ?? "?") else { return nil }
      assignments.append((name, old &+ step))
      return old &+ step
    }
    if take("-") { return unary().map { 0 &- $0 } }
    if take("+") { return unary() }
    if take("!") { return unary().map { $0 == 0 ? 1 : 0 } }
    if take("~") { return unary().map { ~$0 } }
    if take("(") {
      guard let value = conditional(), take(")") else { return nil }
      return value
    }
    if bytes[at].isDigit {
      let start = at
      while at < bytes.count, bytes[at].isNamePart { at += 1 }
      return number(String(bytes: bytes[start..<at]))
    }
    let name = takeName()
    guard !name.isEmpty, let text = variable(name), let value = number(text) else { return nil }
    if isNext("++") || isNext("--") {
      assignments.append((name, value &+ (isNext("++") ? 1 : -1)))
      at += 2
    }
    return value
  }

  private mutating func takeName() -> String {
    let start = at
    guard at < bytes.count, bytes[at].isNameStart else { return "" }
    while at < bytes.count, bytes[at].isNamePart { at += 1 }
    return String(bytes: bytes[start..<at])
  }

  /// A number as C writes it: decimal, `0x…`, `0…`; an empty text is 0.
  private func number(_ text: String) -> Int? {
    let text = text.trimmed
    if text.isEmpty { return 0 }
    if let hex = text.dropping(prefix: "0x") ?? text.dropping(prefix: "0X") { return Int(hex, radix: 16) }
    if text.utf8.count > 1, text.utf8.first == 0x30 { return Int(text, radix: 8) }
    return Int(text)
  }
}

extension ShellInterpreter {
  /// The value of an arithmetic expression after its own expansions; assignments in it are done.
  mutating func arithmetic(_ text: ShellValue, line: Int) -> ShellValue {
    guard let known = text.known else { return .unknown }
    let variables = variables
    var expression = ShellArithmetic(known) { name in variables[name].map { $0.known } ?? "" }
    guard let value = expression.evaluate() else {
      let near = known.utf8.split { !$0.isNamePart }.map { String(bytes: $0) }
      if near.allSatisfy({ variables[$0]?.isKnown ?? true }) {
        note(.notModelled, "$((\(known)))", line: line)
      }
      return .unknown
    }
    for (name, value) in expression.assignments { assign(name, ShellValue("\(value)")) }
    return ShellValue("\(value)")
  }
}
