/// How text for a terminal is marked, and how wide it may be.
public struct Style: Sendable {
  /// Marks are used: standard output is a terminal, and `NO_COLOR` is not set.
  public var isColored: Bool
  /// Columns; sentences are broken to fit, console lines are not.
  public var width: Int

  /// Plain text, 100 columns.
  public static let plain = Style(isColored: false, width: 100)

  /// A style with or without colour, for a terminal of so many columns.
  public init(isColored: Bool, width: Int) {
    self.isColored = isColored
    self.width = min(max(width, 40), 160)
  }

  /// A text that stands out.
  public func heading(_ text: String) -> String { bold(text) }

  /// A text that says that something went well.
  public func success(_ text: String) -> String { green(text) }

  /// A text that says that something went wrong.
  public func failure(_ text: String) -> String { red(text) }

  /// A text that matters less than what is around it.
  public func aside(_ text: String) -> String { dim(text) }

  /// A text broken into lines; all but the first begin with the indentation.
  public func paragraph(_ text: String, indentation: Int) -> String { wrap(text, indentation: indentation) }

  func bold(_ text: String) -> String { mark(text, "1") }
  func dim(_ text: String) -> String { mark(text, "2") }
  func red(_ text: String) -> String { mark(text, "1;31") }
  func green(_ text: String) -> String { mark(text, "1;32") }
  func yellow(_ text: String) -> String { mark(text, "1;33") }

  private func mark(_ text: String, _ code: String) -> String {
    isColored ? "\u{1B}[\(code)m\(text)\u{1B}[0m" : text
  }

  /// A text without anything that a terminal would obey: a scenario's files may hold any byte.
  public static func safe(_ text: String) -> String {
    guard text.unicodeScalars.contains(where: isControl) else { return text }
    var out = String.UnicodeScalarView()
    for scalar in text.unicodeScalars {
      out.append(isControl(scalar) ? (scalar == "\t" ? " " : "\u{FFFD}") : scalar)
    }
    return String(out)
  }

  private static func isControl(_ scalar: Unicode.Scalar) -> Bool {
    scalar.value < 0x20 || (0x7F...0x9F).contains(scalar.value)
  }

  /// Breaks a sentence into lines; all but the first begin with the indentation.
  func wrap(_ text: String, indentation: Int) -> String {
    var lines: [String] = []
    var line = ""
    for word in Self.safe(text).split(separator: " ") {
      if !line.isEmpty, indentation + line.count + 1 + word.count > width {
        lines.append(line)
        line = ""
      }
      line += line.isEmpty ? String(word) : " " + word
    }
    lines.append(line)
    return lines.joined(separator: "\n" + String(repeating: " ", count: indentation))
  }
}

extension String {
  /// The text with spaces before it, at least so wide.
  func leftPadded(to width: Int) -> String { String(repeating: " ", count: max(0, width - count)) + self }

  /// The text with spaces after it, at least so wide.
  func padded(to width: Int) -> String { self + String(repeating: " ", count: max(0, width - count)) }
}
