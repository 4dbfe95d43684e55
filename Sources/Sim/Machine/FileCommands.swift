import LinuxConfig

/// What programs do to the files of a typed command line.
extension CommandCompiler {
  /// Programs whose work is in the files; with arguments that nobody knows the report names them.
  private static let changers: Set<String> = [
    "touch", "rm", "rmdir", "mkdir", "ln", "cp", "mv", "install", "tee", "sed", "find", "xargs",
    "update-rc.d",
    "chkconfig", "insserv", "update-initramfs", "mkinitramfs", "mkinitrd", "dracut", "update-grub",
    "update-grub2", "grub-mkconfig", "grub2-mkconfig", "gzip", "cpio",
  ]

  mutating func changing(_ call: ShellCall, _ name: String) -> ShellOutcome? {
    guard
      Self.changers.contains(name) || ["chmod", "chown", "chgrp", "sync"].contains(name)
        || Self.packageManagers.contains(name)
    else { return nil }
    let known = call.arguments.map(\.known)
    guard !known.contains(nil) else {
      model.library.notLooked("\(call.file):\(call.line): `\(call.text)`: its arguments cannot be known")
      return .unknown
    }
    let words = known.compactMap { $0 }
    let options = words.filter { $0.hasPrefix("-") && $0 != "-" }
    let operands = words.filter { !$0.hasPrefix("-") || $0 == "-" }
    let paths = operands.compactMap { absolute($0, call.directory) }
    guard paths.count == operands.count else {
      model.library.notLooked("\(call.file):\(call.line): `\(call.text)`: the working directory is not known")
      return .unknown
    }
    var outcome: ShellOutcome? = ShellOutcome(.zero)
    effect(call) { compiler in
      switch name {
      case "touch":
        compiler.changeFiles { tree in
          for path in paths where !tree.exists(path) { tree[Self.real(path, in: tree)] = .file([]) }
        }
      case "mkdir": compiler.changeFiles { tree in for path in paths { tree[path] = .directory([]) } }
      case "rmdir":
        compiler.changeFiles { tree in for path in paths where tree.list(path).isEmpty { tree.remove(path) } }
      case "rm": outcome = compiler.removeFiles(paths, options)
      case "ln": outcome = compiler.link(operands, paths, options)
      case "cp": outcome = compiler.copy(paths, options, call)
      case "mv": outcome = compiler.move(paths, options)
      case "install": outcome = compiler.install(words, call)
      case "tee": outcome = compiler.tee(paths, options, call)
      case "sed": outcome = compiler.sed(words, call)
      case "find": outcome = compiler.find(words, call)
      case "xargs": outcome = compiler.xargs(words, call)
      case "update-rc.d": compiler.updateRcD(operands, options)
      case "chkconfig": outcome = compiler.chkconfig(words)
      case "insserv": compiler.insserv(operands, options)
      case "update-initramfs": outcome = compiler.updateInitramfs(words)
      case "mkinitramfs": outcome = compiler.mkinitramfs(words, call.directory)
      case "mkinitrd": outcome = compiler.mkinitrd(words, call.directory)
      case "gzip": outcome = compiler.gzip(paths, call)
      case "cpio": outcome = compiler.cpio(options, call)
      case "dracut": outcome = compiler.dracut(words, call.directory)
      case "update-grub", "update-grub2", "grub-mkconfig", "grub2-mkconfig": compiler.updateGrub(words, call)
      case _ where Self.packageManagers.contains(name): compiler.packages(name, words, call)
      case "sync": compiler.ops.add(.sync)
      default: break  // Owners and modes play no part: scripts are taken to be executable.
      }
    }
    return outcome
  }

  private func has(_ letter: Character, _ options: [String], _ long: String = "-") -> Bool {
    options.contains { $0 == long || (!$0.hasPrefix("--") && $0.contains(letter)) }
  }

  private mutating func fails(_ message: String) -> ShellOutcome {
    ops.add(.say(message))
    return ShellOutcome(.nonzero)
  }

  private mutating func removeFiles(_ paths: [String], _ options: [String]) -> ShellOutcome {
    let recurses = has("r", options, "--recursive") || has("R", options)
    let isForced = has("f", options, "--force")
    for path in paths {
      guard case .found(let real, let node) = tree.resolve(path, followLast: false), real != "/" else {
        if !isForced { return fails("rm: cannot remove `\(path)': No such file or directory") }
        continue
      }
      if case .directory = node, !recurses { return fails("rm: cannot remove `\(path)': Is a directory") }
      changeFiles { $0.remove(real) }
    }
    return ShellOutcome(.zero)
  }

