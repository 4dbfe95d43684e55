/// A job of Upstart, `/etc/init/*.conf` (init(5) of upstart 0.6): what starts and stops it, and what it runs.
public struct UpstartJob: ConfigurationFile, Hashable {
  /// Something that happened: `net-device-up IFACE=lo`, `stopped rc RUNLEVEL=2`.
  public struct Event: Sendable, Hashable {
    /// Its name.
    public var name: String
    /// Its environment in order, as a condition without names compares it.
    public var environment: [Variable]

    /// Makes an event.
    public init(_ name: String, _ environment: [Variable] = []) {
      self.name = name
      self.environment = environment
    }
  }

  /// A variable of an event or job.
  public struct Variable: Sendable, Hashable {
    /// Its name.
    public var name: String
    /// Its value.
    public var value: String

    /// Makes a variable.
    public init(_ name: String, _ value: String) {
      self.name = name
      self.value = value
    }
  }

  /// An event as a condition names it, with what its environment has to be.
  public struct EventMatch: Sendable, Hashable {
    /// A value that the event must have, or with `!=` must not have.
    public struct Value: Sendable, Hashable {
      /// The variable; `nil` for the one in this position.
      public var name: String?
      /// A pattern, as the shell's: `[2345]`, `eth*`.
      public var pattern: String
      /// Whether it must not match.
      public var isNegated: Bool
    }

    /// The event's name.
    public var name: String
    /// What its environment has to be.
    public var values: [Value]
    /// The line, counted from 1.
    public var line: Int

    /// Whether an event is the one meant. `$NAME` in a pattern is a variable of the job.
    public func matches(_ event: Event, job: [Variable] = []) -> Bool {
      guard event.name == name else { return false }
      for (index, value) in values.enumerated() {
        let found =
          value.name.map { name in event.environment.first { $0.name == name } }
          ?? (event.environment.indices.contains(index) ? event.environment[index] : nil)
        var pattern = value.pattern
        for variable in job { pattern = UpstartJob.replace(variable, in: pattern) }
        let isEqual = found.map { ShellPattern([(pattern, false)]).matches($0.value.utf8) } ?? false
        if isEqual == value.isNegated { return false }
      }
      return true
    }
  }

  /// What starts or stops a job.
  public indirect enum Condition: Sendable, Hashable {
    /// One event.
    case event(EventMatch)
    /// Both.
    case and(Condition, Condition)
    /// Either.
    case or(Condition, Condition)

    /// Every event named, in order.
    public var events: [EventMatch] {
      switch self {
      case .event(let event): [event]
      case .and(let left, let right), .or(let left, let right): left.events + right.events
      }
    }
  }

  /// When a job's process runs.
  public enum Step: String, Sendable, Hashable {
    case main = ""
    case preStart = "pre-start"
    case postStart = "post-start"
    case preStop = "pre-stop"
    case postStop = "post-stop"
  }

  /// A command (`exec`), or a script of `sh -e`.
  public struct Process: Sendable, Hashable {
    /// When it runs.
    public var step: Step
    /// The command line, or the lines of the script.
    public var text: String
    /// Whether it is a script.
    public var isScript: Bool
    /// The line of the command, or the one before the script's first.
    public var line: Int
  }

  /// The file.
  public var file = ""
  /// `start on`; `nil` when only a command starts it.
  public var startOn: Condition?
  /// `stop on`; `nil` when only a command stops it.
  public var stopOn: Condition?
  /// Its processes in the order written.
  public var processes: [Process] = []
  /// A task is not running for long: its end counts, and what started it waits for that.
  public var isTask = false
  /// `instance`: the job runs once for each value.
  public var instance: String?
  /// `env`: variables it has.
  public var environment: [Variable] = []
  /// `export`: variables that its own events carry.
  public var exports: [String] = []
  /// Whether its process is started again when it ends.
  public var respawns = false

  /// An empty job.
  public init() {}

  /// The job's name: the file's, without `.conf`.
  public var name: String {
    let name = TreePath.name(file)
    return name.dropping(suffix: ".conf") ?? name
  }

  /// The process of a step; where there are several the last counts.
  public func process(_ step: Step) -> Process? { processes.last { $0.step == step } }

