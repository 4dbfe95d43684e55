/// Everything that was seen and done while machines of one scenario were booted, in the order of time.
///
/// It is the only thing that a ``Judge`` looks at, and it is kept as text: a boot can be judged again without
/// being done again.
public struct Transcript: Sendable, Equatable {
  /// Who wrote a line.
  public enum Source: String, Sendable, CaseIterable {
    /// The console: the first serial line, and with it the firmware's and GRUB's screens.
    case console = "con"
    /// The root shell on the second serial line.
    case shell = "sh"
    /// What the laboratory did or found itself; ``LabEvent`` says what these lines are.
    case lab
    /// The iSCSI target's own log.
    case target = "tgt"
    /// The DHCP server's own log.
    case dhcp
  }

  /// A line.
  public struct Line: Sendable, Equatable {
    /// Seconds since the first power-on; negative before it.
    public var time: Double
    /// Who wrote it.
    public var source: Source
    /// Without line end and terminal control sequences.
    public var text: String

    /// A line of a transcript.
    public init(time: Double, source: Source, text: String) {
      self.time = time
      self.source = source
      self.text = text
    }
  }

  /// In the order of time.
  public var lines: [Line]

  /// A transcript of these lines.
  public init(_ lines: [Line] = []) { self.lines = lines }

  /// As a file has it: a line each, "  12.34 con  text".
  public var text: String { lines.map { $0.description + "\n" }.joined() }

  /// Reads what ``text`` wrote; what is not of that form belongs to the line before it, or is left out.
  public init(parsing text: String) {
    lines = text.split(separator: "\n", omittingEmptySubsequences: false).compactMap { Line(String($0)) }
  }
}

extension Transcript.Line: CustomStringConvertible {
  /// As a file has it.
  public var description: String {
    let hundredths = Int((time * 100).rounded())
    let sign = hundredths < 0 ? "-" : ""
    let fraction = abs(hundredths) % 100
    let number = "\(sign)\(abs(hundredths) / 100).\(fraction < 10 ? "0" : "")\(fraction)"
    let name = source.rawValue
    return String(repeating: " ", count: max(0, 8 - number.utf8.count)) + number + " " + name
      + String(repeating: " ", count: 4 - name.utf8.count) + " " + text
  }

  init?(_ line: String) {
    let words = line.split(separator: " ", maxSplits: 2, omittingEmptySubsequences: true)
    guard words.count >= 2, let time = Double(words[0]),
      let source = Transcript.Source(rawValue: String(words[1]))
    else { return nil }
    // The name is padded to four characters and one space follows: what comes then is the text, blanks and all.
    let rest = line[words[1].endIndex...].dropFirst(5 - words[1].utf8.count)
    self.init(time: time, source: source, text: String(rest))
  }
}
