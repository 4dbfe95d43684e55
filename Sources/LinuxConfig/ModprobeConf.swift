/// `/etc/modprobe.conf`, `/etc/modprobe.d/*`, and the older `/etc/modules.conf` as far as they agree.
public struct ModprobeConf: ConfigurationFile, Hashable {
  /// One line.
  public struct Command: Sendable, Hashable {
    /// `alias`, `options`, `install`, `remove`, `blacklist`, `softdep`, `include`, `above`, `probeall`, …
    public var keyword: String
    /// The alias or module the line is about.
    public var subject: String
    /// The rest of the line.
    public var argument: String
    /// The line, counted from 1.
    public var line: Int
  }

  /// The lines in order.
  public var commands: [Command]

  /// Makes a configuration.
  public init(commands: [Command] = []) { self.commands = commands }

  /// A module's name as the kernel compares it: `-` is `_`.
  public static func canonical(_ name: String) -> String {
    String(bytes: name.utf8.map { $0 == 0x2D ? 0x5F : $0 })
  }

  private static let keywords: Set<String> = [
    "alias", "options", "install", "remove", "blacklist", "softdep", "include", "config",
    // modules.conf of modutils:
    "above", "below", "add", "define", "depfile", "generic_stringfile", "if", "else", "elseif", "endif",
    "insmod_opt",
    "keep", "path", "persistdir", "post-install", "post-remove", "pre-install", "pre-remove", "probe",
    "probeall",
    "prune", "remove_opt", "pcimapfile", "isapnpmapfile", "usbmapfile", "parportmapfile", "ieee1394mapfile",
  ]

  /// Reads a file.
  public static func parse(_ text: String, file: String) -> Parsed<ModprobeConf> {
    var conf = ModprobeConf()
    var problems = SourceText.carriageReturns(in: text, file: file)
    var open: SourceLine?
    for line in text.sourceLines {
      var piece = line.text
      let continues = piece.utf8.last == 0x5C
      if continues { piece = String(bytes: piece.utf8.dropLast()) + " " }
      let whole = SourceLine(number: open?.number ?? line.number, text: (open?.text ?? "") + piece)
      open = continues ? whole : nil
      if !continues { conf.read(whole, file: file, problems: &problems) }
    }
    if let open { conf.read(open, file: file, problems: &problems) }
    return Parsed(conf, problems: problems)
  }

  private mutating func read(_ line: SourceLine, file: String, problems: inout [Problem]) {
    let words = line.text.words
    guard let first = words.first, !first.text.starts(withBytes: "#") else { return }
    func report(_ severity: Problem.Severity, _ message: String, hint: String? = nil) {
      problems.append(Problem(severity, file: file, line: line.number, message: message, hint: hint))
    }
    // modutils also writes path=… and path[boot]=….
    let keyword = String(bytes: first.text.utf8.prefix { $0 != 0x3D && $0 != 0x5B })
    if !Self.keywords.contains(keyword) {
      let near = SourceText.nearest(to: first.text, among: Self.keywords.sorted())
      report(
        .warning, "\(first.text.quoted) is no command of modprobe's configuration",
        hint: near.map { "did you mean '\($0)'?" })
    }
    let needed =
      ["alias": 3, "options": 3, "install": 3, "remove": 3, "blacklist": 2, "softdep": 3][first.text] ?? 1
    if words.count < needed {
      report(.error, "'\(first.text)' has \(words.count - 1) of at least \(needed - 1) words")
    }
    let rest =
      words.count > 1
      ? String(bytes: line.text.utf8.dropFirst(words[1].column - 1 + words[1].text.utf8.count)).trimmed : ""
    commands.append(
      Command(
        keyword: first.text, subject: words.count > 1 ? words[1].text : "", argument: rest, line: line.number)
    )
  }

  /// The module an alias stands for; the last line counts. `nil` without one.
  public func alias(_ name: String) -> String? {
    let wanted = Self.canonical(name)
    return commands.last { $0.keyword == "alias" && Self.canonical($0.subject) == wanted }?.argument.words
      .first?.text
  }

  /// The driver of each network interface that has an alias, by interface: `eth0` to `e1000`.
  public var interfaces: [String: String] {
    var result: [String: String] = [:]
    for command in commands where command.keyword == "alias" {
      let digits = command.subject.utf8.reversed().prefix { $0.isDigit }.count
      let stem = String(bytes: command.subject.utf8.dropLast(digits))
      if digits > 0, ["eth", "tr", "fddi", "ib", "wlan"].contains(stem) {
        result[command.subject] = command.argument.words.first?.text
      }
    }
    return result
  }

  /// The drivers of `alias scsi_hostadapter`, `scsi_hostadapter1`, … in the order Red Hat's mkinitrd loads them: by
  /// number, the one without a number first.
  public var hostAdapters: [String] {
    commands.filter { $0.keyword == "alias" }.compactMap { command -> (Int, String)? in
      guard let suffix = command.subject.dropping(prefix: "scsi_hostadapter"),
        let module = command.argument.words.first?.text, module != "off"
      else { return nil }
      return suffix.isEmpty ? (-1, module) : suffix.decimal.map { ($0, module) }
    }.sorted { $0.0 < $1.0 }.map(\.1)
  }

  /// The parameters of `options` lines for a module, in order.
  public func options(_ module: String) -> [String] {
    let wanted = Self.canonical(module)
    return commands.filter { $0.keyword == "options" && Self.canonical($0.subject) == wanted }
      .flatMap { $0.argument.words.map(\.text) }
  }

  /// Whether a module's own aliases are not used.
  public func isBlacklisted(_ module: String) -> Bool {
    let wanted = Self.canonical(module)
    return commands.contains { $0.keyword == "blacklist" && Self.canonical($0.subject) == wanted }
  }

  /// The shell command run instead of loading a module; the last one counts.
  public func install(_ module: String) -> String? {
    let wanted = Self.canonical(module)
    return commands.last { $0.keyword == "install" && Self.canonical($0.subject) == wanted }?.argument
  }
}
