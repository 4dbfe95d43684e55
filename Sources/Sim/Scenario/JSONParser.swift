import LinuxConfig

/// Reads JSON text (RFC 8259) and what JSON5 adds for people: comments, trailing commas, unquoted names, and
/// texts in single quotes.
///
/// Foundation's decoder names no line and lets a name that comes twice through. This parser gives each value
/// its place, and goes on after a mistake where it can tell what was meant, so that one run shows every
/// mistake. No input makes it trap: depth, size and the number of problems are bounded.
public struct JSONParser {
  /// The deepest nesting of lists and objects that is read.
  public static let depthLimit = 256
  /// The largest text that is read, in bytes. Whoever reads the file needs to read no more than one byte
  /// beyond it.
  public static let sizeLimit = 64 << 20
  /// The most values that are read, so that a text of the largest size cannot fill the memory.
  public static let valueLimit = 4_000_000
  /// After so many problems the rest of the text is not looked at.
  public static let problemLimit = 50

  let bytes: [UInt8]
  let file: String
  var position = 0
  var line = 1
  var lineStart = 0
  /// What closes each list and object that is open here.
  private var closers: [UInt8] = []
  var problems: [Problem] = []
  private var gaveUp = false
  private var values = 0
  private var saidEnd = false

  private let valueLimit: Int

  private init(_ bytes: [UInt8], file: String, valueLimit: Int) {
    self.bytes = bytes
    self.file = file
    self.valueLimit = valueLimit
  }

  /// Reads one document.
  ///
  /// - Parameters:
  ///   - bytes: The text in UTF-8, with or without a byte order mark.
  ///   - file: The name for places; it is not opened.
  /// - Returns: The document, `nil` when there is none, and the problems in the order of the text. Where any
  ///   is an error the document is only what could be made out.
  public static func parse(_ bytes: [UInt8], file: String) -> Parsed<JSONValue?> {
    parse(bytes, file: file, valueLimit: valueLimit)
  }

  /// The same with another limit of values, for tests.
  static func parse(_ bytes: [UInt8], file: String, valueLimit: Int) -> Parsed<JSONValue?> {
    var parser = JSONParser(bytes, file: file, valueLimit: valueLimit)
    let value = parser.document()
    parser.problems.sort { ($0.line, $0.column ?? 0) < ($1.line, $1.column ?? 0) }
    return Parsed(value, problems: parser.problems)
  }

  /// Reads one document from a string.
  public static func parse(_ text: String, file: String) -> Parsed<JSONValue?> {
    parse(Array(text.utf8), file: file)
  }

  // MARK: Document

  private mutating func document() -> JSONValue? {
    if let problem = unreadable() {
      problems.append(problem)
      return nil
    }
    if bytes.starts(with: [0xEF, 0xBB, 0xBF]) {
      position = 3
      lineStart = 3
    }
    skipSpace()
    guard !atEnd else {
      report("there is no JSON document here, only \(bytes.isEmpty ? "an empty file" : "space and comments")")
      return nil
    }
    let value = readValue()
    skipSpace()
    if value != nil, !atEnd {
      report("unexpected \(found) after the end of the document", hint: "a file holds one document")
    }
    return value
  }

  /// What says at once that this is no JSON text at all, where a list of every strange byte would help
  /// nobody.
  private func unreadable() -> Problem? {
    func whole(_ message: String, _ hint: String?) -> Problem {
      Problem(.error, file: file, line: 1, column: 1, message: message, hint: hint)
    }
    if bytes.count > Self.sizeLimit {
      return whole("larger than \(Self.sizeLimit >> 20) MiB", "a scenario is a small text in JSON")
    }
    if bytes.starts(with: [0xFF, 0xFE]) || bytes.starts(with: [0xFE, 0xFF]) {
      return whole("this is UTF-16", "save it as UTF-8")
    }
    guard let nul = bytes.firstIndex(of: 0) else { return nil }
    let lines = bytes[..<nul].reduce(into: 1) { if $1 == 0x0A { $0 += 1 } }
    let start = bytes[..<nul].lastIndex(of: 0x0A).map { $0 + 1 } ?? 0
    return Problem(
      .error, file: file, line: lines, column: nul - start + 1, message: "a NUL byte: this is not a text file"
    )
  }

