/// `menu.lst` or `grub.conf` of GRUB legacy (0.9x).
///
/// The rules are those of stage 2: a comment is a whole line that starts with `#`, a backslash before a line end joins
/// two lines, a command is separated from its argument by blanks or by one `=`, and a command GRUB does not know is
/// skipped without a word.
public struct GrubLegacyMenu: ConfigurationFile, Hashable {
  /// A line that GRUB executes.
  public struct Command: Sendable, Hashable {
    /// The command.
    public var name: String
    /// The rest of the line, without blanks at its ends.
    public var argument: String
    /// The line, counted from 1.
    public var line: Int
    /// Whether GRUB has such a command; it skips the others.
    public var isKnown: Bool
  }

  /// A kernel, a Multiboot module or an initrd that an entry loads.
  public struct Load: Sendable, Hashable {
    /// The file.
    public var file: GrubFile
    /// What follows the file on the line: the kernel command line, or a module's.
    public var commandLine: KernelCommandLine
    /// Options before the file, such as `--no-mem-option` or `--type=multiboot`.
    public var options: [String]
    /// The line of the command.
    public var line: Int
  }

  /// A `title` and the commands below it.
  public struct Entry: Sendable, Hashable {
    /// The title shown.
    public var title: String
    /// The line of `title`.
    public var line: Int
    /// The commands in order.
    public var commands: [Command]
  }

  /// Which entry is booted when nobody chooses.
  public enum Default: Sendable, Hashable {
    /// The entry with this number, from 0.
    case number(Int)
    /// The entry that `savedefault` wrote into `/boot/grub/default`.
    case saved
  }

  /// A comment that `update-grub` of Debian reads: `# kopt=root=/dev/sda1 ro`.
  public struct Magic: Sendable, Hashable {
    /// The name, such as `kopt`, `groot`, `kopt_2_6`.
    public var key: String
    /// What follows the `=`.
    public var value: String
    /// The line.
    public var line: Int
  }

  /// Commands before the first title, in order.
  public var commands: [Command] = []
  /// The entries, in order.
  public var entries: [Entry] = []
  /// The `default` in force; entry 0 when there is none.
  public var defaultEntry = Default.number(0)
  /// The line of that `default`; `nil` when there is none.
  public var defaultLine: Int?
  /// Seconds until the default is booted; `nil` waits for ever.
  public var timeout: Int?
  /// The entries to try when booting the default failed.
  public var fallback: [Int] = []
  /// Whether the menu is hidden until a key is pressed.
  public var hiddenMenu = false
  /// The device in anaconda's comment `#boot=/dev/sda`, where grub-install puts stage 1.
  public var bootComment: String?
  /// Debian's magic comments.
  public var magic: [Magic] = []

  /// An empty menu.
  public init() {}

  /// The commands of GRUB 0.97 and of its Debian, Red Hat and SUSE builds.
  static let known: Set<String> = [
    "background", "blocklist", "boot", "bootp", "cat", "chainloader", "clear", "cmp", "color", "configfile",
    "debug",
    "default", "device", "dhcp", "displayapm", "displaymem", "dump", "embed", "fallback", "find",
    "foreground",
    "fstest", "geometry", "gfxmenu", "halt", "help", "hiddenmenu", "hide", "ifconfig", "impsprobe", "initrd",
    "install", "ioprobe", "kernel", "lock", "makeactive", "map", "md5crypt", "module", "modulenounzip",
    "pager",
    "partnew", "parttype", "password", "pause", "quiet", "rarp", "read", "reboot", "root", "rootnoverify",
    "savedefault", "serial", "setkey", "setup", "shade", "splashimage", "terminal", "terminfo", "testload",
    "testvbe", "tftpserver", "timeout", "title", "unhide", "uppermem", "uuid", "vbeprobe", "viewport",
  ]

