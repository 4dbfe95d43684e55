import LinuxConfig

/// update-initramfs: what MODULES=, the modules file and the hooks put into an image (mkinitramfs(8), initramfs-tools(8)).
extension MachineModel {
  private static let share = "/usr/share/initramfs-tools"
  private static let etc = "/etc/initramfs-tools"

  func madeByInitramfsTools(_ tree: MemoryFileTree) -> InitramfsImage {
    let conf = InitramfsConf.load(from: tree).map(read) ?? InitramfsConf()
    if let problem = compressorProblem(tree) {
      library.notLooked("\(problem): the image is taken to be made from these files all the same")
    }
    let listed = (read(InitramfsModules.self, "\(Self.etc)/modules", tree)?.modules.map(\.name) ?? [])
      .filter(isInMainline)
    var available = InitramfsModuleTable.closure(of: listed)
    switch conf.modules {
    case "most": available += hardwareDrivers.filter { !InitramfsModuleTable.libraries.contains($0) }
    case "dep": available += driversOfAttachedHardware
    default: break
    }
    let hooks = ["\(Self.share)/hooks", "\(Self.etc)/hooks"]
    // From Debian 9's on (0.130) packages and scripts are other ones than those that are interpreted.
    let isFollowed = initramfsToolsIsBefore("0.130", tree) || packageVersion("initramfs-tools", tree) == nil
    guard isFollowed, hooks.contains(where: { !tree.list($0).isEmpty }) else {
      return madeByPackagedHook(tree, conf, listed: listed, available: available)
    }
    var shell = InitramfsHookShell(model: self, tree: tree)
    shell.files.write(configuration(tree), to: "/conf/initramfs.conf")
    for directory in hooks {
      for path in InitramfsScripts.inOrder(directory, of: tree, model: self) { shell.hook(path) }
    }
    // Scripts of the package first: the administrator's of the same name take their place.
    for base in [Self.share, Self.etc] { copy("\(base)/scripts", to: "/scripts", of: tree, &shell.files) }
    return InitramfsImage(
      maker: .initramfsTools, ordered: listed + shell.forced, available: available + shell.modules,
      hasInitiator: shell.files.isFile("/sbin/iscsistart"), files: shell.files, remarks: shell.remarks)
  }

  /// The hook of open-iscsi 2.1.8.
  private func madeByPackagedHook(
    _ tree: MemoryFileTree, _ conf: InitramfsConf, listed: [String], available: [String]
  ) -> InitramfsImage {
    for folder in ["hooks", "scripts/local-top", "scripts/local-premount", "scripts/init-premount"] {
      for name in tree.list("\(Self.etc)/\(folder)") {
        library.notLooked("\(Self.etc)/\(folder)/\(name): what it does in the image is not followed")
      }
    }
    let version = packageVersion("open-iscsi", tree)
    let installed = tree.exists("/sbin/iscsistart") || tree.exists("/usr/sbin/iscsistart") || version != nil
    // Where the system's files hold the hooks, iSCSI's has to be among them.
    let hooks = tree.list("\(Self.share)/hooks") + tree.list("\(Self.etc)/hooks")
    let hook = installed && !conf.excludesISCSI && (hooks.isEmpty || hooks.contains("iscsi"))
    var files = MemoryFileTree()
    if hook {
      for path in ["/etc/iscsi/initiatorname.iscsi", "/etc/iscsi/iscsi.initramfs"] {
        if let bytes = tree.bytes(path) { files["/etc/" + TreePath.name(path)] = .file(bytes) }
      }
    }
    let initiator = ["iscsi_tcp", "libiscsi", "scsi_transport_iscsi", "iscsi_ibft", "crc32c", "libcrc32c"]
    return InitramfsImage(
      maker: .initramfsTools, ordered: listed, available: available + (hook ? initiator : []),
      hasInitiator: hook, files: files)
  }

  /// Is the system's initramfs-tools older than a version? No, where its version is not known.
  func initramfsToolsIsBefore(_ version: String, _ tree: MemoryFileTree) -> Bool {
    packageVersion("initramfs-tools", tree).map { $0 < KernelVersion(version) } ?? false
  }

  /// What the shell says of a mkinitramfs (0.142) that finds no COMPRESS in its configuration, and ends.
  func compressorProblem(_ tree: MemoryFileTree) -> String? {
    guard let version = packageVersion("initramfs-tools", tree), version >= KernelVersion("0.142"),
      let settings = InitramfsConf.load(from: tree)?.value, settings.variables["COMPRESS"] == nil
    else { return nil }
    return "/usr/sbin/mkinitramfs: 173: COMPRESS: parameter not set"
  }

