import LinuxConfig

/// The files as the commands that a story types leave them, while those are being compiled.
struct TypedFiles {
  var files: DiskFiles
  /// How the version of the files came about that they began with; each change adds to it.
  let name: String
  /// False: a user types, who may write below /home and /tmp only, and runs as root what `sudo` runs.
  var isRoot = true
  /// The kernel that runs.
  var kernel: String?
  /// Something was not done for want of permission.
  var isRefused = false
  var changes = 0
  /// Disks and partitions by the names they have now, for an installation system's console.
  var devices: [String: InstallerConsole.Mount] = [:]

  init(
    files: DiskFiles, name: String, isRoot: Bool = true, kernel: String? = nil,
    devices: [String: InstallerConsole.Mount] = [:]
  ) {
    (self.files, self.name, self.isRoot, self.kernel) = (files, name, isRoot, kernel)
    self.devices = devices
  }

  /// Versions that one line gives at most.
  static let versionLimit = 200

  static func isUsersOwn(_ path: String) -> Bool {
    ["/home", "/tmp", "/var/tmp", "/dev"].contains { path == $0 || path.hasPrefix($0 + "/") }
  }
}

/// Compiling what a story types: one walk gives both what the commands do to the machine and what they leave in its files.
extension CommandCompiler {
  /// Compiles a typed line, from where the shell of the story stands.
  mutating func type(_ line: String) {
    if isInstalling, ["exit", "logout"].contains(line.split(separator: " ").first.map(String.init)) {
      return leaveRoot()
    }
    var interpreter = ShellInterpreter(tree: tree, delegate: self)
    let run = interpreter.run(
      ShellScript.parse(line, file: "story"), file: "story",
      environment: ["PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root"],
      directory: typed?.files.directory ?? "/")
    self = interpreter.delegate
    for problem in run.problems { model.library.notLooked(problem.description) }
    for note in run.notLookedAt { model.library.notLooked(note.description) }
    guard var typed else { return }
    if typed.files.directory != run.directory || typed.changes > TypedFiles.versionLimit {
      typed.files.directory = run.directory
      self.typed = typed
      ops.add(.files(model.library.files("\(typed.name) end") { typed.files }))
    }
  }

  /// Runs a line with the files as they are now, its output kept.
  mutating func inner(_ line: String, _ call: ShellCall) -> ShellOutcome {
    guard nesting < 8 else { return .unknown }
    nesting += 1
    var interpreter = ShellInterpreter(tree: tree, delegate: self)
    let run = interpreter.run(
      ShellScript.parse(line, file: call.file), file: call.file,
      environment: ["PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
      directory: call.directory)
    self = interpreter.delegate
    nesting -= 1
    for note in run.notLookedAt { model.library.notLooked(note.description) }
    return ShellOutcome(run.status, output: run.output)
  }

  // MARK: - Versions

  /// Changes the files; the machine has them so when it comes to this place of the program.
  mutating func changeFiles(_ change: (inout MemoryFileTree) -> Void) {
    guard typed != nil else { return }
    var changed = tree
    change(&changed)
    guard changed != tree else { return }
    tree = changed
    typed?.files.take(changed, model.inventory)
    storeVersion()
  }

  mutating func storeVersion() {
    guard let typed else { return }
    self.typed?.changes += 1
    // A loop that writes thousands of times is followed to its end, not turn by turn.
    guard typed.changes < TypedFiles.versionLimit else { return }
    ops.add(.files(model.library.files("\(typed.name) change \(typed.changes + 1)") { typed.files }))
  }

  // MARK: - What the interpreter asks

  /// What is at a path now; the machine's own answers come first.
  func typedFile(_ path: String) -> ShellFileAnswer {
    guard typed != nil else { return .tree }
    guard case .found(let parent, .directory) = tree.resolve(TreePath.parent(path)) else {
      return tree.exists(TreePath.parent(path)) ? .absent : .tree
    }
    switch tree.node(TreePath.join(parent, TreePath.name(path))) {
    case .link(let target) where !target.hasPrefix("/"):
      return .node(.link(TreePath.normalized(parent + "/" + target)))
    case let node?: return .node(node)
    case nil: return .tree
    }
  }

  /// A redirection is opened by the shell that is typed at: `sudo` before the command does not help it (S-37).
  mutating func opens(_ write: ShellWrite) -> Bool {
    guard let typed, !typed.isRoot, let path = write.absolutePath, !TypedFiles.isUsersOwn(path) else {
      return true
    }
    refuse("-bash: \(path): Permission denied", "\(path) is opened by the user's shell, not by the command")
    return false
  }

  mutating func refuse(_ message: String, _ why: String) {
    typed?.isRefused = true
    ops.add(.say(message))
    ops.add(.tell("\(why): permission denied, nothing is written", because: [.story]))
  }

  mutating func wrote(_ write: ShellWrite) {
    guard typed != nil else { return wroteByItself(write) }
    guard let path = write.absolutePath,
      !["/dev/", "/proc/", "/sys/"].contains(where: { path.hasPrefix($0) })
    else { return }
    guard let text = write.text.known else {
      if !path.hasPrefix("/tmp/"), !path.hasPrefix("/var/log/") {
        model.library.notLooked(
          "\(write.file):\(write.line): what is written to \(path) cannot be known: it stays as it was")
      }
      return
    }
    put(text, at: path, appends: write.appends)
  }

  /// Writes a text file, through a link where there is one.
  mutating func put(_ text: String, at path: String, appends: Bool = false) {
    changeFiles { tree in
      let before = appends ? tree.bytes(path) ?? [] : []
      tree[Self.real(path, in: tree)] = .file(before + Array(text.utf8))
    }
  }

  /// The path after all links.
  static func real(_ path: String, in tree: MemoryFileTree) -> String {
    switch tree.resolve(path) {
    case .found(let real, _), .missing(let real): real
    case .notDirectory, .loop: path
    }
  }

  // MARK: - Commands

  /// What a typed command does to files; nil: that is not what it is for.
  mutating func runTyped(_ call: ShellCall) -> ShellOutcome? {
    guard let typed, let full = call.name else { return nil }
    let name = TreePath.name(full)
    switch name {
    case "sudo": return sudo(call)
    case "su": return su(call)
    case "sh", "bash", "dash": return shell(call)
    case "env", "nice", "nohup", "time", "ionice":
      let rest = call.arguments.drop { $0.knownPrefix.hasPrefix("-") || $0.knownPrefix.contains("=") }
      return rest.isEmpty ? nil : again(call, words: Array(rest))
    default: break
    }
    guard typed.isRoot else { return asUser(call, name) }
    if let outcome = atInstaller(call, name, full) { return outcome }
    if !isInstalling, ["mount", "umount"].contains(name) { changeMounts(name, call) }
    return changing(call, name)
  }

  /// `umount /boot` and `mount /boot` or `mount -a` of the running system: which files are seen there (S-49).
  private mutating func changeMounts(_ name: String, _ call: ShellCall) {
    let words = call.arguments.compactMap(\.known)
    let all = name == "mount" && words.contains("-a")
    for directory in model.inventory.heldDirectories
    where directory != "/" && (all || words.contains(directory)) {
      guard var files = typed?.files else { return }
      name == "mount" ? files.mount(directory) : files.unmount(directory)
      guard files != typed?.files else { continue }
      typed?.files = files
      tree = files.tree
      storeVersion()
    }
  }

  /// A command with other words; nil words are never passed on.
  mutating func again(_ call: ShellCall, words: [ShellValue]) -> ShellOutcome? {
    var call = call
    call.words = words
    if let outcome = run(call) { return outcome }
    // A filter, or `echo`: the interpreter knows them.
    guard words.allSatisfy(\.isKnown) else { return .unknown }
    return inner(words.compactMap(\.known).map(Self.quoted).joined(separator: " "), call)
  }

  static func quoted(_ word: String) -> String {
    "'" + word.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "'\\''") + "'"
  }