  /// Reads a menu.
  public static func parse(_ text: String, file: String) -> Parsed<GrubLegacyMenu> {
    var menu = GrubLegacyMenu()
    var problems: [Problem] = []
    for line in logicalLines(text) {
      if line.text.starts(withBytes: "#") {
        menu.readComment(line)
        continue
      }
      let command = Self.command(line)
      if !command.isKnown {
        let near = SourceText.nearest(to: command.name, among: known.sorted())
        problems.append(
          Problem(
            .warning, file: file, line: line.number,
            message: "GRUB skips \(command.name.quoted), which is no command of GRUB legacy",
            hint: near.map { "did you mean '\($0)'?" }))
      }
      if command.name == "title" {
        menu.entries.append(Entry(title: command.argument, line: line.number, commands: []))
      } else if menu.entries.isEmpty {
        menu.commands.append(command)
        menu.apply(command, file: file, problems: &problems)
      } else {
        menu.entries[menu.entries.count - 1].commands.append(command)
        check(command, file: file, problems: &problems)
      }
    }
    menu.checkWhole(file: file, problems: &problems)
    return Parsed(menu, problems: problems)
  }

  /// Joins lines that end in a backslash; comments are lines too. Blank lines go.
  private static func logicalLines(_ text: String) -> [SourceLine] {
    var result: [SourceLine] = []
    var joined: SourceLine?
    for line in text.sourceLines {
      var piece = line.text
      let continues = piece.utf8.last == 0x5C
      if continues { piece = String(bytes: piece.utf8.dropLast()) + " " }
      if joined == nil { joined = SourceLine(number: line.number, text: "") }
      joined?.text += piece
      if continues { continue }
      if let whole = joined { result.append(SourceLine(number: whole.number, text: whole.text.trimmed)) }
      joined = nil
    }
    if let whole = joined { result.append(SourceLine(number: whole.number, text: whole.text.trimmed)) }
    return result.filter { !$0.text.isEmpty }
  }

  private static func command(_ line: SourceLine) -> Command {
    let name = line.text.utf8.prefix { !$0.isSpace && $0 != 0x3D }
    var rest = line.text.utf8.dropFirst(name.count).drop { $0.isSpace }
    if rest.first == 0x3D { rest = rest.dropFirst() }
    let text = String(bytes: name)
    return Command(
      name: text, argument: String(bytes: rest).trimmed, line: line.number, isKnown: known.contains(text))
  }

  private mutating func readComment(_ line: SourceLine) {
    if let device = line.text.dropping(prefix: "#boot=") {
      bootComment = device.trimmed
      return
    }
    // update-grub reads lines of the form "# key=value": one #, one space; ## is prose.
    guard let rest = line.text.dropping(prefix: "# "), let (key, value) = rest.split(at: 0x3D) else { return }
    guard let first = key.utf8.first, first.isNameStart, key.utf8.allSatisfy(\.isNamePart) else { return }
    magic.append(Magic(key: key, value: value.trimmed, line: line.number))
  }

  private mutating func apply(_ command: Command, file: String, problems: inout [Problem]) {
    func refuse(_ expected: String) {
      problems.append(
        Problem(
          .error, file: file, line: command.line,
          message: "'\(command.name)' has the argument \(command.argument.quoted)", hint: expected))
    }
    switch command.name {
    case "default":
      if command.argument == "saved" {
        (defaultEntry, defaultLine) = (.saved, command.line)
      } else if let number = command.argument.decimal {
        (defaultEntry, defaultLine) = (.number(number), command.line)
      } else {
        refuse("a number of an entry, counted from 0, or 'saved'")
      }
    case "timeout":
      if let seconds = command.argument.decimal { timeout = seconds } else { refuse("a number of seconds") }
    case "fallback":
      let numbers = command.argument.words.map { $0.text.decimal }
      if numbers.contains(nil) || numbers.isEmpty { refuse("numbers of entries, counted from 0") }
      fallback = numbers.compactMap { $0 }
    case "hiddenmenu": hiddenMenu = true
    default: Self.check(command, file: file, problems: &problems)
    }
  }

  private static func check(_ command: Command, file: String, problems: inout [Problem]) {
    func problem(_ message: String, _ hint: String?) {
      problems.append(Problem(.error, file: file, line: command.line, message: message, hint: hint))
    }
    switch command.name {
    case "root", "rootnoverify":
      let device = command.argument.words.first?.text ?? ""
      if !device.isEmpty, GrubDevice(device, style: .legacy) == nil {
        problem(
          "\(device.quoted) is no device of GRUB legacy",
          "for example (hd0,0), the first partition of the first BIOS disk")
      }
    case "kernel", "module", "modulenounzip", "initrd", "chainloader", "configfile":
      guard let load = command.load else {
        problem("'\(command.name)' names no file", nil)
        return
      }
      if let text = load.file.deviceText, load.file.device == nil {
        problem("\(text.quoted) is no device of GRUB legacy", "for example (hd0,0)")
      }
      if command.name == "kernel" { problems += load.commandLine.problems(file: file) }
    default: break
    }
  }

