import LinuxConfig

/// Package managers: a package's files are put in place, then its maintainer's script runs as root.
extension CommandCompiler {
  static let packageManagers: Set<String> = [
    "apt-get", "aptitude", "apt", "dpkg", "dpkg-reconfigure", "rpm", "yum", "dnf", "up2date", "yast", "yast2",
    "zypper",
    "online_update", "you",
  ]

  private enum PackageAction { case install, remove, nothing }

  mutating func packages(_ name: String, _ words: [String], _ call: ShellCall) {
    let operands = words.filter { !$0.hasPrefix("-") }
    let letters = words.filter { $0.hasPrefix("-") && !$0.hasPrefix("--") }.joined()
    var action = PackageAction.install
    var wanted = operands
    var isAll = false
    switch name {
    case "rpm":
      if letters.contains("e") { action = .remove }
      if letters.contains("q") || letters.contains("V") { action = .nothing }
    case "dpkg":
      if letters.contains("r") || letters.contains("P") { action = .remove }
      if !letters.contains("i"), action != .remove { action = .nothing }
    case "dpkg-reconfigure": action = .install
    case "up2date", "online_update", "you":
      isAll = operands.isEmpty
    case "yast", "yast2":
      wanted = words.contains("-i") || words.contains("--install") ? operands : []
      if words.contains("online_update") { isAll = true }
    default:
      wanted = Array(operands.dropFirst())
      switch operands.first ?? "" {
      case "install", "reinstall", "localinstall", "in": break
      case "upgrade", "update", "dist-upgrade", "full-upgrade", "safe-upgrade", "up", "patch":
        // `apt-get update` only reads lists; `yum update` upgrades.
        if operands.first == "update", name.hasPrefix("apt") { action = .nothing }
        isAll = wanted.isEmpty
      case "remove", "purge", "erase", "rm": action = .remove
      default: action = .nothing
      }
    }
    guard action != .nothing else { return }
    if let length = Self.writing(name, words) {
      writeFiles(length, "\(call.file):\(call.line): `\(call.text)` writes files")
    }
    if isAll { wanted = model.scenario.packages.keys.sorted() }
    for word in wanted {
      guard let package = Self.package(word, in: model.scenario.packages) else {
        model.library.notLooked(
          "\(call.file):\(call.line): what the package \(word) brings is not said (system.packages)")
        continue
      }
      if action == .remove { remove(package, name) } else { install(package, name, call) }
    }
  }

  /// A package by its name, or by the name of its file: "open-iscsi_2.0.870_i386.deb", "sysconfig-0.31-63.i586.rpm".
  private static func package(_ word: String, in packages: [String: PackageSpec]) -> String? {
    let file = TreePath.name(word)
    if packages[file] != nil { return file }
    return packages.keys.filter {
      file.hasPrefix($0 + "-") || file.hasPrefix($0 + "_") || file.hasPrefix($0 + "=")
    }
    .max { $0.count < $1.count }
  }

  private mutating func install(_ name: String, _ manager: String, _ call: ShellCall) {
    guard let package = model.scenario.packages[name] else { return }
    let isDebian = tree.exists("/var/lib/dpkg")
    ops.add(
      .say(
        isDebian
          ? "Setting up \(name)\(package.version.map { " (\($0))" } ?? "") ..." : "Preparing... \(name)"))
    let shipped = model.library.files(0).tree
    for path in package.ships {
      guard case .found(let real, let node) = shipped.resolve(path) else { continue }
      put(node, at: real, isDebian: isDebian, shipped: shipped, package)
    }
    for (path, node) in package.files.sorted(by: { $0.key < $1.key }) {
      put(node, at: path, isDebian: isDebian, shipped: shipped, package)
    }
    if let version = package.version, isDebian { setVersion(version, of: name) }
    guard !package.postinst.isEmpty else { return }
    _ = inner(package.postinst, call)
  }

  /// One file of a package. What was edited or removed below /etc: dpkg asks, and keeps it unless told otherwise; rpm puts
  /// its own there and the edited one aside (.rpmsave), or leaves it where the package says so (noreplace).
  private mutating func put(
    _ node: FileNode?, at path: String, isDebian: Bool, shipped: MemoryFileTree, _ package: PackageSpec
  ) {
    let present = tree[path]
    let isEdited = path.hasPrefix("/etc/") && present != shipped[path]
    if isEdited, isDebian || package.noReplace.contains(path) {
      ops.add(.say("Configuration file `\(path)': kept as it is"))
      if case .file = node { changeFiles { $0[path + (isDebian ? ".dpkg-dist" : ".rpmnew")] = node } }
      return
    }
    changeFiles { tree in
      if isEdited, !isDebian, let present { tree[path + ".rpmsave"] = present }
      tree[path] = node
    }
  }

  private mutating func remove(_ name: String, _ manager: String) {
    guard let package = model.scenario.packages[name] else { return }
    changeFiles { tree in
      for path in package.files.keys where !path.hasPrefix("/etc/") || manager == "rpm" { tree.remove(path) }
    }
  }

  private mutating func setVersion(_ version: String, of name: String) {
    let path = "/var/lib/dpkg/status"
    guard let status = tree.text(path) else { return }
    var current = ""
    let lines = status.split(separator: "\n", omittingEmptySubsequences: false).map { line in
      if let package = String(line).dropping("Package: ") { current = package }
      return current == name && line.hasPrefix("Version: ") ? "Version: \(version)" : String(line)
    }
    put(lines.joined(separator: "\n"), at: path)
  }
}
