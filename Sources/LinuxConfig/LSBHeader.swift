/// What an init script says of itself in comments: the LSB header, and Red Hat's `chkconfig:` line.
public struct LSBHeader: ConfigurationFile, Hashable {
  /// A field of the LSB header.
  public struct Field: Sendable, Hashable {
    /// The keyword: `Provides`, `Required-Start`, …
    public var keyword: String
    /// The words after the colon.
    public var words: [String]
    /// The line, counted from 1.
    public var line: Int
  }

  /// The fields of the LSB header, in order; empty when there is none.
  public var fields: [Field] = []
  /// The runlevels of `chkconfig:` in which the service is started, `-` for none; `nil` without such a line.
  public var chkconfigLevels: String?
  /// The number of the `S` link.
  public var startPriority: Int?
  /// The number of the `K` link.
  public var stopPriority: Int?
  /// The line of `chkconfig:`.
  public var chkconfigLine: Int?

  /// No header.
  public init() {}

  private func words(_ keyword: String) -> [String] {
    fields.filter { $0.keyword.lowercased() == keyword.lowercased() }.flatMap(\.words)
  }

  /// The names the script provides.
  public var provides: [String] { words("Provides") }
  /// What has to run before it is started.
  public var requiredStart: [String] { words("Required-Start") }
  /// What has to run until it is stopped.
  public var requiredStop: [String] { words("Required-Stop") }
  /// What is started before it, if it is there.
  public var shouldStart: [String] { words("Should-Start") }
  /// What is stopped after it, if it is there.
  public var shouldStop: [String] { words("Should-Stop") }
  /// What is started after it (`X-Start-Before`).
  public var startBefore: [String] { words("X-Start-Before") }
  /// What is stopped before it (`X-Stop-After`).
  public var stopAfter: [String] { words("X-Stop-After") }
  /// The runlevels it is started in.
  public var defaultStart: [String] { words("Default-Start") }
  /// The runlevels it is stopped in.
  public var defaultStop: [String] { words("Default-Stop") }

  private static let keywords = [
    "Provides", "Required-Start", "Required-Stop", "Should-Start", "Should-Stop", "Default-Start",
    "Default-Stop",
    "Short-Description", "Description", "X-Start-Before", "X-Stop-After", "X-Interactive",
    "X-UnitedLinux-Should-Start",
    "X-UnitedLinux-Should-Stop", "X-UnitedLinux-Default-Enabled",
  ]

  /// Reads the comments of a script.
  public static func parse(_ text: String, file: String) -> Parsed<LSBHeader> {
    var header = LSBHeader()
    var problems: [Problem] = []
    var isInside = false
    var isClosed = true
    var begin = 0
    for line in text.sourceLines {
      guard let comment = line.text.dropping(prefix: "#") else { continue }
      let trimmed = comment.trimmed
      func report(_ severity: Problem.Severity, _ message: String, hint: String? = nil) {
        problems.append(Problem(severity, file: file, line: line.number, message: message, hint: hint))
      }
      if let rest = trimmed.dropping(prefix: "chkconfig:") {
        header.readChkconfig(rest, line: line.number, report: report)
      } else if trimmed == "## BEGIN INIT INFO" {
        (isInside, isClosed, begin) = (true, false, line.number)
      } else if trimmed == "## END INIT INFO" {
        (isInside, isClosed) = (false, true)
      } else if isInside, comment.utf8.first == 0x09 || comment.starts(withBytes: "  ") {
        // A description may go on in a line that starts with a tab or two blanks.
        if !header.fields.isEmpty {
          header.fields[header.fields.count - 1].words += trimmed.words.map(\.text)
        }
      } else if isInside, let (keyword, rest) = trimmed.split(at: 0x3A) {
        if !keywords.contains(where: { $0.lowercased() == keyword.lowercased() }),
          !keyword.starts(withBytes: "X-")
        {
          let near = SourceText.nearest(to: keyword, among: keywords)
          report(
            .warning, "\(keyword.quoted) is no keyword of an LSB header",
            hint: near.map { "did you mean '\($0)'?" })
        }
        header.fields.append(Field(keyword: keyword, words: rest.words.map(\.text), line: line.number))
      } else if isInside, !trimmed.isEmpty {
        report(
          .warning, "\(trimmed.quoted) is not understood", hint: "a line has the form '# Keyword: words'")
      }
    }
    if !isClosed {
      problems.append(
        Problem(
          .error, file: file, line: begin, message: "the LSB header has no '### END INIT INFO'",
          hint: "insserv does not use the header"))
    }
    return Parsed(header, problems: problems)
  }

  private mutating func readChkconfig(
    _ text: String, line: Int, report: (Problem.Severity, String, String?) -> Void
  ) {
    let words = text.words.map(\.text)
    guard words.count >= 3, let start = words[1].decimal, let stop = words[2].decimal, start < 100, stop < 100
    else {
      return report(.error, "'chkconfig:\(text)' is not understood", "for example: chkconfig: 2345 10 90")
    }
    (chkconfigLevels, startPriority, stopPriority, chkconfigLine) = (words[0], start, stop, line)
  }
}