  /// Where an operand that may be a directory puts a file.
  private func destination(_ target: String, for source: String) -> String {
    tree.isDirectory(target) ? TreePath.join(target, TreePath.name(source)) : target
  }

  private mutating func link(_ operands: [String], _ paths: [String], _ options: [String]) -> ShellOutcome {
    guard let target = operands.first, let last = paths.last else { return ShellOutcome(.nonzero) }
    let place = paths.count == 1 ? TreePath.join("/", TreePath.name(target)) : destination(last, for: target)
    let isThere = tree.node(place) != nil
    guard !isThere || has("f", options, "--force") else {
      return fails("ln: creating `\(place)': File exists")
    }
    let isSymbolic = has("s", options, "--symbolic")
    let node: FileNode? = isSymbolic ? .link(target) : tree.bytes(paths[0]).map { .file($0) }
    guard let node else { return fails("ln: accessing `\(target)': No such file or directory") }
    changeFiles { $0[place] = node }
    return ShellOutcome(.zero)
  }

  private mutating func copy(_ paths: [String], _ options: [String], _ call: ShellCall) -> ShellOutcome {
    let recurses = has("r", options, "--recursive") || has("R", options) || has("a", options, "--archive")
    guard paths.count >= 2, let target = paths.last else { return fails("cp: missing file operand") }
    var status = ShellStatus.zero
    for source in paths.dropLast() {
      let place = destination(target, for: source)
      switch tree.resolve(source) {
      case .found(_, .file(let bytes)): changeFiles { $0[Self.real(place, in: $0)] = .file(bytes) }
      case .found(let real, .directory) where recurses:
        changeFiles { $0.graft($0.subtree(at: real), at: place) }
      case .found:
        status = fails("cp: omitting directory `\(source)'").status
      default:
        status = fails("cp: cannot stat `\(source)': No such file or directory").status
      }
    }
    return ShellOutcome(status)
  }

  private mutating func move(_ paths: [String], _ options: [String]) -> ShellOutcome {
    guard paths.count >= 2, let target = paths.last else { return fails("mv: missing file operand") }
    for source in paths.dropLast() {
      let place = destination(target, for: source)
      guard case .found(let real, let node) = tree.resolve(source, followLast: false) else {
        return fails("mv: cannot stat `\(source)': No such file or directory")
      }
      changeFiles { tree in
        if case .directory = node {
          let inside = tree.subtree(at: real)
          tree.remove(real)
          tree.graft(inside, at: place)
        } else {
          tree.remove(real)
          tree[place] = node
        }
      }
    }
    return ShellOutcome(.zero)
  }

  private mutating func install(_ words: [String], _ call: ShellCall) -> ShellOutcome {
    var operands: [String] = []
    var makesDirectories = false
    var rest = words[...]
    while let word = rest.popFirst() {
      if ["-m", "-o", "-g", "--mode", "--owner", "--group"].contains(word) {
        rest = rest.dropFirst()
      } else if word.hasPrefix("-") {
        if word == "-d" || word == "--directory" { makesDirectories = true }
      } else {
        operands.append(word)
      }
    }
    let paths = operands.compactMap { absolute($0, call.directory) }
    guard makesDirectories else { return copy(paths, [], call) }
    changeFiles { tree in for path in paths { tree[path] = .directory([]) } }
    return ShellOutcome(.zero)
  }

  private mutating func tee(_ paths: [String], _ options: [String], _ call: ShellCall) -> ShellOutcome {
    guard let text = call.input?.known else {
      model.library.notLooked(
        "\(call.file):\(call.line): what `\(call.text)` is given cannot be known: the files stay as they were"
      )
      return ShellOutcome(.zero, output: call.input ?? .unknown)
    }
    for path in paths where !path.hasPrefix("/dev/") {
      put(text, at: path, appends: has("a", options, "--append"))
    }
    return ShellOutcome(.zero, output: ShellValue(text))
  }

