import LinuxConfig

/// What is in an initramfs image, as its maker put it together from the system's files.
struct InitramfsImage: Sendable {
  enum Maker: Sendable { case initramfsTools, suse, redHat }
  var maker: Maker
  /// Modules that are there; those in `ordered` are loaded by name, the others when their device is found.
  var ordered: [String]
  var available: [String]
  var hasInitiator: Bool
  var files: MemoryFileTree
}

/// The initramfs: made by mkinitrd or update-initramfs, run after the kernel.
extension MachineModel {
  /// The version of a Debian package, from dpkg's status file; nil where it says nothing.
  func packageVersion(_ name: String, _ tree: MemoryFileTree) -> KernelVersion? {
    guard let status = tree.text("/var/lib/dpkg/status") else { return nil }
    var current = ""
    for line in status.split(separator: "\n") {
      if let rest = String(line).dropping("Package: ") { current = rest }
      if current == name, let rest = String(line).dropping("Version: ") {
        let plain = rest.split(separator: ":").last.map(String.init) ?? rest
        return KernelVersion(plain)
      }
    }
    return nil
  }

  /// The tree an image was last built from: what a story's step writes afterwards is not in it (S-42).
  func buildTree(before treeIndex: Int) -> Int {
    var built = 0
    for index in steps.indices where index < treeIndex {
      guard case .run(let line) = steps[index] else { continue }
      if line.contains("update-initramfs") || line.contains("mkinitrd") || line.contains("dracut") {
        built = index
      }
    }
    return built
  }

  func image(_ selection: BootSelection, tree: MemoryFileTree) -> InitramfsImage {
    var image = made(selection, tree)
    if let path = selection.initrdPath, let spec = scenario.initrds[path] {
      if let modules = spec.modules {
        image.ordered = modules
        image.available = modules
      }
      image.ordered.append(contentsOf: spec.add)
      image.available.append(contentsOf: spec.add)
      let omitted = Set(spec.omit.map(KernelModules.normalized))
      image.ordered.removeAll { omitted.contains(KernelModules.normalized($0)) }
      image.available.removeAll { omitted.contains(KernelModules.normalized($0)) }
      if omitted.contains("iscsistart") { image.hasInitiator = false }
      for (path, text) in spec.files { image.files[path] = text.map { .file(Array($0.utf8)) } }
    }
    return image
  }

  private func made(_ selection: BootSelection, _ tree: MemoryFileTree) -> InitramfsImage {
    if tree.exists("/etc/initramfs-tools") { return madeByInitramfsTools(tree) }
    if tree.exists("/etc/sysconfig/kernel")
      && tree.text("/etc/sysconfig/kernel")?.contains("INITRD_MODULES") == true
    {
      return madeBySUSE(tree)
    }
    return madeByRedHat(tree)
  }

  /// update-initramfs: MODULES= of initramfs.conf, the modules file, and open-iscsi's hook.
  private func madeByInitramfsTools(_ tree: MemoryFileTree) -> InitramfsImage {
    let conf = InitramfsConf.load(from: tree).map(read) ?? InitramfsConf()
    let listed = read(InitramfsModules.self, "/etc/initramfs-tools/modules", tree)?.modules.map(\.name) ?? []
    var available = listed
    switch conf.modules {
    case "most": available += hardwareDrivers
    case "dep": available += driversOfAttachedHardware
    default: break
    }
    let version = packageVersion("open-iscsi", tree)
    let needsMarker = version.map { $0 < KernelVersion("2.0.873") } ?? false
    let installed = tree.exists("/sbin/iscsistart") || tree.exists("/usr/sbin/iscsistart") || version != nil
    let hook = installed && !conf.excludesISCSI && (!needsMarker || tree.exists("/etc/iscsi/iscsi.initramfs"))
    if hook {
      available += ["iscsi_tcp", "libiscsi", "scsi_transport_iscsi", "iscsi_ibft", "crc32c", "libcrc32c"]
    }
    var files = MemoryFileTree()
    if hook {
      for path in ["/etc/iscsi/initiatorname.iscsi", "/etc/iscsi/iscsi.initramfs"] {
        if let bytes = tree.bytes(path) { files["/etc/" + TreePath.name(path)] = .file(bytes) }
      }
    }
    return InitramfsImage(
      maker: .initramfsTools, ordered: listed, available: available, hasInitiator: hook, files: files)
  }

