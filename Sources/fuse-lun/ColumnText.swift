/// How many columns of a terminal text takes: two for what East Asian Width (UAX 11) calls wide and for emoji, none for what
/// combines with the character before it.
enum ColumnText {
  static func width(_ text: String) -> Int { text.reduce(0) { $0 + width($1) } }

  /// Cut off, with `…` at its end, where it is wider than that.
  static func cut(_ text: String, to limit: Int) -> String {
    guard width(text) > limit else { return text }
    var (short, used) = ("", 0)
    for character in text {
      let more = width(character)
      if used + more > limit - 1 { break }
      short.append(character)
      used += more
    }
    return short + "…"
  }

  private static func width(_ character: Character) -> Int {
    let scalars = character.unicodeScalars
    guard let first = scalars.first else { return 0 }
    // U+FE0F asks for the picture of a character that has both forms.
    if first.properties.isEmojiPresentation || scalars.dropFirst().contains("\u{FE0F}") { return 2 }
    switch first.properties.generalCategory {
    case .nonspacingMark, .enclosingMark, .format, .control: return 0
    default: return wide.contains { $0.contains(first.value) } ? 2 : 1
    }
  }

  private static let wide: [ClosedRange<UInt32>] = [
    0x1100...0x115F, 0x2E80...0x303E, 0x3041...0x33FF, 0x3400...0x4DBF, 0x4E00...0x9FFF, 0xA000...0xA4CF,
    0xA960...0xA97C, 0xAC00...0xD7A3, 0xF900...0xFAFF, 0xFE30...0xFE6F, 0xFF00...0xFF60, 0xFFE0...0xFFE6,
    0x17000...0x18DFF, 0x1B000...0x1B2FF, 0x1F300...0x1F64F, 0x1F900...0x1F9FF, 0x20000...0x3FFFD,
  ]
}
