/// Redirections and here-documents.
extension ShellParser {
  mutating func redirection() throws(ShellSyntaxError) -> ShellRedirection? {
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

  mutating func hereDocument(
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
