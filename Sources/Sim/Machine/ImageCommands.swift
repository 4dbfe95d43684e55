import LinuxConfig

/// The commands that build initramfs images: which files they write, and what from. What is in an image its maker decides.
extension CommandCompiler {
  /// An image is built here and now, from the files as they are.
  private mutating func buildImage(_ path: String, version: String?, _ arguments: [String]) {
    guard let typed else { return }
    var build = ImageBuild(tree: tree, version: version, arguments: arguments)
    build.key = "\(typed.name) change \(typed.changes + 1)"
    model.library.add(build)
    ops.add(.tell("\(path) is built from the files as they are now", because: [.story]))
    ops.add(.pause(Pace.about(15_000)))
    put(build.text, at: path)
  }

  private mutating func fails(_ message: String) -> ShellOutcome {
    ops.add(.say(message))
    return ShellOutcome(.nonzero)
  }

  private func versions(in directory: String, _ prefixes: String...) -> [String] {
    tree.list(directory).compactMap { name in
      tree.linkTarget(TreePath.join(directory, name)) == nil
        ? prefixes.lazy.compactMap { name.dropping($0) }.first { $0.first?.isNumber == true } : nil
    }
  }

  /// update-initramfs(8): -c creates, -u updates what is there, -d deletes; -k names the version or "all".
  mutating func updateInitramfs(_ words: [String]) -> ShellOutcome {
    var action: Character?
    var version: String?
    var directory = "/boot"
    var rest = words[...]
    while let word = rest.popFirst() {
      switch word {
      case "-k": version = rest.popFirst()
      case "-b": directory = rest.popFirst() ?? directory
      case "-c", "-u", "-d": action = word.last
      default:
        if let text = word.dropping("-k") { version = text }
      }
    }
    guard let action else { return fails("You must specify at least one of -c, -u, or -d.") }
    let setting = ShellVariables.parse(
      tree.text("/etc/initramfs-tools/update-initramfs.conf") ?? "", file: "update-initramfs.conf"
    ).value["update_initramfs"]
    let keepsRecord = model.initramfsToolsIsBefore("0.138", tree)
    // The versions it knows of: those whose images it made (until 0.138 their sums were kept), or those that are there.
    let known = keepsRecord ? tree.list("/var/lib/initramfs-tools") : []
    let all = ImageVersions.sorted(known.isEmpty ? versions(in: directory, "initrd.img-") : known)
    let chosen: [String]
    switch version ?? (setting == "all" ? "all" : nil) {
    case "all": chosen = action == "c" && !keepsRecord ? versions(in: "/boot", "vmlinuz-") : all
    case let version?: chosen = [version]
    case nil:
      guard action == "u" else { return fails("Create and delete need a version: -k VERSION") }
      // Until initramfs-tools 0.99 the running kernel's own image came before the highest version.
      let running = typed?.kernel.flatMap { tree.exists("\(directory)/initrd.img-\($0)") ? $0 : nil }
      chosen = (model.initramfsToolsIsBefore("0.99", tree) ? running : nil).map { [$0] } ?? all.suffix(1)
    }
    if action == "u", setting == "no" {
      ops.add(.say("update-initramfs: Not updating initramfs."))
      return ShellOutcome(.zero)
    }
    // Nothing is said, and all is well: so too where /boot is not mounted (S-49, lab u1).
    guard keepsRecord || !chosen.isEmpty else { return ShellOutcome(.zero) }
    guard !chosen.isEmpty else { return fails("update-initramfs: there are no images to update") }
    var status = ShellStatus.zero
    for version in ImageVersions.sorted(chosen) {
      let path = "\(directory)/initrd.img-\(version)"
      switch action {
      case "d":
        changeFiles {
          $0.remove(path)
          $0.remove("/var/lib/initramfs-tools/\(version)")
        }
      case "u" where keepsRecord && !tree.exists(path):
        status = fails("\(path) does not exist. Cannot update.").status
      default:
        ops.add(.say("update-initramfs: Generating \(path)"))
        if let problem = model.compressorProblem(tree) {
          ops.add(.say(problem))
          return fails("update-initramfs: failed for \(path) with 2.")
        }
        buildImage(path, version: version, ["-o", path, version])
      }
    }
    return ShellOutcome(status)
  }

  /// mkinitramfs(8): `-o FILE [VERSION]`.
  mutating func mkinitramfs(_ words: [String], _ directory: String?) -> ShellOutcome {
    guard let index = words.firstIndex(of: "-o"), words.indices.contains(index + 1),
      let path = absolute(words[index + 1], directory)
    else { return fails("usage: mkinitramfs [OPTION]... -o outfile [version]") }
    let version = words[(index + 2)...].last { !$0.hasPrefix("-") } ?? typed?.kernel
    if let problem = model.compressorProblem(tree), !words.contains("-c") { return fails(problem) }
    buildImage(path, version: version, words)
    return ShellOutcome(.zero)
  }