  /// linux-iscsi's and RHEL 4's modules are not in the kernels that initramfs-tools makes images for.
  func isInMainline(_ module: String) -> Bool {
    !KernelModules.selfRecovering.contains(KernelModules.normalized(module))
  }

  /// Drivers that a build on this machine finds in use (MODULES=dep, dracut's hostonly).
  var driversOfAttachedHardware: [String] {
    var drivers = scenario.machine.nics.map(\.driver) + ["sd_mod", "ext4"]
    for disk in inventory.disks where disk.attachedAtStart {
      switch disk.bus {
      case .usb: drivers += ["usb_storage", "xhci_pci", "ehci_pci"]
      case .sata, .ide: drivers += ["ahci", "ata_piix"]
      case .scsi: drivers += Array(KernelModules.scsiAdapters).sorted()
      default: break
      }
    }
    return drivers
  }

  /// initramfs.conf with what `conf.d` sets after it, as scripts of the image source it.
  private func configuration(_ tree: MemoryFileTree) -> String {
    let paths =
      ["\(Self.etc)/initramfs.conf"] + tree.list("\(Self.etc)/conf.d").map { "\(Self.etc)/conf.d/\($0)" }
    return paths.compactMap { tree.text($0) }.joined()
  }

  private func copy(
    _ source: String, to target: String, of tree: MemoryFileTree, _ files: inout MemoryFileTree
  ) {
    for name in tree.list(source) {
      let path = TreePath.join(source, name)
      if tree.isDirectory(path) {
        copy(path, to: TreePath.join(target, name), of: tree, &files)
      } else if let bytes = tree.bytes(path) {
        files[TreePath.join(target, name)] = .file(bytes)
      }
    }
  }
}

/// Modules that come with others, as modprobe loads them and the image's maker copies them.
enum InitramfsModuleTable {
  /// What a module needs (modules.dep).
  private static let needs: [String: [String]] = [
    "iscsi_tcp": ["libiscsi", "scsi_transport_iscsi"], "libiscsi": ["scsi_transport_iscsi"],
    "crc32c": ["libcrc32c"],
  ]

  /// Modules that no device asks for: in an image only where something names them.
  static let libraries: Set<String> = ["crc32c", "libcrc32c", "md5"]

  /// The modules with what they need, what is needed first.
  static func closure(of modules: [String]) -> [String] {
    var all: [String] = []
    for module in modules {
      for needed in closure(of: needs[KernelModules.normalized(module)] ?? []) + [module]
      where !all.contains(needed) {
        all.append(needed)
      }
    }
    return all
  }
}

/// The order in which initramfs-tools runs the scripts and hooks of a directory.
enum InitramfsScripts {
  /// Full paths: a script after those that its `prereqs` names, otherwise by name (initramfs-tools(8), "Script execution").
  static func inOrder(_ directory: String, of tree: MemoryFileTree, model: MachineModel) -> [String] {
    let names = tree.list(directory).filter { tree.isFile(TreePath.join(directory, $0)) }
    var rest = names
    var done: Set<String> = []
    var ordered: [String] = []
    let needed = Dictionary(
      uniqueKeysWithValues: names.map {
        ($0, prerequisites(TreePath.join(directory, $0), tree, model).filter(names.contains))
      })
    while !rest.isEmpty {
      var next = rest.firstIndex { needed[$0]?.allSatisfy(done.contains) == true }
      if next == nil {
        model.library.notLooked("\(directory): the prerequisites go round in a circle; taken by name")
        next = 0
      }
      let name = rest.remove(at: next ?? 0)
      done.insert(name)
      ordered.append(TreePath.join(directory, name))
    }
    return ordered
  }

  /// What a script prints when it is called with `prereqs`.
  private static func prerequisites(
    _ path: String, _ tree: MemoryFileTree, _ model: MachineModel
  ) -> [String] {
    guard let text = tree.text(path) else { return [] }
    var shell = ShellInterpreter(tree: tree, delegate: IgnorantShellDelegate())
    let run = shell.run(ShellScript.parse(text, file: path), file: path, arguments: ["prereqs"])
    guard let output = run.output.known else {
      model.library.notLooked("\(path): its prerequisites are not known; taken by name")
      return []
    }
    return output.split(whereSeparator: { $0 == " " || $0 == "\n" }).map(String.init)
  }
}

