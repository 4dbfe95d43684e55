import LinuxConfig

/// mkinitrd of Red Hat as a maker: the nash script that it writes, and the modules and programs it copies.
///
/// mkinitrd 4.2 (RHEL 4) knows nothing of iSCSI: the initiator is put in by Intel's post-install script, which is run by
/// the shell interpreter as it stands on the driver disk. mkinitrd 5.1 (RHEL 5) finds the root's session by itself.
struct RedHatInitrd {
  let model: MachineModel
  /// The installed system.
  let tree: MemoryFileTree
  let options: MkinitrdOptions
  var image = MemoryFileTree()
  /// The script that nash runs: /linuxrc of RHEL 4, /init of RHEL 5.
  var script: [String] = []
  private let modules: ModuleFolder

  /// Why mkinitrd ended without writing an image.
  private(set) var failure: String?

  /// Where Intel's document has the driver disk's files (A L217-L253).
  static let postInstall = "/tmp/iscsi/postinstall/iscsipostinstall"

  init(model: MachineModel, tree: MemoryFileTree, options: MkinitrdOptions) {
    self.model = model
    self.tree = tree
    self.options = options
    modules = ModuleFolder(tree, version: options.version)
  }

  /// From RHEL 5 on mkinitrd looks for the root's session.
  static func findsSessions(_ tree: MemoryFileTree) -> Bool {
    !(packageVersion("mkinitrd", tree) < KernelVersion("5.1"))
  }

  /// 6.2.0.868, that of RHEL 5.2, is the first whose iscsistart reads the iBFT in the initrd (A L160).
  static func readsIBFT(_ tree: MemoryFileTree) -> Bool {
    !(packageVersion("iscsi-initiator-utils", tree) < KernelVersion("6.2.0.868"))
  }

  /// A package's version, from the list that cron writes every night; of a system without that list: a very old one.
  static func packageVersion(_ name: String, _ tree: MemoryFileTree) -> KernelVersion {
    for line in (tree.text("/var/log/rpmpkgs") ?? "").split(separator: "\n") {
      if let rest = String(line).dropping(name + "-"), rest.first?.isNumber == true {
        return KernelVersion(rest)
      }
    }
    return KernelVersion("0")
  }

  // MARK: - mkinitrd

  /// The part that loads drivers: preloaded modules, the disk driver, adapters in the order of modprobe.conf, the root's
  /// file system, and what `--with` names.
  mutating func loadDrivers() {
    script = ["#!/bin/nash", "mount -t proc /proc /proc", "echo Mounted /proc filesystem"]
    let aliases = model.read(ModprobeConf.self, "/etc/modprobe.conf", tree) ?? ModprobeConf()
    for name in options.preload { add(name) }
    if !options.omitsSCSI {
      for name in ["scsi_mod", "sd_mod"] + aliases.hostAdapters { add(name) }
    }
    add(model.read(Fstab.self, "/etc/fstab", tree)?.root?.type ?? "ext3")
    for name in options.with { add(name) }
  }

  /// Copies a module and those it needs, and loads it. `--allow-missing` goes on without one that the kernel's folder has not.
  private mutating func add(_ name: String) {
    guard let needed = modules.dependencies(of: name) else {
      if !options.allowsMissing {
        failure = "No module \(name) found for kernel \(options.version), aborting."
      }
      return
    }
    for module in needed + [KernelModules.normalized(name)] {
      let file = modules.fileName(of: module)
      let line = "insmod /lib/\(file)"
      guard !script.contains(line) else { continue }
      image.write(modules.information(on: module), to: "/lib/\(file)")
      script += ["echo \"Loading \(file) module\"", line]
      if module == "usb_storage" {
        script += ["echo Waiting 8 seconds for driver initialization", "sleep 8"]
      }
    }
  }

  mutating func mountRoot() {
    script += [
      "mkrootdev /dev/root", "echo Mounting root filesystem", "mount -o defaults --ro /dev/root /sysroot",
      "switchroot /sysroot",
    ]
  }

