import LinuxConfig

/// What is in an initramfs image, as its maker put it together from the system's files.
struct InitramfsImage: Sendable {
  enum Maker: Sendable { case initramfsTools, dracut, suse, redHat }
  var maker: Maker
  /// Modules that are there; those in `ordered` are loaded by name, the others when their device is found.
  var ordered: [String]
  var available: [String]
  var hasInitiator: Bool
  var files: MemoryFileTree
  /// What went wrong while it was made, with its place.
  var remarks: [String] = []
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

  func image(_ selection: BootSelection, _ build: ImageBuild) -> InitramfsImage {
    var image = made(selection, build)
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

  /// What is in an image is what its maker found when it was called, not what the files say now (S-42).
  private func made(_ selection: BootSelection, _ build: ImageBuild) -> InitramfsImage {
    switch maker(of: build.tree) {
    case .initramfsTools: madeByInitramfsTools(build.tree)
    case .dracut: madeByDracut(build)
    case .suse: madeBySUSE(selection, build)
    case .redHat: madeByRedHat(selection, build)
    }
  }

  /// Which program builds images on a system with these files.
  func maker(of tree: MemoryFileTree) -> InitramfsImage.Maker {
    if tree.exists("/etc/initramfs-tools") { return .initramfsTools }
    if tree.exists("/etc/dracut.conf") || tree.exists("/etc/dracut.conf.d") { return .dracut }
    let isSUSE = tree.text("/etc/sysconfig/kernel")?.contains("INITRD_MODULES") == true
    return isSUSE ? .suse : .redHat
  }

  // MARK: - Programs

  func initramfsProgram(_ selection: BootSelection, _ s: MachineState) -> UInt16 {
    let build = build(ofImage: selection.initrdPath, s)
    return library.program(
      "initramfs \(selection.initrdPath ?? "-") \(selection.kernelPath) \(selection.commandLine) \(build.key)"
    ) {
      let image = image(selection, build)
      switch image.maker {
      case .initramfsTools:
        return Program(
          part: "initramfs",
          tasks: [Program.Task(name: "initramfs", ops: initramfsToolsOps(image, selection))])
      case .dracut:
        return Program(
          part: "dracut", tasks: [Program.Task(name: "initqueue", ops: dracutOps(image, selection))])
      case .suse: return Program(part: "linuxrc", tasks: suseTasks(image, selection))
      case .redHat:
        return Program(part: "nash", tasks: [Program.Task(name: "initramfs", ops: nashOps(image, selection))])
      }
    }
  }

  func rootName(_ commandLine: String) -> RootName {
    RootName(KernelCommandLine(commandLine).last("root") ?? "")
  }

  /// The settings of linux-iscsi and of RHEL 4's initiator in the image.
  func oldLogin(_ files: MemoryFileTree) -> Login? {
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

  /// linuxrc of Red Hat's mkinitrd; modules that the scenario leaves out are not in the image.
  private func nashOps(_ image: InitramfsImage, _ selection: BootSelection) -> [Op] {
    var files = image.files
    for path in files.list("/lib").map({ "/lib/" + $0 })
    where !image.ordered.contains(KernelModules.normalized(TreePath.name(path))) {
      files.remove(path)
    }
    var compiler = NashCompiler(model: self, image: files, selection: selection)
    let written = Set(files.list("/lib").map { KernelModules.normalized($0) })
    compiler.added = image.ordered.filter { !written.contains(KernelModules.normalized($0)) }
    return compiler.compile(hasInitiator: image.hasInitiator)
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
    case .findInterface(let name, let place, let to): .findInterface(name, place: place, failTo: map(to))
    case .configure(let interface, let source, let limit, let to):
      .configure(interface: interface, source, limit: limit, failTo: map(to))
    case .raiseStatic(let interface, let place, let to):
      .raiseStatic(interface: interface, place: place, failTo: map(to))
    case .unlessRaised(let interface, let to): .unlessRaised(interface: interface, map(to))
    case .login(let logins, let to): .login(logins, failTo: map(to))
    case .loginFromFirmware(let to): .loginFromFirmware(failTo: map(to))
    case .needsModules(let names, let to): .needsModules(names, failTo: map(to))
    case .unlessIBFT(let to): .unlessIBFT(map(to))
    case .remountRoot(let readWrite, let to): .remountRoot(readWrite: readWrite, failTo: map(to))
    default: self
    }
  }
}