  /// `sed -i`; as a filter it is the interpreter's.
  private mutating func sed(_ words: [String], _ call: ShellCall) -> ShellOutcome? {
    guard words.contains(where: { $0.hasPrefix("-i") || $0.hasPrefix("--in-place") }) else { return nil }
    guard let sed = SedCall(words) else {
      model.library.notLooked("\(call.file):\(call.line): `\(call.text)`: the sed script is not understood")
      return .unknown
    }
    var status = ShellStatus.zero
    for file in sed.files {
      guard let path = absolute(file, call.directory), let text = tree.text(path) else {
        status = fails("sed: can't read \(file): No such file or directory").status
        continue
      }
      guard let edited = sed.script.run(on: text, quiet: sed.isQuiet) else {
        model.library.notLooked("\(call.file):\(call.line): `\(call.text)` cannot be computed on \(path)")
        status = .unknown
        continue
      }
      changeFiles { tree in
        if let suffix = sed.backup { tree[path + suffix] = tree[path] }
        // sed writes a new file in the place of the old one, a link too.
        tree[path] = .file(Array(edited.utf8))
      }
    }
    return ShellOutcome(status)
  }

  private mutating func find(_ words: [String], _ call: ShellCall) -> ShellOutcome? {
    let roots = Array(words.prefix { !$0.hasPrefix("-") })
    var rest = words.dropFirst(roots.count)
    var pattern = "*"
    var type: String?
    var action: [String] = []
    while let word = rest.popFirst() {
      switch word {
      case "-name", "-iname": pattern = rest.popFirst() ?? "*"
      case "-type": type = rest.popFirst()
      case "-delete": action = ["rm"]
      case "-print", "-follow", "-xdev", "-depth": break
      case "-exec", "-execdir":
        action = Array(rest.prefix { $0 != ";" && $0 != "+" })
        rest = rest.dropFirst(action.count + 1)
      default:
        model.library.notLooked("\(call.file):\(call.line): `\(call.text)`: \(word) is not understood")
        return .unknown
      }
    }
    var found: [String] = []
    for root in roots.isEmpty ? ["."] : roots {
      guard let path = absolute(root, call.directory) else { return .unknown }
      let prefix = path == "/" ? "/" : path + "/"
      for candidate in tree.paths where candidate.hasPrefix(prefix) || candidate == path {
        guard FileGlob.matches(TreePath.name(candidate), pattern) else { continue }
        let kind: String =
          switch tree.node(candidate) {
          case .directory: "d"
          case .link: "l"
          default: "f"
          }
        if type == nil || type == kind { found.append(candidate) }
      }
    }
    guard !action.isEmpty else {
      return ShellOutcome(.zero, output: ShellValue(found.map { $0 + "\n" }.joined()))
    }
    if action == ["rm"] { return removeFiles(found, ["-f"]) }
    for path in found {
      _ = again(call, words: action.map { ShellValue($0 == "{}" ? path : $0) })
    }
    return ShellOutcome(.zero)
  }

  private mutating func xargs(_ words: [String], _ call: ShellCall) -> ShellOutcome? {
    let command = Array(words.drop { $0.hasPrefix("-") })
    guard let input = call.input?.known, !command.isEmpty else { return nil }
    let given = input.split { $0 == "\n" || $0 == " " || $0 == "\t" || $0 == "\0" }.map(String.init)
    guard !given.isEmpty else { return ShellOutcome(.zero) }
    var inner = call
    inner.input = nil
    return again(inner, words: (command + given).map { ShellValue($0) })
  }
}

extension MemoryFileTree {
  /// With the directories that every system has, whether files in them are given or not.
  var withUsualDirectories: MemoryFileTree {
    var tree = self
    for path in ["/tmp", "/root", "/home", "/mnt", "/media", "/etc", "/boot", "/usr/local/sbin", "/var/tmp"]
    where !tree.exists(path) {
      tree[path] = .directory([])
    }
    return tree
  }

  /// What is below a directory, as a tree of its own.
  func subtree(at path: String) -> MemoryFileTree {
    var inside = MemoryFileTree()
    guard case .found(let real, .directory) = resolve(path) else { return inside }
    let prefix = real == "/" ? "/" : real + "/"
    for path in paths where path.hasPrefix(prefix) {
      if let node = node(path) { inside["/" + path.dropFirst(prefix.count)] = node }
    }
    return inside
  }

  /// Puts the whole of another tree below a directory; what both have is the other's.
  mutating func graft(_ other: MemoryFileTree, at path: String) {
    self[path] = .directory([])
    for inner in other.paths {
      if let node = other.node(inner) { self[path == "/" ? inner : path + inner] = node }
    }
  }
}