  /// Drivers that a build on this machine finds in use (MODULES=dep).
  private var driversOfAttachedHardware: [String] {
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

  /// What mkinitrd adds by itself: the disk driver and the root's file system, as fstab has it.
  private func diskModules(_ tree: MemoryFileTree) -> [String] {
    ["scsi_mod", "sd_mod"] + [read(Fstab.self, "/etc/fstab", tree)?.root?.type ?? "ext3"]
  }

  /// mkinitrd of SLES 9: INITRD_MODULES, in order, and what /sbin/mkinitrd writes into the image's own files.
  private func madeBySUSE(_ tree: MemoryFileTree) -> InitramfsImage {
    let list = read(ShellVariables.self, "/etc/sysconfig/kernel", tree)?["INITRD_MODULES"] ?? ""
    let modules = diskModules(tree) + list.split(separator: " ").map(String.init)
    var files = MemoryFileTree()
    if let name = tree.bytes("/etc/initiatorname.iscsi") { files["/etc/initiatorname.iscsi"] = .file(name) }
    // The image has its own /etc/iscsi.conf: only what the script writes into it is there (S-11).
    var conf = ""
    if let script = tree.text("/sbin/mkinitrd") {
      var interpreter = ShellInterpreter(tree: tree, delegate: CommandCompiler(model: self, tree: tree))
      let run = interpreter.run(
        ShellScript.parse(script, file: "/sbin/mkinitrd"), file: "/sbin/mkinitrd", arguments: ["-D", "eth0"])
      for write in run.writes where write.path.known == "/etc/iscsi.conf" { conf += write.text.known ?? "" }
    }
    files.write(conf, to: "/etc/iscsi.conf")
    return InitramfsImage(
      maker: .suse, ordered: modules, available: modules,
      hasInitiator: modules.contains { KernelModules.normalized($0) == "iscsi" }
        && tree.exists("/sbin/iscsid"),
      files: files)
  }

  /// mkinitrd of RHEL 4: adapters of modprobe.conf in order; Intel's post-install script adds the initiator, its modules and files.
  private func madeByRedHat(_ tree: MemoryFileTree) -> InitramfsImage {
    let aliases = read(ModprobeConf.self, "/etc/modprobe.conf", tree) ?? ModprobeConf()
    var modules = diskModules(tree)
    for (_, driver) in aliases.interfaces.sorted(by: { $0.key < $1.key }) { modules.append(driver) }
    for adapter in aliases.hostAdapters {
      if KernelModules.normalized(adapter) == "iscsi_sfnet" {
        modules += ["crc32c", "libcrc32c", "md5", "scsi_transport_iscsi"]
      }
      modules.append(adapter)
    }
    var files = MemoryFileTree()
    for path in ["/etc/iscsi.conf", "/etc/initiatorname.iscsi"] {
      if let bytes = tree.bytes(path) { files[path] = .file(bytes) }
    }
    return InitramfsImage(
      maker: .redHat, ordered: modules, available: modules,
      hasInitiator: modules.contains { KernelModules.normalized($0) == "iscsi_sfnet" }, files: files)
  }

  // MARK: - Programs

  func initramfsProgram(_ selection: BootSelection, _ s: MachineState) -> UInt16 {
    let built = buildTree(before: Int(s.tree))
    return library.program(
      "initramfs \(selection.initrdPath ?? "-") \(selection.kernelPath) \(selection.commandLine) \(built)"
    ) {
      let image = image(selection, tree: trees[built])
      let ops: [Op] =
        switch image.maker {
        case .initramfsTools: initramfsToolsOps(image, selection)
        case .suse: suseOps(image, selection)
        case .redHat: nashOps(image, selection)
        }
      return Program(
        part: image.maker == .redHat ? "nash" : "initramfs",
        tasks: [Program.Task(name: "initramfs", ops: ops)])
    }
  }

  func rootName(_ commandLine: String) -> RootName {
    RootName(KernelCommandLine(commandLine).last("root") ?? "")
  }

  /// /init of initramfs-tools with open-iscsi's local-top script (open-iscsi 2.1.8, initramfs-tools 0.142).
  private func initramfsToolsOps(_ image: InitramfsImage, _ selection: BootSelection) -> [Op] {
    let root = rootName(selection.commandLine)
    var ops = OpList()
    ops.add(.say("Loading, please wait..."))
    ops.add(.pause(Pace.about(1900)))
    ops.add(.modules(image.available.filter { !isInitiator($0) }))
    ops.add(.pause(Pace.about(400)))
    ops.add(.say("Begin: Loading essential drivers ... done."))
    let delay = Int64(KernelCommandLine(selection.commandLine).last("rootdelay") ?? "") ?? 0
    let wait = Pace.milliseconds(ofSeconds: max(30, delay))
    ops.add(.startRootWait(Pace.between(wait + 700, wait + 2300, seen: wait + 1000)))
    // /init sleeps as long as rootdelay= says, once the drivers are in; the wait for the root has begun before (lab).
    if delay > 0 { ops.add(.pause(Window(.milliseconds(Pace.milliseconds(ofSeconds: delay))))) }
    ops.add(.pause(Pace.about(200)))
    ops.add(.say("Begin: Mounting root file system ... Begin: Running /scripts/local-top ..."))
    let end = ops.label()
    let parameters = rootParameters(image.files, selection.commandLine)
    let kernelLine = IPParameter(KernelCommandLine(selection.commandLine).last("ip") ?? "")
    if !image.hasInitiator {
      ops.add(.noteProblem(.noInitiator))
    } else if !parameters.isActive {
      ops.add(.noteProblem(.noParameters))
    } else {
      ops.add(.stage(.initramfsNetwork))
      if parameters.isAutomatic {
        ops.add(.modules(["iscsi_ibft"]))
        ops.add(.waitInterface(limit: Pace.between(178_000, 184_000, seen: 180_000), failTo: end))
        ops.add(
          .configure(
            interface: nil, .firmware, limit: Pace.between(240_000, 290_000, seen: 265_000), failTo: end)
        )
      } else {
        ops.add(.waitInterface(limit: Pace.between(178_000, 184_000, seen: 180_000), failTo: end))
        // Nothing has brought the interface up before: the first DHCP request goes nowhere (seen: 1.6 s once, 10 to 11 s three times).
        ops.add(.pause(Pace.between(1600, 11_000, seen: 10_000)))
        ops.add(
          .configure(
            interface: nil, kernelLine.client == nil ? .dhcp : .fixed,
            limit: Pace.between(240_000, 290_000, seen: 265_000), failTo: end)
        )
      }
      ops.add(.stage(.initramfsISCSI))
      ops.add(
        .modules(
          ["scsi_transport_iscsi", "libiscsi", "iscsi_tcp", "crc32c", "libcrc32c"].filter {
            image.available.contains($0)
          }))
      ops.add(.say("iscsistart: version 2.1.8"))
      ops.add(.pause(Pace.between(1000, 1300, seen: 1050)))
      if parameters.isAutomatic {
        ops.add(.unlessIBFT(end))
        ops.add(.loginFromFirmware(failTo: end))
      } else {
        let name =
          parameters.initiator ?? read(InitiatorName.self, "/etc/initiatorname.iscsi", image.files)?.name
        let chap = parameters.values["ISCSI_USERNAME"].map {
          Credentials(username: $0, password: parameters.values["ISCSI_PASSWORD"] ?? "")
        }
        let logins = parameters.targetAddresses.map {
          Login(
            initiator: name, target: parameters.targetName ?? "", portal: "\($0):\(parameters.port)",
            chap: chap)
        }
        ops.add(.login(logins, failTo: end))
      }
    }
    ops.place(end)
    ops.add(.waitRoot(root))
    ops.add(.mountRoot(root))
    ops.add(.switchRoot(initPath: "/sbin/init"))
    return ops.finished
  }

  private func isInitiator(_ module: String) -> Bool {
    KernelModules.initiators.contains(KernelModules.normalized(module))
  }

  /// What open-iscsi's local-top script works with: file and kernel line merged by its own precedence.
  private func rootParameters(_ files: MemoryFileTree, _ commandLine: String) -> ISCSIRootParameters {
    read(
      ISCSIRootParameters.merge(
        commandLine: KernelCommandLine(commandLine),
        initramfs: read(IscsiInitramfs.self, "/etc/iscsi.initramfs", files)))
  }

  /// The settings of linux-iscsi and of RHEL 4's initiator in the image.
  private func oldLogin(_ files: MemoryFileTree) -> Login? {
    let conf = read(LinuxISCSIConfig.self, "/etc/iscsi.conf", files) ?? LinuxISCSIConfig()
    guard let address = conf.discoveryAddresses.first(where: { conf.isEnabled(discoveryAddress: $0) }) else {
      return nil
    }
    let name = read(InitiatorName.self, "/etc/initiatorname.iscsi", files)?.name
    let auth = conf.credentials(discoveryAddress: address)
    return Login(
      initiator: name, target: "*", portal: address,
      chap: auth.username.map { Credentials(username: $0, password: auth.password ?? "") })
  }

  /// linuxrc of RHEL 4, run by nash: modules in order, then the initiator, then the root, at once.
  private func nashOps(_ image: InitramfsImage, _ selection: BootSelection) -> [Op] {
    let root = rootName(selection.commandLine)
    var ops = OpList()
    ops.add(.say("Red Hat nash version 4.2.1.6 starting"))
    ops.add(.pause(Pace.about(500)))
    let end = ops.label()
    addOldInitiator(image, to: &ops, failTo: end)
    ops.place(end)
    ops.add(.mountRoot(root))
    ops.add(.switchRoot(initPath: "/sbin/init"))
    return ops.finished
  }

  /// linuxrc of SLES 9: the same parts; it looks for the root for a while, then gives a shell.
  private func suseOps(_ image: InitramfsImage, _ selection: BootSelection) -> [Op] {
    let root = rootName(selection.commandLine)
    var ops = OpList()
    ops.add(.pause(Pace.about(500)))
    let end = ops.label()
    addOldInitiator(image, to: &ops, failTo: end)
    ops.place(end)
    ops.add(.startRootWait(Pace.between(10_000, 12_000, seen: 10_500)))
    ops.add(.waitRoot(root))
    ops.add(.mountRoot(root))
    ops.add(.switchRoot(initPath: "/sbin/init"))
    return ops.finished
  }

  private func addOldInitiator(_ image: InitramfsImage, to ops: inout OpList, failTo end: Int) {
    for module in image.ordered where !["iscsi", "iscsi_sfnet"].contains(KernelModules.normalized(module)) {
      ops.add(.say("Loading \(module).ko module"))
      ops.add(.modules([module]))
      if KernelModules.normalized(module) == "usb_storage" { ops.add(.pause(Window(.seconds(8)))) }
    }
    guard image.hasInitiator else { return ops.add(.noteProblem(.noInitiator)) }
    guard let login = oldLogin(image.files) else { return ops.add(.noteProblem(.noParameters)) }
    ops.add(.stage(.initramfsNetwork))
    ops.add(.waitInterface(limit: Pace.between(100, 300, seen: 200), failTo: end))
    ops.add(.configure(interface: nil, .fixed, limit: Pace.between(4000, 8000, seen: 5000), failTo: end))
    ops.add(.stage(.initramfsISCSI))
    let initiator =
      image.ordered.first { ["iscsi", "iscsi_sfnet"].contains(KernelModules.normalized($0)) } ?? "iscsi"
    ops.add(.say("Loading \(initiator).ko module"))
    ops.add(.modules([initiator]))
    ops.add(.startDaemon)
    ops.add(.pause(Pace.between(200, 2000, seen: 500)))
    ops.add(.login([login], failTo: end))
  }
}

/// Builds a list of instructions with jumps to places that come later.
struct OpList {
  private var ops: [Op] = []
  private var places: [Int] = []

