/// What a ``GrubEvaluator`` asks of the machine GRUB runs on.
public protocol GrubDelegate {
  /// The device on which `search` finds a file system or a file; `nil` when there is none.
  ///
  /// - Returns: A name without parentheses, such as `hd0,msdos1`.
  mutating func search(_ search: GrubSearch) -> String?
  /// What is at a path; the device is `root` unless the path names one. `nil` when nothing is there.
  mutating func node(device: String, path: String) -> FileNode?
  /// The variables of an environment block (`load_env`), already read; `nil` when the file cannot be read.
  mutating func environmentBlock(device: String, path: String) -> [String: String]?
  /// A command that is not of the language: `insmod`, `linux`, `initrd`, `echo`, `loadfont`, `chainloader`.
  ///
  /// - Returns: Whether it succeeded.
  mutating func run(_ call: GrubCall) -> Bool
}

/// A `search` command.
public struct GrubSearch: Sendable, Hashable {
  /// What is looked for.
  public enum Kind: Sendable, Hashable {
    /// The UUID of a file system.
    case fileSystemUUID
    /// The label of a file system.
    case label
    /// A path that exists.
    case file
  }
  /// What is looked for.
  public var kind: Kind
  /// The UUID, the label or the path.
  public var value: String
  /// The devices to look at first, from `--hint` and `--hint-bios`.
  public var hints: [String]
  /// Whether floppies are left out.
  public var skipsFloppies: Bool
  /// The line.
  public var line: Int
}

/// A command as GRUB executes it.
public struct GrubCall: Sendable, Hashable {
  /// The command.
  public var name: String
  /// Its arguments, expanded.
  public var arguments: [String]
  /// The variable `root` when it is executed: the device of paths that name none.
  public var root: String
  /// The variable `prefix`: where GRUB's own files are.
  public var prefix: String
  /// The file it is written in.
  public var file: String
  /// The line.
  public var line: Int

  /// The file that the first argument that is no option names; `nil` without one.
  public var target: GrubFile? {
    arguments.first { !$0.starts(withBytes: "--") }.map { GrubFile($0, style: .grub2) }
  }
}

/// An entry of the menu GRUB shows.
public struct GrubMenuEntry: Sendable, Hashable {
  /// The title.
  public var title: String
  /// The identifier given with `--id`; the title when there is none.
  public var id: String
  /// Whether it opens another menu.
  public var isSubmenu: Bool
  /// Values of `--class`.
  public var classes: [String]
  /// Title and further words: `$1` and following in the body.
  public var arguments: [String]
  /// What is executed when it is chosen.
  public var body: [GrubCommand]
  /// The file it is written in.
  public var file: String
  /// The line.
  public var line: Int
}

/// Executes a ``GrubConfig`` as GRUB's normal mode does, asking a ``GrubDelegate`` about disks and files.
///
/// Bounded: a configuration that never ends is stopped, and ``isComplete`` says so.
public struct GrubEvaluator<Delegate: GrubDelegate> {
  /// Who answers for the machine.
  public var delegate: Delegate
  /// The variables: set the initial ones, read the final ones.
  public var variables: [String: String]
  /// The menu gathered so far.
  public private(set) var entries: [GrubMenuEntry] = []
  /// Every command that went to the delegate, in order, since the last ``run(_:file:)`` or ``boot(_:)`` began.
  public private(set) var calls: [GrubCall] = []
  /// Whether all was executed; `false` when a bound on steps or depth stopped it.
  public private(set) var isComplete = true
  /// Lines that could not be executed as written: syntax errors, bad conditions.
  public private(set) var problems: [Problem] = []
  /// How many commands are executed before giving up.
  public var stepLimit = 100_000

  var functions: [String: (body: [GrubCommand], file: String)] = [:]
  var arguments: [String] = []
  var status = true
  var steps = 0
  var depth = 0
  var file = ""

  private enum Flow {
    case next
    case `break`
    case `continue`
    case `return`
    case stop
  }

  /// The variables GRUB 2.02 to 2.12 set for scripts (`features` in grub-core/normal/main.c).
  public static var features: [String: String] {
    let names = [
      "chainloader_bpb", "ntldr", "platform_search_hint", "default_font_path", "all_video_module",
      "menuentry_id",
      "menuentry_options", "200_final", "nativedisk_cmd", "timeout_style",
    ]
    return Dictionary(uniqueKeysWithValues: names.map { ("feature_\($0)", "y") })
  }

  /// Makes an evaluator.
  ///
  /// - Parameters:
  ///   - delegate: The machine.
  ///   - root: The device GRUB starts with, such as `hd0,msdos1`.
  ///   - prefix: Where its files are, such as `(hd0,msdos1)/boot/grub`.
  ///   - platform: `pc` or `efi`.
  public init(delegate: Delegate, root: String, prefix: String, platform: String = "pc") {
    self.delegate = delegate
    variables = Self.features
    variables["root"] = root
    variables["prefix"] = prefix
    variables["grub_platform"] = platform
    variables["grub_cpu"] = platform == "pc" ? "i386" : "x86_64"
    variables["menuentry_id_option"] = nil
  }