/// Runs a hook: what it copies gets into the image.
struct InitramfsHookShell: ShellDelegate {
  let model: MachineModel
  let tree: MemoryFileTree
  /// The image so far.
  var files = MemoryFileTree()
  var modules: [String] = []
  /// Modules that the image loads by name, after those of the modules file.
  var forced: [String] = []
  /// What went wrong, with its place.
  var remarks: [String] = []

  /// Where mkinitramfs puts the image together.
  private static let destination = "/var/tmp/mkinitramfs"
  private static let functions = "/usr/share/initramfs-tools/hook-functions"

  init(model: MachineModel, tree: MemoryFileTree) {
    self.model = model
    self.tree = tree
    for directory in ["/bin", "/conf", "/etc", "/lib/modules", "/sbin", "/scripts"] {
      files[directory] = .directory([])
    }
  }

  mutating func hook(_ path: String) {
    guard let text = tree.text(path) else { return }
    let kernel =
      tree.list("/boot").first { $0.hasPrefix("vmlinuz-") }.map(MachineModel.version(ofKernel:)) ?? ""
    var shell = ShellInterpreter(tree: tree, delegate: self)
    shell.endsAtMissingFile = true
    let run = shell.run(
      ShellScript.parse(text, file: path), file: path,
      environment: [
        "DESTDIR": Self.destination, "CONFDIR": "/etc/initramfs-tools", "version": kernel,
        "MODULESDIR": "/lib/modules/\(kernel)", "PATH": "/usr/bin:/sbin:/bin",
      ])
    self = shell.delegate
    for note in run.notLookedAt { model.library.notLooked(note.description) }
  }

  mutating func file(_ path: String) -> ShellFileAnswer {
    // Its functions are those that `run` knows.
    if path == Self.functions { return .node(.file([])) }
    guard let inside = imagePath(path) else { return .tree }
    return files.node(inside).map { .node($0) } ?? .absent
  }

  private func imagePath(_ path: String) -> String? {
    path.dropping(Self.destination).map(TreePath.normalized)
  }

  mutating func run(_ call: ShellCall) -> ShellOutcome? {
    let words = call.arguments.compactMap(\.known)
    guard let name = call.name.map(TreePath.name), words.count == call.arguments.count else { return nil }
    let plain = words.filter { !$0.hasPrefix("-") }
    switch name {
    case "copy_exec":
      guard let source = plain.first else { return ShellOutcome(.nonzero) }
      return copy(source, to: plain.count > 1 ? plain[1] : source, call)
    case "cp":
      guard plain.count > 1, let target = imagePath(plain[plain.count - 1]) else { return nil }
      let outcomes = plain.dropLast().map { copy($0, to: target, call) }
      return outcomes.first { $0.status != .zero } ?? ShellOutcome(.zero)
    case "manual_add_modules", "force_load":
      let known = plain.filter(model.isInMainline)
      modules += InitramfsModuleTable.closure(of: known)
      if name == "force_load" { forced += known }
    case "auto_add_modules", "copy_modules_dir":
      modules += model.hardwareDrivers.filter { !InitramfsModuleTable.libraries.contains($0) }
    case "touch":
      for path in plain.compactMap(imagePath) where !files.exists(path) { files.write("", to: path) }
    case "mkdir": for path in plain.compactMap(imagePath) { files[path] = .directory([]) }
    case "rm": for path in plain.compactMap(imagePath) { files.remove(path) }
    case "ln":
      guard plain.count == 2, let path = imagePath(plain[1]) else { return nil }
      files[path] = .link(plain[0])
    case "chmod", "chown": break
    default: return nil
    }
    return ShellOutcome(.zero)
  }

  /// copy_exec of a file that is not there complains and goes on: the hook ends well, the image lacks the file (S-40).
  private mutating func copy(_ source: String, to target: String, _ call: ShellCall) -> ShellOutcome {
    let bytes = imagePath(source).map { files.bytes($0) } ?? tree.bytes(source)
    guard let bytes else {
      remarks.append("\(call.file):\(call.line): `\(call.text)`: there is no \(source)")
      return ShellOutcome(.nonzero)
    }
    let isDirectory = target.hasSuffix("/") || files.isDirectory(target)
    files[isDirectory ? TreePath.join(target, TreePath.name(source)) : target] = .file(bytes)
    return ShellOutcome(.zero)
  }

  mutating func wrote(_ write: ShellWrite) {
    guard let path = write.path.known.flatMap(imagePath) else { return }
    guard let text = write.text.known else {
      return model.library.notLooked("\(write.file):\(write.line): what is written to \(path) is not known")
    }
    files.write((write.appends ? files.text(path) ?? "" : "") + text, to: path)
  }
}
