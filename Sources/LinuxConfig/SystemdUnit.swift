/// A unit of systemd (systemd.syntax(7), systemd.unit(5)), alone or with its drop-ins.
public struct SystemdUnit: ConfigurationFile, Hashable {
  /// One `Key=value`, with the file it is in.
  public struct Setting: Sendable, Hashable {
    /// The section: `Unit`, `Service`, `Install`, …
    public var section: String
    /// The key.
    public var key: String
    /// The value, continued lines joined by blanks.
    public var value: String
    /// The file.
    public var file: String
    /// The line, counted from 1.
    public var line: Int
  }

  /// The settings in the order systemd reads them: the unit, then its drop-ins.
  public var settings: [Setting] = []
  /// The files they came from, in order.
  public var files: [String] = []
  /// Whether the unit is masked: a link to `/dev/null`, or an empty file. It can then not be started.
  public var isMasked = false
  /// Units whose `.wants` directories name this one: what pulls it in.
  public var wantedBy: [String] = []
  /// Units whose `.requires` directories name this one.
  public var requiredBy: [String] = []

  /// An empty unit.
  public init() {}

  /// Reads one file.
  public static func parse(_ text: String, file: String) -> Parsed<SystemdUnit> {
    var unit = SystemdUnit()
    unit.files = [file]
    var problems = SourceText.carriageReturns(in: text, file: file)
    var section: String?
    var open: SourceLine?
    for line in text.sourceLines {
      let start = line.text.trimmed
      // Comments are dropped also between continued lines.
      if start.starts(withBytes: "#") || start.starts(withBytes: ";") { continue }
      var piece = line.text
      let continues = piece.utf8.last == 0x5C
      if continues { piece = String(bytes: piece.utf8.dropLast()) + " " }
      let whole = SourceLine(number: open?.number ?? line.number, text: (open?.text ?? "") + piece)
      open = continues ? whole : nil
      if !continues { unit.read(whole, section: &section, file: file, problems: &problems) }
    }
    if let open { unit.read(open, section: &section, file: file, problems: &problems) }
    return Parsed(unit, problems: problems)
  }

  private mutating func read(
    _ line: SourceLine, section: inout String?, file: String, problems: inout [Problem]
  ) {
    let text = line.text.trimmed
    if text.isEmpty { return }
    func report(_ severity: Problem.Severity, _ message: String, hint: String? = nil) {
      problems.append(Problem(severity, file: file, line: line.number, message: message, hint: hint))
    }
    if text.starts(withBytes: "[") {
      guard let name = text.dropping(prefix: "[")?.dropping(suffix: "]"), !name.isEmpty else {
        return report(.error, "\(text.quoted) is no section", hint: "for example: [Unit]")
      }
      section = name
    } else if let setting = ConfigSetting(SourceLine(number: line.number, text: text)) {
      guard let section else {
        return report(
          .error, "'\(setting.key)=' stands before any section and is ignored", hint: "[Unit] comes first")
      }
      settings.append(
        Setting(section: section, key: setting.key, value: setting.value, file: file, line: line.number))
    } else {
      report(.error, "\(text.quoted) is ignored", hint: "a line has the form Key=value")
    }
  }

  /// The values of a key that may be given several times, in order. An empty value takes back those before it.
  public func values(_ section: String, _ key: String) -> [String] {
    var values: [String] = []
    for setting in settings where setting.section == section && setting.key == key {
      if setting.value.isEmpty { values.removeAll() } else { values.append(setting.value) }
    }
    return values
  }

  /// The value given last; `nil` when the key is absent or its last value is empty.
  public func value(_ section: String, _ key: String) -> String? { values(section, key).last }

  /// The words of all the values of a key: unit names. Ordering and dependencies cannot be taken back by an empty value.
  public func words(_ section: String, _ key: String) -> [String] {
    settings.filter { $0.section == section && $0.key == key }.flatMap { $0.value.words.map(\.text) }
  }