  // MARK: Values

  /// Reads a value; `nil` when there is none here, which was reported then.
  private mutating func readValue() -> JSONValue? {
    let here = place
    values += 1
    guard values <= valueLimit else {
      report("more than \(valueLimit) values", hint: "a scenario is a small text")
      giveUp()
      return nil
    }
    switch current {
    case UInt8(ascii: "{"): return readContainer { $0.readObject(from: here) }
    case UInt8(ascii: "["): return readContainer { $0.readArray(from: here) }
    case UInt8(ascii: "\""), UInt8(ascii: "'"): return JSONValue(.string(readString()), place: here)
    case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "+"), UInt8(ascii: "."):
      return JSONValue(readNumber(), place: here)
    case let byte where Self.isWordByte(byte) && !atEnd: return JSONValue(readWord(), place: here)
    default:
      report("expected a value, found \(found)")
      return nil
    }
  }

  private mutating func readContainer(_ read: (inout JSONParser) -> JSONValue) -> JSONValue {
    guard closers.count < Self.depthLimit else {
      let here = place
      report(
        "nested deeper than \(Self.depthLimit) levels",
        hint: "no field of a scenario is nested deeper than 12")
      skipBalanced()
      return JSONValue(.null, place: here)
    }
    closers.append(current == UInt8(ascii: "[") ? UInt8(ascii: "]") : UInt8(ascii: "}"))
    defer { closers.removeLast() }
    return read(&self)
  }

  private mutating func readArray(from opening: SourcePlace) -> JSONValue {
    var elements: [JSONValue] = []
    advance()
    while !closes(UInt8(ascii: "]"), openedBy: "[", at: opening) {
      if current == UInt8(ascii: ",") {
        report("a value is missing before ','")
        advance()
        continue
      }
      let before = position
      if let element = readValue() { elements.append(element) } else { recover(from: before) }
      separator(before: UInt8(ascii: "]"))
    }
    return JSONValue(.array(elements), place: opening)
  }

  private mutating func readObject(from opening: SourcePlace) -> JSONValue {
    var members: [JSONValue.Member] = []
    var places: [String: SourcePlace] = [:]
    advance()
    while !closes(UInt8(ascii: "}"), openedBy: "{", at: opening) {
      let before = position
      if current == UInt8(ascii: ",") {
        report("a name and a value are missing before ','")
        advance()
        continue
      }
      guard let member = readMember() else {
        recover(from: before)
        separator(before: UInt8(ascii: "}"))
        continue
      }
      if let first = places[member.name] {
        report(
          "\"\(Self.shortened(member.name))\" is given twice in this object", at: member.place,
          hint: "it was given first in line \(first.line), column \(first.column)")
      } else {
        places[member.name] = member.place
        members.append(member)
      }
      separator(before: UInt8(ascii: "}"))
    }
    return JSONValue(.object(members), place: opening)
  }

  private mutating func readMember() -> JSONValue.Member? {
    let here = place
    let name: String
    if current == UInt8(ascii: "\"") || current == UInt8(ascii: "'") {
      name = readString()
    } else if Self.isWordByte(current), !atEnd {
      name = takeWord()
    } else {
      report("expected a name in quotes, found \(found)")
      return nil
    }
    skipSpace()
    if current == UInt8(ascii: ":") {
      advance()
    } else {
      report("expected ':' after \"\(Self.shortened(name))\", found \(found)")
      guard current == UInt8(ascii: "=") || beginsValue else { return nil }
      if current == UInt8(ascii: "=") { advance() }
    }
    skipSpace()
    guard let value = readValue() else { return nil }
    return JSONValue.Member(name, value, place: here)
  }

  /// Whether the list or object ends here; says so when it ends wrongly.
  private mutating func closes(_ closer: UInt8, openedBy opener: String, at opening: SourcePlace) -> Bool {
    skipSpace()
    if atEnd {
      let around = closers.count - 1
      let others =
        around == 0 ? "" : around == 1 ? ", nor is the one around it" : ", nor are the \(around) around it"
      if !saidEnd { report("'\(opener)' is never closed\(others)", at: opening) }
      saidEnd = true
      return true
    }
    if current == closer {
      advance()
      return true
    }
    guard current == UInt8(ascii: "]") || current == UInt8(ascii: "}") else { return false }
    report(
      "'\(Character(UnicodeScalar(current)))' closes the '\(opener)' of line \(opening.line), "
        + "column \(opening.column)", hint: "'\(Character(UnicodeScalar(closer)))' is expected")
    // Where something further out is closed by it, only what is here was left open.
    if !closers.dropLast().contains(current) { advance() }
    return true
  }

  /// Reads the comma after an element, and reports one that is missing.
  private mutating func separator(before closer: UInt8) {
    let end = place
    skipSpace()
    if current == UInt8(ascii: ",") {
      advance()
    } else if atEnd || current == UInt8(ascii: "]") || current == UInt8(ascii: "}") {
      return
    } else if beginsValue {
      report("',' is missing here", at: end)
    } else {
      report("expected ',' or '\(Character(UnicodeScalar(closer)))', found \(found)")
      recover(from: position)
      if current == UInt8(ascii: ",") { advance() }
    }
  }

  /// Skips what was not understood: to the next comma or closing bracket that belongs to the list or object
  /// we are in. Always gets on.
  private mutating func recover(from start: Int) {
    if position == start, current != UInt8(ascii: ","), !Self.isCloser(current) { skipBalanced() }
    while !atEnd {
      skipSpace()
      if atEnd || current == UInt8(ascii: ",") || Self.isCloser(current) { return }
      skipBalanced()
    }
  }

  /// Skips one token, or a bracket with all that is in it, without a call for each level.
  private mutating func skipBalanced() {
    var open = 0
    repeat {
      skipSpace()
      guard !atEnd else { return }
      switch current {
      case UInt8(ascii: "{"), UInt8(ascii: "["):
        open += 1
        advance()
      case UInt8(ascii: "}"), UInt8(ascii: "]"):
        open -= 1
        advance()
      case UInt8(ascii: "\""), UInt8(ascii: "'"): _ = readString()
      default: advance()
      }
    } while open > 0
  }

  // MARK: Words

  private mutating func takeWord() -> String {
    let start = position
    while !atEnd, Self.isWordByte(current) { advance() }
    return Self.shortened(String(decoding: bytes[start..<position], as: UTF8.self), to: 200)
  }

  private mutating func readWord() -> JSONValue.Kind {
    let here = place
    let word = takeWord()
    switch word {
    case "true": return .bool(true)
    case "false": return .bool(false)
    case "null": return .null
    default:
      let known = ["True": "true", "TRUE": "true", "yes": "true", "on": "true", "False": "false"]
      let more = [
        "FALSE": "false", "no": "false", "off": "false", "None": "null", "nil": "null", "NULL": "null",
      ]
      let right = known[word] ?? more[word] ?? "\"\(Self.shortened(word))\""
      report("\(Self.shortened(word)) is no JSON value", at: here, hint: "write \(right)")
      return .null
    }
  }

  /// Reads a number, and reports one that RFC 8259 does not have.
  private mutating func readNumber() -> JSONValue.Kind {
    let here = place
    let start = position
    while !atEnd, Self.isWordByte(current) || [0x2B, 0x2D, 0x2E].contains(current) { advance() }
    let text = bytes[start..<position]
    if Self.isNumber(text) { return .number(String(decoding: text, as: UTF8.self)) }
    let word = Self.shortened(String(decoding: text, as: UTF8.self))
    let digits = text.drop { $0 == UInt8(ascii: "+") || $0 == UInt8(ascii: "0") }
    let hint: String
    if Self.isNumber(digits) {
      hint = "write \(String(decoding: digits, as: UTF8.self))"
    } else {
      hint = "what is not a plain number is written in quotes: \"\(word)\""
    }
    report("\(word) is no JSON number", at: here, hint: hint)
    return .number("0")
  }

  private static func isNumber(_ text: ArraySlice<UInt8>) -> Bool {
    var rest = text
    func isDigit(_ byte: UInt8) -> Bool { byte >= 0x30 && byte <= 0x39 }
    func takeDigits() -> Int {
      let count = rest.prefix(while: isDigit).count
      rest = rest.dropFirst(count)
      return count
    }
    if rest.first == UInt8(ascii: "-") { rest = rest.dropFirst() }
    let leadingZero = rest.first == UInt8(ascii: "0")
    let whole = takeDigits()
    if whole == 0 || (leadingZero && whole > 1) { return false }
    if rest.first == UInt8(ascii: ".") {
      rest = rest.dropFirst()
      if takeDigits() == 0 { return false }
    }
    if let byte = rest.first, byte | 0x20 == UInt8(ascii: "e") {
      rest = rest.dropFirst()
      if let sign = rest.first, sign == UInt8(ascii: "+") || sign == UInt8(ascii: "-") {
        rest = rest.dropFirst()
      }
      if takeDigits() == 0 { return false }
    }
    return rest.isEmpty
  }
}