  /// Every job of a tree that init knows, by name: it refuses one with an error in it.
  public static func all(from tree: some FileTree) -> Parsed<[UpstartJob]> {
    var jobs: [UpstartJob] = []
    var problems: [Problem] = []
    for name in tree.list("/etc/init") where name.dropping(suffix: ".conf") != nil {
      guard let parsed = load("/etc/init/\(name)", from: tree) else { continue }
      if !parsed.hasErrors { jobs.append(parsed.value) }
      problems += parsed.problems
    }
    return Parsed(jobs, problems: problems)
  }

  /// Stanzas with arguments that change nothing about when and what a job runs.
  private static let ignored: Set<String> = [
    "description", "author", "version", "emits", "console", "expect", "umask", "nice", "oom", "limit",
    "chroot", "chdir", "normal", "kill", "usage",
  ]

  /// Reads a job. What init would refuse is an error; it then does not know the job at all.
  public static func parse(_ text: String, file: String) -> Parsed<UpstartJob> {
    var reader = UpstartReader(text: text, file: file)
    reader.read()
    return Parsed(
      reader.job, problems: SourceText.carriageReturns(in: text, file: file) + reader.problems)
  }

  /// A text with `$NAME` and `${NAME}` replaced.
  public static func replace(_ variable: Variable, in text: String) -> String {
    var output: [UInt8] = []
    let bytes = Array(text.utf8)
    let forms = ["${\(variable.name)}", "$\(variable.name)"].map { Array($0.utf8) }
    var at = 0
    while at < bytes.count {
      let form = forms.first { form in
        guard bytes[at...].starts(with: form) else { return false }
        let end = at + form.count
        return form.last == 0x7D || end == bytes.count || !bytes[end].isNamePart
      }
      if let form {
        output += variable.value.utf8
        at += form.count
      } else {
        output.append(bytes[at])
        at += 1
      }
    }
    return String(bytes: output)
  }

  fileprivate static func isIgnored(_ stanza: String) -> Bool { ignored.contains(stanza) }
}

/// Reads the lines of a job.
private struct UpstartReader {
  let file: String
  var lines: [SourceLine]
  var at = 0
  var job = UpstartJob()
  var problems: [Problem] = []

  init(text: String, file: String) {
    self.file = file
    lines = text.sourceLines
    job.file = file
  }

  mutating func report(_ line: Int, _ message: String, hint: String? = nil) {
    problems.append(Problem(.error, file: file, line: line, message: message, hint: hint))
  }

  /// The next line, with those that continue it after a backslash.
  mutating func nextLine() -> SourceLine? {
    guard at < lines.count else { return nil }
    var line = lines[at]
    at += 1
    while line.text.utf8.last == 0x5C, at < lines.count {
      line.text = String(bytes: line.text.utf8.dropLast()) + " " + lines[at].text
      at += 1
    }
    return line
  }

  mutating func read() {
    while let line = nextLine() {
      let words = Self.words(line.text)
      guard let stanza = words.first else { continue }
      let rest = Array(words.dropFirst())
      switch stanza {
      case "start", "stop": condition(stanza, rest, line)
      case "exec", "script": process(.main, words, line)
      case "pre-start", "post-start", "pre-stop", "post-stop":
        process(UpstartJob.Step(rawValue: stanza) ?? .main, rest, line)
      case "task": job.isTask = true
      case "respawn": if rest.first != "limit" { job.respawns = true }
      case "instance": job.instance = rest.joined(separator: " ")
      case "env": environment(rest, line)
      case "export": job.exports += rest
      default:
        if !UpstartJob.isIgnored(stanza) { report(line.number, "\(stanza.quoted) is no stanza of a job") }
      }
    }
  }

  private mutating func environment(_ words: [String], _ line: SourceLine) {
    for word in words {
      guard let (name, value) = word.split(at: 0x3D) else {
        report(line.number, "\(word.quoted) is no assignment", hint: "env NAME=value")
        continue
      }
      job.environment.append(UpstartJob.Variable(name, value.unquoted))
    }
  }

  // MARK: Processes