  /// mkinitrd: SUSE's builds for all kernels, or those of -k; Red Hat's builds the one file it names.
  mutating func mkinitrd(_ words: [String], _ directory: String?) -> ShellOutcome {
    model.maker(of: tree) == .suse ? suseMkinitrd(words) : redHatMkinitrd(words, directory)
  }

  private mutating func suseMkinitrd(_ words: [String]) -> ShellOutcome {
    var kernels: [String]?
    var images: [String]?
    var directory = "/boot"
    var rest = words[...]
    func list(_ text: String?) -> [String] { (text ?? "").split(separator: " ").map(String.init) }
    while let word = rest.popFirst() {
      switch word {
      case "-k": kernels = list(rest.popFirst())
      case "-i": images = list(rest.popFirst())
      case "-b": directory = rest.popFirst() ?? directory
      default: break
      }
    }
    let found = versions(in: directory, "vmlinuz-", "vmlinux-", "image-").map { "vmlinuz-\($0)" }
    let wanted = kernels ?? found
    guard !wanted.isEmpty else { return fails("mkinitrd: no kernel in \(directory)") }
    for (index, kernel) in wanted.enumerated() {
      let real = Self.real(TreePath.join(directory, kernel), in: tree)
      guard tree.exists(real) else { return fails("\(directory)/\(kernel): not found") }
      let version = MachineModel.version(ofKernel: real)
      let name = images.flatMap { $0.indices.contains(index) ? $0[index] : nil } ?? "initrd-\(version)"
      ops.add(.say("Initial ramdisk:\t\(directory)/\(name) (\(version))"))
      buildImage(TreePath.join(directory, name), version: version, words)
    }
    return ShellOutcome(.zero)
  }

  private mutating func redHatMkinitrd(_ words: [String], _ directory: String?) -> ShellOutcome {
    let operands = words.filter { !$0.hasPrefix("-") }
    guard operands.count >= 2, let path = absolute(operands[0], directory) else {
      return fails(
        "usage: mkinitrd [-f] [--preload=<module>] [--with=<module>] <initrd-image> <kernel-version>")
    }
    guard !tree.exists(path) || words.contains("-f") || words.contains("--force") else {
      return fails("\(operands[0]) already exists.")
    }
    var initrd = RedHatInitrd(model: model, tree: tree, options: MkinitrdOptions(words, image: path))
    initrd.loadDrivers()
    if let failure = initrd.failure { return fails(failure) }
    buildImage(path, version: operands[1], words)
    return ShellOutcome(.zero)
  }

  /// dracut(8): an existing image is kept unless -f.
  mutating func dracut(_ words: [String], _ directory: String?) -> ShellOutcome {
    let withValue: Set<String> = [
      "-a", "--add", "-o", "--omit", "-m", "--modules", "--add-drivers", "--force-drivers", "-d", "--drivers",
      "-k", "--kmoddir", "-c", "--conf",
    ]
    var operands: [String] = []
    var rest = words[...]
    var kernel: String?
    while let word = rest.popFirst() {
      if word == "--kver" {
        kernel = rest.popFirst()
      } else if withValue.contains(word) {
        rest = rest.dropFirst()
      } else if !word.hasPrefix("-") {
        operands.append(word)
      }
    }
    let isForced = words.contains { $0 == "-f" || $0 == "--force" || $0 == "--regenerate-all" }
    let chosen: [String] =
      words.contains("--regenerate-all")
      ? versions(in: "/boot", "vmlinuz-")
      : [operands.dropFirst().first ?? kernel ?? typed?.kernel ?? versions(in: "/boot", "vmlinuz-").last]
        .compactMap { $0 }
    for version in ImageVersions.sorted(chosen) {
      guard let path = absolute(operands.first ?? "/boot/initramfs-\(version).img", directory) else {
        return .unknown
      }
      guard isForced || !tree.exists(path) else {
        return fails("dracut: Will not override existing initramfs (\(path)) without --force")
      }
      buildImage(path, version: version, words)
    }
    return ShellOutcome(.zero)
  }
}

/// Kernel versions in the order of `sort -V`.
enum ImageVersions {
  /// Each once, the highest last.
  static func sorted(_ versions: [String]) -> [String] {
    Set(versions).sorted { a, b in
      let left = numbers(a), right = numbers(b)
      return left == right ? a < b : left.lexicographicallyPrecedes(right)
    }
  }

  private static func numbers(_ version: String) -> [Int] {
    version.split { !$0.isNumber }.map { Int($0) ?? .max }
  }
}