  mutating func label() -> Int {
    places.append(-1)
    return -places.count
  }
  mutating func place(_ label: Int) { places[-label - 1] = ops.count }
  mutating func add(_ op: Op) { ops.append(op) }
  mutating func removeLast() { ops.removeLast() }
  var count: Int { ops.count }

  /// With labels replaced by positions.
  var finished: [Op] { ops.map { $0.retargeted { $0 < 0 ? max(places[-$0 - 1], 0) : $0 } } }
}

extension Op {
  func retargeted(_ map: (Int) -> Int) -> Op {
    switch self {
    case .jump(let to): .jump(map(to))
    case .read(let path, let says, let to): .read(path, says: says, failTo: map(to))
    case .waitInterface(let limit, let to): .waitInterface(limit: limit, failTo: map(to))
    case .configure(let interface, let source, let limit, let to):
      .configure(interface: interface, source, limit: limit, failTo: map(to))
    case .login(let logins, let to): .login(logins, failTo: map(to))
    case .loginFromFirmware(let to): .loginFromFirmware(failTo: map(to))
    case .unlessIBFT(let to): .unlessIBFT(map(to))
    case .remountRoot(let readWrite, let to): .remountRoot(readWrite: readWrite, failTo: map(to))
    default: self
    }
  }
}