  private mutating func process(_ step: UpstartJob.Step, _ words: [String], _ line: SourceLine) {
    switch words.first {
    case "exec":
      // The command as written: its quotes are the shell's.
      let text = line.text.split(atWord: "exec").trimmed
      if text.isEmpty { report(line.number, "'exec' without a command") }
      job.processes.append(UpstartJob.Process(step: step, text: text, isScript: false, line: line.number))
    case "script":
      if words.count > 1 {
        report(line.number, "\(words[1].quoted) after 'script'", hint: "a line of its own")
      }
      var body: [String] = []
      while at < lines.count {
        let text = lines[at].text
        at += 1
        if text.words.map(\.text) == ["end", "script"] {
          job.processes.append(
            UpstartJob.Process(
              step: step, text: body.map { $0 + "\n" }.joined(), isScript: true, line: line.number))
          return
        }
        body.append(text)
      }
      report(line.number, "'script' has no 'end script'")
    default:
      report(line.number, "\(step.rawValue.quoted) is followed by neither 'exec' nor 'script'")
    }
  }

  // MARK: Conditions

  private mutating func condition(_ stanza: String, _ words: [String], _ line: SourceLine) {
    guard words.first == "on" else {
      return report(line.number, "\(stanza.quoted) without 'on'", hint: "\(stanza) on EVENT")
    }
    var tokens = Array(words.dropFirst())
    // A line end inside parentheses is a blank.
    while tokens.count(where: { $0 == "(" }) > tokens.count(where: { $0 == ")" }), let more = nextLine() {
      tokens += Self.words(more.text)
    }
    var rest = tokens[...]
    guard let condition = expression(&rest, line.number, depth: 0) else { return }
    if let left = rest.first { return report(line.number, "\(left.quoted) is not expected here") }
    if stanza == "start" { job.startOn = condition } else { job.stopOn = condition }
  }

  /// `and` and `or` bind alike, from left to right.
  private mutating func expression(
    _ tokens: inout ArraySlice<String>, _ line: Int, depth: Int
  ) -> UpstartJob.Condition? {
    guard var left = operand(&tokens, line, depth: depth) else { return nil }
    while let word = tokens.first, word == "and" || word == "or" {
      tokens.removeFirst()
      guard let right = operand(&tokens, line, depth: depth) else { return nil }
      left = word == "and" ? .and(left, right) : .or(left, right)
    }
    return left
  }

  private mutating func operand(
    _ tokens: inout ArraySlice<String>, _ line: Int, depth: Int
  ) -> UpstartJob.Condition? {
    guard let first = tokens.popFirst(), !["and", "or", ")"].contains(first) else {
      report(line, "an event is missing")
      return nil
    }
    if first == "(" {
      guard depth < 50 else {
        report(line, "more than 50 parentheses inside one another")
        return nil
      }
      let inner = expression(&tokens, line, depth: depth + 1)
      guard inner != nil else { return nil }
      guard tokens.popFirst() == ")" else {
        report(line, "')' is missing")
        return nil
      }
      return inner
    }
    var match = UpstartJob.EventMatch(name: first, values: [], line: line)
    while let word = tokens.first, !["and", "or", "(", ")"].contains(word) {
      tokens.removeFirst()
      var name: String?
      var pattern = word
      var isNegated = false
      if let (before, after) = word.split(at: 0x3D) {
        isNegated = before.utf8.last == 0x21
        name = isNegated ? String(bytes: before.utf8.dropLast()) : before
        pattern = after
      }
      match.values.append(
        UpstartJob.EventMatch.Value(name: name, pattern: pattern.unquoted, isNegated: isNegated))
    }
    return .event(match)
  }

  /// Words between blanks, parentheses for themselves, quotes kept together; nothing after `#`.
  static func words(_ text: String) -> [String] {
    var words: [String] = []
    var current: [UInt8] = []
    var quote: UInt8?
    func flush(_ current: inout [UInt8], _ words: inout [String]) {
      if !current.isEmpty { words.append(String(bytes: current)) }
      current = []
    }
    for byte in text.utf8 {
      if let open = quote {
        current.append(byte)
        if byte == open { quote = nil }
        continue
      }
      switch byte {
      case 0x22, 0x27:
        quote = byte
        current.append(byte)
      case 0x23 where current.isEmpty: return words
      case 0x28, 0x29:
        flush(&current, &words)
        words.append(String(bytes: [byte]))
      case _ where byte.isSpace: flush(&current, &words)
      default: current.append(byte)
      }
    }
    flush(&current, &words)
    return words
  }
}

extension String {
  /// What follows the first occurrence of a word.
  fileprivate func split(atWord word: String) -> String {
    guard let found = words.first(where: { $0.text == word }) else { return "" }
    return String(bytes: utf8.dropFirst(found.column - 1 + word.utf8.count))
  }
}