// MARK: - Bytes and places

extension JSONParser {
  var atEnd: Bool { position >= bytes.count }

  /// The byte at the position; 0, which is in no text, at the end.
  var current: UInt8 { position < bytes.count ? bytes[position] : 0 }

  var place: SourcePlace { SourcePlace(file: file, line: line, column: position - lineStart + 1) }

  /// Goes on by a byte, and counts the line when it ends one.
  mutating func advance() {
    guard position < bytes.count else { return }
    if bytes[position] == 0x0A {
      line += 1
      lineStart = position + 1
    }
    position += 1
  }

  /// Skips white space and comments.
  mutating func skipSpace() {
    while !atEnd {
      switch current {
      case 0x20, 0x09, 0x0A, 0x0D: advance()
      case UInt8(ascii: "/") where next == UInt8(ascii: "/"):
        while !atEnd, current != 0x0A { advance() }
      case UInt8(ascii: "/") where next == UInt8(ascii: "*"):
        let opening = place
        advance()
        advance()
        while !atEnd, !(current == UInt8(ascii: "*") && next == UInt8(ascii: "/")) { advance() }
        if atEnd { report("the comment '/*' is never closed", at: opening) }
        advance()
        advance()
      default: return
      }
    }
  }

  private var next: UInt8 { position + 1 < bytes.count ? bytes[position + 1] : 0 }

