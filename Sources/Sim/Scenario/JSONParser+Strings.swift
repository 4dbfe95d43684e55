extension JSONParser {
  /// Reads a text in quotes and undoes its escapes. What is wrong in it is reported and left out or replaced,
  /// so that the rest of the document can still be read.
  mutating func readString() -> String {
    let opening = place
    let quote = current
    var text: [UInt8] = []
    advance()
    while true {
      guard !atEnd, current != 0x0A else {
        report(
          "the text is not closed before the end of the \(atEnd ? "file" : "line")", at: opening,
          hint: "a line break inside a text is written \\n; a file's text may be a list of lines")
        break
      }
      if current == quote {
        advance()
        break
      }
      switch current {
      case UInt8(ascii: "\\"): readEscape(into: &text)
      case 0x00..<0x20:
        report("a bare control character, \(found), in a text", hint: controlHint)
        advance()
      case 0x80...: readEncoded(into: &text)
      default:
        text.append(current)
        advance()
      }
    }
    return String(decoding: text, as: UTF8.self)
  }

  private var controlHint: String {
    switch current {
    case 0x09: "a tab is written \\t"
    case 0x0D: "a carriage return is written \\r"
    default: "it is written \\u00" + (current < 16 ? "0" : "") + String(current, radix: 16)
    }
  }

  /// Reads what follows a backslash.
  private mutating func readEscape(into text: inout [UInt8]) {
    let here = place
    advance()
    let escape = current
    switch escape {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"), UInt8(ascii: "'"): text.append(escape)
    case UInt8(ascii: "n"): text.append(0x0A)
    case UInt8(ascii: "t"): text.append(0x09)
    case UInt8(ascii: "r"): text.append(0x0D)
    case UInt8(ascii: "b"): text.append(0x08)
    case UInt8(ascii: "f"): text.append(0x0C)
    case UInt8(ascii: "u"):
      advance()
      readUnicodeEscape(from: here, into: &text)
      return
    case 0x0A where !atEnd: break  // A line that goes on, as in JSON5: the break is no part of the text.
    case 0x0D:
      advance()
      if current == 0x0A { advance() }
      return
    default:
      if atEnd { return }
      report("\\ before \(found) is no escape", at: here, hint: "a backslash itself is written \\\\")
      return
    }
    advance()
  }

  /// Reads the digits of `\uXXXX`, and the second half of a surrogate pair.
  private mutating func readUnicodeEscape(from here: SourcePlace, into text: inout [UInt8]) {
    guard let unit = readHexadecimal(from: here) else { return }
    var value = UInt32(unit)
    if (0xDC00...0xDFFF).contains(value) {
      report("\\u\(String(unit, radix: 16)) is the second half of a pair without its first half", at: here)
      return
    }
    if (0xD800...0xDBFF).contains(value) {
      guard current == UInt8(ascii: "\\"), position + 1 < bytes.count,
        bytes[position + 1] == UInt8(ascii: "u")
      else {
        report("\\u\(String(unit, radix: 16)) is the first half of a pair without its second half", at: here)
        return
      }
      let second = place
      advance()
      advance()
      guard let low = readHexadecimal(from: second) else { return }
      guard (0xDC00...0xDFFF).contains(low) else {
        report("\\u\(String(unit, radix: 16)) is the first half of a pair without its second half", at: here)
        return
      }
      value = 0x10000 + (value - 0xD800) << 10 + (UInt32(low) - 0xDC00)
    }
    guard value != 0, let scalar = Unicode.Scalar(value) else {
      report("\\u0000: no text in a scenario can hold a NUL character", at: here)
      return
    }
    text.append(contentsOf: String(Character(scalar)).utf8)
  }

  private mutating func readHexadecimal(from here: SourcePlace) -> UInt16? {
    var value: UInt16 = 0
    for _ in 0..<4 {
      guard let digit = Character(UnicodeScalar(current)).hexDigitValue, !atEnd else {
        report("\\u needs four hexadecimal digits, found \(found)", at: here)
        return nil
      }
      value = value << 4 | UInt16(digit)
      advance()
    }
    return value
  }

  /// Copies one character beyond ASCII when its bytes are valid UTF-8 (RFC 3629); reports them when not.
  private mutating func readEncoded(into text: inout [UInt8]) {
    let length =
      switch current {
      case 0xC2...0xDF: 2
      case 0xE0...0xEF: 3
      case 0xF0...0xF4: 4
      default: 0
      }
    let end = position + length
    if length > 0, end <= bytes.count {
      let sequence = bytes[position..<end]
      if String(validating: sequence, as: UTF8.self) != nil {
        text.append(contentsOf: sequence)
        position = end
        return
      }
    }
    report("\(found) is not valid UTF-8", hint: "save the file as UTF-8")
    text.append(contentsOf: [0xEF, 0xBF, 0xBD])
    advance()
    while !atEnd, current & 0xC0 == 0x80 { advance() }
  }
}