  // MARK: - RHEL 4: Intel's script

  /// Takes what was added to the opened image; lines of linuxrc come before those that mount the root.
  mutating func take(_ added: MemoryFileTree) {
    for path in added.paths where path != NashCompiler.script {
      if let bytes = added.bytes(path) { image[path] = .file(bytes) }
    }
    script += (added.text(NashCompiler.script) ?? "").split(separator: "\n").map(String.init)
  }

  /// Runs iscsipostinstall on the image that it opens below /tmp/initrd.
  mutating func runPostInstall() {
    guard let text = tree.text(Self.postInstall) else { return }
    var interpreter = ShellInterpreter(tree: tree, delegate: OpenedInitrd(initrd: self))
    let run = interpreter.run(ShellScript.parse(text, file: Self.postInstall), file: Self.postInstall)
    for note in run.notLookedAt { model.library.notLooked(note.description) }
    self = interpreter.delegate.initrd
  }

  // MARK: - RHEL 5: the root's session

  /// The login that mkinitrd 5.1 writes: by the iBFT where iscsistart can, else with the settings of the node records as they are now.
  mutating func addSessions() {
    let records = model.nodeRecords(tree)
    let readsIBFT =
      Self.readsIBFT(tree) && model.scenario.machine.nics.contains { $0.optionROM?.ibft == true }
    guard readsIBFT || !records.isEmpty else { return }
    let aliases = model.read(ModprobeConf.self, "/etc/modprobe.conf", tree) ?? ModprobeConf()
    for (_, driver) in aliases.interfaces.sorted(by: { $0.key < $1.key }) { add(driver) }
    for name in ["crc32c", "libiscsi", "scsi_transport_iscsi", "iscsi_tcp"] { add(name) }
    image.write("", to: "/bin/iscsistart")
    if readsIBFT {
      script += ["network --device ibft --bootproto ibft", "iscsistart -b"]
      return
    }
    let name = model.read(InitiatorName.self, "/etc/iscsi/initiatorname.iscsi", tree)?.name ?? ""
    for (_, file) in Ifcfg.find(in: tree) {
      guard let device = file.value.device, device != "lo" else { continue }
      let isDynamic = file.value.bootProtocol == "dhcp"
      script.append("network --device \(device) --bootproto \(isDynamic ? "dhcp" : "static")")
    }
    for record in records {
      let parts = record.login.portal.split(separator: ":")
      var line =
        "iscsistart -t \(record.login.target) -i \(name) -g 1 -a \(parts.first ?? "") -p \(parts.last ?? "")"
      if let chap = record.login.chap { line += " -u \(chap.username) -w \(chap.password)" }
      script.append(line)
    }
  }
}

/// The words of a mkinitrd command (mkinitrd(8) of RHEL 4 and 5).
struct MkinitrdOptions {
  var version: String
  var preload: [String] = []
  var with: [String] = []
  var omitsSCSI = false
  var allowsMissing = false

  /// `mkinitrd [options] IMAGE VERSION`; a version that is not given is that of the image's own name.
  init(_ words: [String], image: String) {
    version = Self.version(ofImage: image)
    var plain: [String] = []
    var expected: WritableKeyPath<Self, [String]>?
    for word in words {
      if let list = expected {
        self[keyPath: list].append(word)
        expected = nil
      } else if let name = word.dropping("--preload=") {
        preload.append(name)
      } else if let name = word.dropping("--with=") {
        with.append(name)
      } else if word == "--preload" {
        expected = \.preload
      } else if word == "--with" {
        expected = \.with
      } else if word == "--omit-scsi-modules" {
        omitsSCSI = true
      } else if word == "--allow-missing" {
        allowsMissing = true
      } else if !word.hasPrefix("-"), word != "?" {
        plain.append(word)
      }
    }
    if plain.count > 1 { version = plain[1] }
  }