  /// Executes a configuration: afterwards ``entries`` is the menu, and `timeout` and `default` are among the
  /// ``variables``.
  public mutating func run(_ config: GrubConfig, file: String) {
    begin(file)
    entries = []
    _ = execute(config.commands)
  }

  /// Executes the body of an entry, as choosing it does, and returns what went to the delegate. For a submenu,
  /// ``entries`` is its menu afterwards.
  public mutating func boot(_ entry: GrubMenuEntry) -> [GrubCall] {
    begin(entry.file)
    arguments = entry.arguments
    variables["chosen"] = entry.id
    if entry.isSubmenu { entries = [] }
    _ = execute(entry.body)
    return calls
  }

  /// Boots the entry that ``entries`` gives for `default`, through submenus (`a>b`); `nil` when the menu is empty.
  public mutating func bootDefault() -> [GrubCall]? {
    var path = Self.split(variables["default"] ?? "0")[...]
    var all: [GrubCall] = []
    for _ in 0..<16 {
      guard !entries.isEmpty else { return all.isEmpty ? nil : all }
      let entry = entries[entryIndex(path.popFirst() ?? "0") ?? 0]
      all += boot(entry)
      if !entry.isSubmenu { return all }
    }
    return all
  }

  /// The index of the entry that `default`, or one step of it, names: a number, an identifier or a title
  /// (`get_entry_number` in normal/menu.c); `nil` when there is none, and GRUB takes the first.
  public func entryIndex(_ name: String) -> Int? {
    if let number = name.trimmed.decimal { return entries.indices.contains(number) ? number : nil }
    return entries.firstIndex { $0.id == name || $0.title == name }
  }

  /// `a>b` as two steps; `>>` stands for `>`.
  private static func split(_ path: String) -> [String] {
    var steps: [[UInt8]] = [[]]
    var bytes = Array(path.utf8)[...]
    while let byte = bytes.popFirst() {
      if byte == 0x3E, bytes.first == 0x3E {
        bytes.removeFirst()
        steps[steps.count - 1].append(byte)
      } else if byte == 0x3E {
        steps.append([])
      } else {
        steps[steps.count - 1].append(byte)
      }
    }
    return steps.map { String(bytes: $0) }
  }

  private mutating func begin(_ file: String) {
    self.file = file
    (calls, arguments, status, steps, depth) = ([], [], true, 0, 0)
    if variables["feature_menuentry_id"] == "y", variables["menuentry_id_option"] == nil {
      variables["menuentry_id_option"] = "--id"
    }
  }

  mutating func problem(_ message: String, line: Int) {
    let problem = Problem(.error, file: file, line: line, message: message)
    if problems.count < 100, !problems.contains(problem) { problems.append(problem) }
  }

  // MARK: Commands

  private mutating func execute(_ commands: [GrubCommand]) -> Flow {
    depth += 1
    defer { depth -= 1 }
    for command in commands {
      steps += 1
      if steps > stepLimit || depth > 100 {
        isComplete = false
        return .stop
      }
      let flow = execute(command)
      guard case .next = flow else { return flow }
    }
    return .next
  }

  private mutating func execute(_ command: GrubCommand) -> Flow {
    switch command.kind {
    case .simple(let words): return simple(expand(words), line: command.line)
    case .entry(let words, let body): addEntry(words, body, isSubmenu: false, line: command.line)
    case .submenu(let words, let body): addEntry(words, body, isSubmenu: true, line: command.line)
    case .conditional(let branches, let otherwise):
      for branch in branches {
        let flow = execute(branch.condition)
        guard case .next = flow else { return flow }
        if status { return execute(branch.body) }
      }
      status = true
      return execute(otherwise)
    case .forEach(let variable, let words, let body):
      for value in expand(words) {
        variables[variable] = value
        switch execute(body) {
        case .next, .continue: continue
        case .break: return .next
        case let flow: return flow
        }
      }
    case .loop(let condition, let body, let isUntil):
      while true {
        let flow = execute(condition)
        guard case .next = flow else { return flow }
        steps += 1  // So that a loop with nothing in it ends too.
        if steps > stepLimit {
          isComplete = false
          return .stop
        }
        if status == isUntil { return .next }
        switch execute(body) {
        case .next, .continue: continue
        case .break: return .next
        case let flow: return flow
        }
      }
    case .function(let name, let body):
      functions[name] = (body, file)
      status = true
    case .unreadable(let text):
      problem("syntax error in \(text.quoted)", line: command.line)
      status = false
    }
    return .next
  }