  /// Units this one is started after, and stopped before.
  public var after: [String] { words("Unit", "After") }
  /// Units this one is started before, and stopped after.
  public var before: [String] { words("Unit", "Before") }
  /// Units that have to be started with it.
  public var requires: [String] { words("Unit", "Requires") }
  /// Units that are started with it, if they can be.
  public var wants: [String] { words("Unit", "Wants") }
  /// Units that are stopped when it is started, and the other way round; `shutdown.target` among them.
  public var conflicts: [String] { words("Unit", "Conflicts") }
  /// Units it is bound to: it stops when they do.
  public var bindsTo: [String] { words("Unit", "BindsTo") }
  /// The commands that start it.
  public var execStart: [String] { values("Service", "ExecStart") }
  /// The commands that stop it.
  public var execStop: [String] { values("Service", "ExecStop") }
  /// What `systemctl enable` would link it into.
  public var installWantedBy: [String] { words("Install", "WantedBy") }
  /// Whether the usual dependencies are added: `Conflicts=` and `Before=shutdown.target` among them.
  public var hasDefaultDependencies: Bool {
    !["no", "false", "off", "0", "n", "f"].contains(value("Unit", "DefaultDependencies")?.lowercased() ?? "")
  }

  /// The directories of system units, the first with a unit of a name wins (systemd.unit(5)).
  public static let directories = [
    "/etc/systemd/system", "/run/systemd/system", "/usr/local/lib/systemd/system", "/usr/lib/systemd/system",
    "/lib/systemd/system",
  ]

  /// Reads a unit of a tree with its drop-ins; `nil` when no directory has it.
  ///
  /// Drop-ins of all directories are read in the order of their file names; of two with one name, the one in the
  /// earlier directory counts, and a link to `/dev/null` takes a drop-in away. For `name@instance.service` the
  /// template `name@.service` is read. Specifiers such as `%i` are replaced.
  public static func load(_ name: String, from tree: some FileTree) -> Parsed<SystemdUnit>? {
    guard !name.utf8.contains(0x2F) else { return nil }
    let names = [name, template(of: name)].compactMap { $0 }
    var result: Parsed<SystemdUnit>?
    search: for candidate in names {
      for directory in directories {
        let path = "\(directory)/\(candidate)"
        if isNull(path, in: tree) {
          var masked = SystemdUnit()
          (masked.isMasked, masked.files) = (true, [path])
          return Parsed(masked)
        }
        guard let text = tree.text(path) else { continue }
        result = parse(text, file: path)
        if text.trimmed.isEmpty { result?.value.isMasked = true }
        break search
      }
    }
    guard var unit = result else { return nil }
    var dropIns: [String: String] = [:]
    for directory in directories {
      for candidate in names {
        let folder = "\(directory)/\(candidate).d"
        for file in tree.list(folder) where file.dropping(suffix: ".conf") != nil && dropIns[file] == nil {
          dropIns[file] = "\(folder)/\(file)"
        }
      }
    }
    for file in dropIns.keys.sorted(by: TreePath.sortsBefore) {
      guard let path = dropIns[file], !isNull(path, in: tree), let text = tree.text(path) else { continue }
      let parsed = parse(text, file: path)
      unit.value.settings += parsed.value.settings
      unit.value.files.append(path)
      unit.problems += parsed.problems
    }
    unit.value.expandSpecifiers(of: name)
    unit.value.wantedBy = pulled(name, by: ".wants", in: tree)
    unit.value.requiredBy = pulled(name, by: ".requires", in: tree)
    return unit
  }

  /// The names of all units of a tree, sorted.
  public static func names(in tree: some FileTree) -> [String] {
    let types = [
      "service", "socket", "target", "mount", "automount", "swap", "path", "timer", "slice", "scope",
      "device",
    ]
    var names: Set<String> = []
    for directory in directories {
      for name in tree.list(directory) where types.contains(where: { name.dropping(suffix: "." + $0) != nil })
      {
        names.insert(name)
      }
    }
    return names.sorted(by: TreePath.sortsBefore)
  }

  private static func template(of name: String) -> String? {
    guard let (stem, rest) = name.split(at: 0x40), let dot = rest.utf8.lastIndex(of: 0x2E), !rest.utf8.isEmpty
    else {
      return nil
    }
    let suffix = String(Substring(rest.utf8[dot...]))
    return suffix == rest ? nil : "\(stem)@\(suffix)"
  }

  private static func isNull(_ path: String, in tree: some FileTree) -> Bool {
    switch tree.resolve(path) {
    case .missing("/dev/null"), .found("/dev/null", _): true
    default: false
    }
  }

  private static func pulled(_ name: String, by suffix: String, in tree: some FileTree) -> [String] {
    var units: Set<String> = []
    for directory in directories {
      for folder in tree.list(directory) {
        guard let unit = folder.dropping(suffix: suffix), tree.list("\(directory)/\(folder)").contains(name)
        else {
          continue
        }
        units.insert(unit)
      }
    }
    return units.sorted(by: TreePath.sortsBefore)
  }
}