  /// "2.6.9-42.EL" of "/boot/initrd-2.6.9-42.EL.img".
  static func version(ofImage path: String) -> String {
    let name = path.split(separator: "/").last.map(String.init) ?? path
    let rest = name.dropping("initrd-") ?? name
    return rest.hasSuffix(".img") ? String(rest.dropLast(4)) : rest
  }
}

/// What Intel's script does to the image it has opened: programs, modules and settings copied in, lines added to linuxrc.
private struct OpenedInitrd: ShellDelegate {
  var initrd: RedHatInitrd
  private static let opened = "/tmp/initrd"
  private static let system = "/mnt/sysimage"

  init(initrd: RedHatInitrd) { self.initrd = initrd }

  /// The installed system is mounted below /mnt/sysimage.
  mutating func file(_ path: String) -> ShellFileAnswer {
    if let inside = path.dropping(Self.system) {
      return initrd.tree.node(inside).map { .node($0) } ?? .absent
    }
    if path == Self.opened { return .node(.directory([])) }
    return initrd.tree.exists(path) ? .tree : .absent
  }

  mutating func run(_ call: ShellCall) -> ShellOutcome? {
    let words = call.arguments.map { $0.known ?? "?" }
    switch call.name.map(TreePath.name) {
    case "chroot":
      guard words.count > 1, TreePath.name(words[1]) == "mkinitrd" else { return nil }
      return mkinitrd(Array(words.dropFirst(2)))
    case "mkinitrd": return mkinitrd(words)
    case "cp": return copy(words.filter { !$0.hasPrefix("-") })
    case "mkdir", "gzip", "cpio", "find", "rm", "sync": return ShellOutcome(.zero)
    default: return nil
    }
  }

  private mutating func mkinitrd(_ words: [String]) -> ShellOutcome {
    initrd = RedHatInitrd(
      model: initrd.model, tree: initrd.tree,
      options: MkinitrdOptions(words, image: "initrd-\(initrd.options.version).img"))
    initrd.loadDrivers()
    return ShellOutcome(.zero)
  }

  private mutating func copy(_ words: [String]) -> ShellOutcome {
    guard let destination = words.last?.dropping(Self.opened) else { return ShellOutcome(.zero) }
    var all = true
    for source in words.dropLast() {
      guard let bytes = initrd.tree.bytes(source.dropping(Self.system) ?? source) else {
        all = false
        continue
      }
      let path = destination.hasSuffix("/") ? destination + TreePath.name(source) : destination
      initrd.image[path] = .file(bytes)
    }
    return ShellOutcome(all ? .zero : .nonzero)
  }

  mutating func wrote(_ write: ShellWrite) {
    guard write.path.known == Self.opened + "/linuxrc", let text = write.text.known else { return }
    initrd.script += text.split(separator: "\n").map(String.init)
  }
}

extension MachineModel {
  /// The image as mkinitrd made it last, and for RHEL 4's first one as Intel's post-install script left it.
  func madeByRedHat(_ selection: BootSelection, _ build: ImageBuild) -> InitramfsImage {
    // A kernel's own package calls it with --allow-missing.
    let options = MkinitrdOptions(
      build.arguments ?? ["--allow-missing"], image: selection.initrdPath ?? "")
    var initrd = RedHatInitrd(model: self, tree: build.tree, options: options)
    initrd.loadDrivers()
    if RedHatInitrd.findsSessions(build.tree) {
      initrd.addSessions()
    } else if let added = build.added {
      initrd.take(added)
    } else if build.arguments == nil {
      initrd.runPostInstall()
    }
    initrd.mountRoot()
    var files = initrd.image
    files.write(initrd.script.map { $0 + "\n" }.joined(), to: NashCompiler.script)
    let modules = initrd.script.compactMap { $0.dropping("insmod ") }.filter { files.exists($0) }
      .map { KernelModules.normalized(TreePath.name($0)) }
    return InitramfsImage(
      maker: .redHat, ordered: modules, available: modules,
      hasInitiator: files.exists("/bin/iscsi_boot_util") || files.exists("/bin/iscsistart"), files: files)
  }
}