  mutating func addEntry(_ words: [GrubWord], _ body: [GrubCommand], isSubmenu: Bool, line: Int) {
    var entry = GrubMenuEntry(
      title: "", id: "", isSubmenu: isSubmenu, classes: [], arguments: [], body: body, file: file, line: line)
    var rest = expand(words)[...]
    while let word = rest.popFirst() {
      if let value = word.dropping(prefix: "--class=") {
        entry.classes.append(value)
      } else if let value = word.dropping(prefix: "--id=") {
        entry.id = value
      } else if word == "--class" {
        if let value = rest.popFirst() { entry.classes.append(value) }
      } else if word == "--id" {
        entry.id = rest.popFirst() ?? ""
      } else if word == "--users" || word == "--hotkey" || word == "--source" {
        _ = rest.popFirst()
      } else if !word.starts(withBytes: "--") {
        entry.arguments.append(word)
      }
    }
    guard let title = entry.arguments.first else { return problem("the entry has no title", line: line) }
    entry.title = title
    if entry.id.isEmpty { entry.id = title }
    entries.append(entry)
    status = true
  }

  private mutating func simple(_ words: [String], line: Int) -> Flow {
    guard let name = words.first else { return .next }
    let rest = Array(words.dropFirst())
    if let function = functions[name] {
      let saved = (arguments, file)
      (arguments, file) = (rest, function.file)
      let flow = execute(function.body)
      (arguments, file) = saved
      if case .stop = flow { return .stop }
      return .next
    }
    switch name {
    case "set":
      for word in rest { if let (name, value) = word.split(at: 0x3D) { assign(name, value) } }
      status = true
    case "unset":
      for word in rest { variables[word] = nil }
      status = true
    case "export":
      for word in rest {
        // What is exported matters to menus opened in a new context; here every menu shares one.
        if let (name, value) = word.split(at: 0x3D) { assign(name, value) }
      }
      status = true
    case "true", ":": status = true
    case "false": status = false
    case "[", "test":
      let body = name == "[" && rest.last == "]" ? Array(rest.dropLast()) : rest
      if name == "[", rest.last != "]" { problem("'[' is not closed by ']'", line: line) }
      status = test(body, line: line)
    case "break": return .break
    case "continue": return .continue
    case "return":
      if let code = rest.first { status = code == "0" }
      return .return
    case "shift":
      if !arguments.isEmpty { arguments.removeFirst(min(arguments.count, rest.first?.decimal ?? 1)) }
    case "setparams": arguments = rest
    case "load_env": loadEnvironment(rest)
    case "search", "search.fs_uuid", "search.fs_label", "search.file": search(name, rest, line: line)
    case "source", ".": return source(rest, line: line)
    case let word where word.split(at: 0x3D) != nil && rest.isEmpty:
      if let (name, value) = word.split(at: 0x3D) { assign(name, value) }
      status = true
    default:
      let call = GrubCall(
        name: name, arguments: rest, root: variables["root"] ?? "", prefix: variables["prefix"] ?? "",
        file: file,
        line: line)
      calls.append(call)
      status = delegate.run(call)
    }
    return .next
  }

  mutating func assign(_ name: String, _ value: String) {
    // GRUB's heap would be exhausted by a variable that doubles for ever.
    variables[name] = value.utf8.count > 1 << 13 ? "" : value
  }

  private mutating func source(_ words: [String], line: Int) -> Flow {
    guard let path = words.first, case .file(let bytes)? = node(path) else {
      problem("file \((words.first ?? "").quoted) not found", line: line)
      status = false
      return .next
    }
    let parsed = GrubConfig.parse(String(decoding: bytes, as: UTF8.self), file: path)
    problems += parsed.problems.prefix(20)
    let saved = file
    file = path
    let flow = execute(parsed.value.commands)
    file = saved
    if case .stop = flow { return .stop }
    return .next
  }

  private mutating func loadEnvironment(_ words: [String]) {
    var path = (variables["prefix"] ?? "") + "/grubenv"
    var names: [String] = []
    var rest = words[...]
    while let word = rest.popFirst() {
      if word == "-f" || word == "--file" {
        path = rest.popFirst() ?? path
      } else if let value = word.dropping(prefix: "--file=") {
        path = value
      } else if !word.starts(withBytes: "-") {
        names.append(word)
      }
    }
    let place = place(path)
    guard let block = delegate.environmentBlock(device: place.device, path: place.path) else {
      status = false
      return
    }
    for (name, value) in block where names.isEmpty || names.contains(name) { assign(name, value) }
    status = true
  }

  /// A path with the device it is on: the one it names, or `root`.
  func place(_ path: String) -> (device: String, path: String) {
    let file = GrubFile(path, style: .grub2)
    let device = file.deviceText.map { String(bytes: $0.utf8.dropFirst().dropLast()) }
    return (device ?? variables["root"] ?? "", file.path)
  }

  mutating func node(_ path: String) -> FileNode? {
    let place = place(path)
    return delegate.node(device: place.device, path: place.path)
  }
}