  private func checkWhole(file: String, problems: inout [Problem]) {
    let line = defaultLine ?? 0
    if entries.isEmpty {
      problems.append(
        Problem(
          .error, file: file, line: 0, message: "the menu has no entry",
          hint: "GRUB shows its command line; an entry starts with 'title'"))
    } else if case .number(let number) = defaultEntry, number >= entries.count {
      problems.append(
        Problem(
          .warning, file: file, line: line,
          message: "default is \(number), but the entries are numbered 0 to \(entries.count - 1)",
          hint: "GRUB boots entry \(entryToBoot(saved: nil) ?? 0) instead"))
    }
  }

  /// The number of the entry GRUB boots when nobody presses a key; `nil` when there is no entry.
  ///
  /// A default that is not there gives way to the first fallback, or to entry 0 (`cmain` in stage2.c).
  /// - Parameter saved: The number in `/boot/grub/default`, used with `default saved`; `nil` counts as 0.
  public func entryToBoot(saved: Int?) -> Int? {
    guard !entries.isEmpty else { return nil }
    let wanted: Int
    switch defaultEntry {
    case .number(let number): wanted = number
    case .saved: wanted = saved ?? 0
    }
    if entries.indices.contains(wanted) { return wanted }
    if let first = fallback.first, entries.indices.contains(first) { return first }
    return 0
  }
}

extension GrubLegacyMenu.Command {
  /// The device of `root` or `rootnoverify`; `nil` for other commands and for what is no device.
  public var device: GrubDevice? {
    guard name == "root" || name == "rootnoverify" else { return nil }
    return argument.words.first.flatMap { GrubDevice($0.text, style: .legacy) }
  }

  /// The two drives of `map TO FROM`: what the booted system sees as `from` is really `to`. `nil` for other commands.
  public var mapping: (to: GrubDevice, from: GrubDevice)? {
    let words = argument.words
    guard name == "map", words.count == 2, let to = GrubDevice(words[0].text, style: .legacy),
      let from = GrubDevice(words[1].text, style: .legacy)
    else { return nil }
    return (to, from)
  }

  /// What `kernel`, `module`, `initrd`, `chainloader` or `configfile` loads; `nil` for other commands.
  public var load: GrubLegacyMenu.Load? {
    guard ["kernel", "module", "modulenounzip", "initrd", "chainloader", "configfile"].contains(name) else {
      return nil
    }
    var options: [String] = []
    for word in argument.words {
      if word.text.starts(withBytes: "--") {
        options.append(word.text)
        continue
      }
      let rest = String(bytes: argument.utf8.dropFirst(word.column - 1 + word.text.utf8.count)).trimmed
      return GrubLegacyMenu.Load(
        file: GrubFile(word.text, style: .legacy), commandLine: KernelCommandLine(rest, line: line),
        options: options, line: line)
    }
    return nil
  }
}

extension GrubLegacyMenu.Entry {
  /// The last command with a name, the one whose effect stays.
  public func last(_ name: String) -> GrubLegacyMenu.Command? { commands.last { $0.name == name } }

  /// The kernel the entry starts; `nil` when it loads none, as with `chainloader`.
  public var kernel: GrubLegacyMenu.Load? { last("kernel")?.load }

  /// The initrd; `nil` when there is none.
  public var initrd: GrubLegacyMenu.Load? { last("initrd")?.load }

  /// The device of the last `root` or `rootnoverify`; `nil` when the entry sets none.
  public var root: GrubDevice? { commands.last { $0.device != nil }?.device }

  /// The file system UUID of Ubuntu's `uuid` command; `nil` when there is none.
  public var uuid: String? { last("uuid")?.argument }

  /// Multiboot modules, in order.
  public var modules: [GrubLegacyMenu.Load] {
    commands.filter { $0.name == "module" || $0.name == "modulenounzip" }.compactMap(\.load)
  }
}
