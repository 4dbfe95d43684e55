/// `/etc/inittab` of System V init (inittab(5)).
public struct Inittab: ConfigurationFile, Hashable {
  /// One line: `id:runlevels:action:process`.
  public struct Entry: Sendable, Hashable {
    /// The identifier.
    public var id: String
    /// The runlevels, one character each; empty means all.
    public var levels: String
    /// `initdefault`, `sysinit`, `wait`, `respawn`, `ctrlaltdel`, …
    public var action: String
    /// The command.
    public var process: String
    /// The line, counted from 1.
    public var line: Int
  }

  /// The lines in order.
  public var entries: [Entry]

  /// Makes a table.
  public init(entries: [Entry] = []) { self.entries = entries }

  /// The runlevel entered at boot; `nil` when there is none, and init asks on the console.
  public var defaultLevel: String? {
    entries.last { $0.action == "initdefault" }.flatMap { entry in
      // With several levels the highest is taken.
      entry.levels.utf8.max().map { String(bytes: [$0]) }
    }
  }

  /// The lines whose action has a name.
  public func entries(action: String) -> [Entry] { entries.filter { $0.action == action } }

  private static let actions: Set<String> = [
    "respawn", "wait", "once", "boot", "bootwait", "off", "ondemand", "initdefault", "sysinit", "powerwait",
    "powerfail", "powerokwait", "powerfailnow", "ctrlaltdel", "kbrequest",
  ]

  /// Reads a table.
  public static func parse(_ text: String, file: String) -> Parsed<Inittab> {
    var table = Inittab()
    var problems = SourceText.carriageReturns(in: text, file: file)
    for line in text.sourceLines {
      let trimmed = line.text.trimmed
      if trimmed.isEmpty || trimmed.starts(withBytes: "#") { continue }
      func refuse(_ message: String, hint: String?) {
        problems.append(Problem(.error, file: file, line: line.number, message: message, hint: hint))
      }
      let fields = trimmed.utf8.split(separator: 0x3A, maxSplits: 3, omittingEmptySubsequences: false)
        .map { String(bytes: $0) }
      guard fields.count >= 3 else {
        refuse("the line has \(fields.count) of 4 fields", hint: "id:runlevels:action:process")
        continue
      }
      let entry = Entry(
        id: fields[0], levels: fields[1], action: fields[2], process: fields.count > 3 ? fields[3] : "",
        line: line.number)
      if entry.id.isEmpty || entry.id.utf8.count > 4 {
        refuse("the identifier \(entry.id.quoted) has \(entry.id.utf8.count) characters", hint: "1 to 4")
      }
      if !actions.contains(entry.action) {
        let near = SourceText.nearest(to: entry.action, among: actions.sorted())
        refuse("\(entry.action.quoted) is no action", hint: near.map { "did you mean '\($0)'?" })
      }
      if entry.action == "initdefault", ["0", "6"].contains(entry.levels) {
        refuse(
          "the default runlevel is \(entry.levels): the machine goes down as soon as it is up", hint: "2 to 5"
        )
      }
      table.entries.append(entry)
    }
    return Parsed(table, problems: problems)
  }
}