  private mutating func sudo(_ call: ShellCall) -> ShellOutcome? {
    var rest = Array(call.arguments)
    while let option = rest.first?.known, option.hasPrefix("-") || option.contains("=") {
      rest.removeFirst()
      if ["-u", "-g", "-p"].contains(option), !rest.isEmpty { rest.removeFirst() }
    }
    let wasRoot = typed?.isRoot ?? true
    defer { typed?.isRoot = wasRoot }
    typed?.isRoot = true
    return rest.isEmpty ? ShellOutcome(.zero) : again(call, words: rest)
  }

  private mutating func su(_ call: ShellCall) -> ShellOutcome? {
    guard let index = call.arguments.firstIndex(where: { $0.known == "-c" }),
      call.arguments.indices.contains(index + 1), let line = call.arguments[index + 1].known
    else { return ShellOutcome(.zero) }
    let wasRoot = typed?.isRoot ?? true
    defer { typed?.isRoot = wasRoot }
    typed?.isRoot = true
    return inner(line, call)
  }

  private mutating func shell(_ call: ShellCall) -> ShellOutcome? {
    let words = call.arguments.map(\.known)
    if let index = words.firstIndex(where: { $0?.hasPrefix("-") == true && $0?.hasSuffix("c") == true }) {
      guard words.indices.contains(index + 1), let line = words[index + 1] else { return .unknown }
      return inner(line, call)
    }
    guard let index = words.firstIndex(where: { $0?.hasPrefix("-") == false }), let file = words[index],
      let path = absolute(file, call.directory), tree.isFile(path)
    else { return nil }
    interpret(path, words[(index + 1)...].map { $0 ?? "?" })
    return ShellOutcome(.zero)
  }

  /// A user's command: what only root may do is refused.
  private mutating func asUser(_ call: ShellCall, _ name: String) -> ShellOutcome? {
    var asRoot = self
    asRoot.typed?.isRoot = true
    let before = asRoot.ops.count
    let outcome = asRoot.run(call)
    let changed = Set(asRoot.tree.paths).symmetricDifference(tree.paths)
      .union(tree.paths.filter { tree.node($0) != asRoot.tree.node($0) && !tree.isDirectory($0) })
    let acts = model.hasEffect(Array(asRoot.ops.finished.dropFirst(before))) && changed.isEmpty
    guard acts || !changed.allSatisfy(TypedFiles.isUsersOwn) else {
      asRoot.typed?.isRoot = false
      self = asRoot
      return outcome
    }
    refuse("\(name): Permission denied", "\(call.text) is root's to do")
    return ShellOutcome(.nonzero)
  }

  /// A path as the command means it; nil: the working directory is not known.
  func absolute(_ path: String, _ directory: String?) -> String? {
    path.hasPrefix("/") ? TreePath.normalized(path) : directory.map { TreePath.normalized($0 + "/" + path) }
  }

  /// A script of the tree that is called by its path or name; nil: there is none, or it is none of the shell's.
  func typedScript(_ name: String, _ directory: String?) -> String? {
    guard typed != nil else { return nil }
    let candidates =
      name.contains("/")
      ? [absolute(name, directory)].compactMap { $0 }
      : ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"].map {
        "\($0)/\(name)"
      }
    return candidates.first { path in
      guard let first = tree.text(path)?.split(separator: "\n").first, first.hasPrefix("#!") else {
        return false
      }
      let words = first.dropFirst(2).split(separator: " ")
      return words.first.map { ["sh", "bash", "dash", "ash"].contains(TreePath.name(String($0))) } ?? false
    }
  }
}