  private var beginsValue: Bool {
    switch current {
    case UInt8(ascii: "{"), UInt8(ascii: "["), UInt8(ascii: "\""), UInt8(ascii: "'"), UInt8(ascii: "-"): true
    default: Self.isWordByte(current) && !atEnd
    }
  }

  static func isCloser(_ byte: UInt8) -> Bool { byte == UInt8(ascii: "]") || byte == UInt8(ascii: "}") }

  /// Letters, digits, `_`, `$` and everything beyond ASCII.
  static func isWordByte(_ byte: UInt8) -> Bool {
    switch byte {
    case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x5F, 0x24, 0x80...0xFF: true
    default: false
    }
  }

  /// What is at the position, for a message.
  var found: String {
    guard !atEnd else { return "the end of the file" }
    switch current {
    case 0x21...0x7E: return "'\(Character(UnicodeScalar(current)))'"
    default: return "the byte 0x\(String(current, radix: 16, uppercase: true))"
    }
  }

  /// A text cut to a length that fits into a message.
  static func shortened(_ text: String, to limit: Int = 60) -> String {
    text.count <= limit ? text : text.prefix(limit) + "…"
  }

  mutating func report(_ message: String, at place: SourcePlace? = nil, hint: String? = nil) {
    guard !gaveUp else { return }
    let place = place ?? self.place
    problems.append(
      Problem(.error, file: file, line: place.line, column: place.column, message: message, hint: hint))
    guard problems.count >= Self.problemLimit else { return }
    problems.append(
      Problem(
        .error, file: file, line: line, column: position - lineStart + 1,
        message: "\(Self.problemLimit) problems so far: the rest of the file is not looked at"))
    giveUp()
  }

  /// Looks at nothing more, and says nothing more.
  private mutating func giveUp() {
    gaveUp = true
    position = bytes.count
  }
}
