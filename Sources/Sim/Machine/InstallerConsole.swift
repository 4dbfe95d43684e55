import LinuxConfig

/// The console of an installation system or live CD: its own files in memory, and what is mounted over them.
struct InstallerConsole: Sendable, Equatable {
  /// Something mounted: a place on a disk, and where its files are seen.
  struct Mount: Sendable, Equatable {
    var disk: Int
    /// nil: the whole disk, as sticks and floppies without a partition table have it.
    var partition: Int?
    var point: String
  }

  /// Files of the installation system; they are gone with it.
  var memory: MemoryFileTree
  /// In the order they were mounted.
  var mounts: [Mount] = []
  /// The root of the shell: another one after `chroot`.
  var root = "/"
  /// Nodes made by hand, by path: the minor number of major 8.
  var nodes: [String: Int] = [:]
}

extension DiskFiles {
  /// The files as the shell of the story sees them.
  func view(_ inventory: Inventory) -> MemoryFileTree {
    guard let console else { return tree }
    let world = world(console, console.mounts[...], inventory)
    return console.root == "/" ? world : world.subtree(at: console.root)
  }

  /// Takes what the shell has left, each file to where it is kept.
  mutating func take(_ view: MemoryFileTree, _ inventory: Inventory) {
    guard var console else {
      tree = view
      return
    }
    var world = view
    if console.root != "/" {
      world = self.world(console, console.mounts[...], inventory)
      world.remove(console.root)
      world.graft(view, at: console.root)
    }
    let before = self
    for index in console.mounts.indices.reversed() {
      let mount = console.mounts[index]
      let inside = world.subtree(at: mount.point)
      // A disk that is mounted twice has what was changed at either place.
      if inside != before.content(mount, inventory) { store(inside, mount, inventory) }
      let beneath = self.world(console, console.mounts[..<index], inventory).subtree(at: mount.point)
      world.remove(mount.point)
      world.graft(beneath, at: mount.point)
    }
    console.memory = world
    self.console = console
  }

  private func world(
    _ console: InstallerConsole, _ mounts: ArraySlice<InstallerConsole.Mount>, _ inventory: Inventory
  ) -> MemoryFileTree {
    var world = console.memory
    for mount in mounts {
      world.remove(mount.point)
      world.graft(content(mount, inventory), at: mount.point)
    }
    return world
  }

  private func held(_ mount: InstallerConsole.Mount, _ inventory: Inventory) -> String? {
    inventory.disks[mount.disk].content.partitions.first { $0.number == mount.partition }?.holds
  }

  /// What is on a mounted place.
  private func content(_ mount: InstallerConsole.Mount, _ inventory: Inventory) -> MemoryFileTree {
    guard let held = held(mount, inventory) else {
      return media[inventory.disks[mount.disk].name] ?? MemoryFileTree()
    }
    guard held == "/" else { return tree.subtree(at: held) }
    // The root's own directories of those names are seen, not what other partitions put over them.
    var content = tree
    for other in inventory.heldDirectories where other != "/" {
      content.remove(other)
      content[other] = .directory([])
    }
    for path in hidden.paths { if let node = hidden.node(path) { content[path] = node } }
    return content
  }

  private mutating func store(
    _ content: MemoryFileTree, _ mount: InstallerConsole.Mount, _ inventory: Inventory
  ) {
    guard let held = held(mount, inventory) else {
      let name = inventory.disks[mount.disk].name
      if media[name] != nil || !content.paths.isEmpty { media[name] = content }
      return
    }
    guard held == "/" else {
      tree.remove(held)
      return tree.graft(content, at: held)
    }
    var root = content
    hidden = MemoryFileTree()
    for other in inventory.heldDirectories.reversed() where other != "/" {
      let inside = content.subtree(at: other)
      if !inside.paths.isEmpty { hidden.graft(inside, at: other) }
      root.remove(other)
      root.graft(tree.subtree(at: other), at: other)
    }
    tree = root
  }
}

/// What is typed at the console of an installation system.
extension CommandCompiler {
  var isInstalling: Bool { typed?.files.console != nil }

  /// mount, umount, chroot, mknod, and what loads modules and logs in; nil: another command.
  mutating func atInstaller(_ call: ShellCall, _ name: String, _ full: String) -> ShellOutcome? {
    guard isInstalling else { return nil }
    let words = call.arguments.map { $0.known ?? "?" }
    let operands = words.filter { !$0.hasPrefix("-") }
    if full.contains("/"), let path = absolute(full, call.directory), !tree.exists(path),
      !["/sbin/", "/bin/", "/usr/", "/etc/init.d/"].contains(where: { path.hasPrefix($0) })
    {
      return notThere("-sh: \(full): No such file or directory", "\(path) is not there")
    }
    if CommandCompiler.packageManagers.contains(name), model.scenario.installer.shell == .busybox {
      return notThere(
        "-sh: \(name): not found", "the installation medium's shell is busybox: it installs no packages")
    }
    if ["iscsiadm", "iscsi_discovery"].contains(name),
      !["/sbin", "/bin", "/usr/sbin", "/usr/bin"].contains(where: { tree.exists("\($0)/\(name)") })
    {
      return notThere("\(name): command not found", "open-iscsi is not installed in the installation system")
    }
    switch name {
    case "mount": return mountMedium(words, call)
    case "umount":
      let paths = operands.compactMap { absolute($0, call.directory) }
      updateConsole { console, _ in
        for path in paths {
          let disk = console.mounts.lastIndex { $0.point == path }
          if let disk { console.mounts.remove(at: disk) }
        }
      }
      for path in paths { unmountDevice(path) }
      return ShellOutcome(.zero)
    case "chroot": return changeRoot(call)
    case "mknod":
      guard operands.count >= 4, operands[1] == "b", operands[2] == "8", let minor = Int(operands[3]),
        let path = absolute(operands[0], call.directory)
      else { return ShellOutcome(.zero) }
      updateConsole { console, _ in console.nodes[path] = minor }
      return ShellOutcome(.zero)
    case "insmod": return insertModule(words, call)
    case "iscsid", "iscsi_boot_util": return startInitiator()
    case "iscsi_discovery": return discover(operands.first ?? "", startup: "automatic", call)
    case "iscsiadm" where words.contains("discovery"):
      let portal = words.firstIndex { $0 == "-p" || $0 == "--portal" }
        .flatMap { words.indices.contains($0 + 1) ? words[$0 + 1] : nil }
      return discover(portal ?? "", startup: "manual", call)
    default: return nil
    }
  }

  private mutating func notThere(_ message: String, _ why: String) -> ShellOutcome {
    typed?.isRefused = true
    ops.add(.say(message))
    ops.add(.tell(why, because: [.story]))
    return ShellOutcome(.code(127))
  }

  /// Changes what is mounted, or the shell's root, and looks at the files anew.
  private mutating func updateConsole(
    _ change: (inout InstallerConsole, [String: InstallerConsole.Mount]) -> Void
  ) {
    guard let typed, var console = typed.files.console else { return }
    change(&console, typed.devices)
    guard console != typed.files.console else { return }
    self.typed?.files.console = console
    tree = self.typed?.files.view(model.inventory) ?? tree
    storeVersion()
  }

  /// The device that a node stands for now: by its minor number where it was made by hand.
  private func device(_ path: String) -> InstallerConsole.Mount? {
    guard let typed else { return nil }
    if let minor = typed.files.console?.nodes[path] {
      let name = DiskNames.sd(minor / 16) + (minor % 16 > 0 ? "\(minor % 16)" : "")
      return typed.devices[name]
    }
    guard model.scenario.installer.makesNodes || path == "/dev/fd0" else { return nil }
    return path.dropping("/dev/").flatMap { typed.devices[$0] }
  }

  private mutating func mountMedium(_ words: [String], _ call: ShellCall) -> ShellOutcome? {
    var operands: [String] = []
    var rest = words[...]
    while let word = rest.popFirst() {
      if word == "-t" || word == "-o" {
        rest = rest.dropFirst()
      } else if !word.hasPrefix("-") {
        operands.append(word)
      }
    }
    guard operands.count == 2, let node = absolute(operands[0], call.directory),
      let point = absolute(operands[1], call.directory), node.hasPrefix("/dev/")
    else { return ShellOutcome(.zero) }
    guard tree.isDirectory(point) else {
      return notThere("mount: mount point \(operands[1]) does not exist", "there is no directory \(point)")
    }
    guard var device = device(node) else {
      return notThere(
        "mount: special device \(operands[0]) does not exist", "\(operands[0]) is no device that is there now"
      )
    }
    let disk = model.inventory.disks[device.disk]
    let partition = disk.content.partitions.first { $0.number == device.partition }
    let isFloppy = device.partition == nil && disk.content.partitions.allSatisfy { $0.holds == nil }
    guard isFloppy || partition?.fileSystem != nil else {
      return notThere(
        "mount: Mounting \(operands[0]) on \(operands[1]) failed: Invalid argument",
        "there is no file system on \(operands[0]), which is \(disk.name)")
    }
    device.point = point
    ops.add(
      .tell("\(operands[0]) is \(disk.name) now; it is mounted on \(point)", because: [.letter(device.disk)]))
    updateConsole { console, _ in console.mounts.append(device) }
    return ShellOutcome(.zero)
  }

  /// `umount` by the device's name.
  private mutating func unmountDevice(_ path: String) {
    guard let device = device(path) else { return }
    updateConsole { console, _ in
      console.mounts.removeAll { $0.disk == device.disk && $0.partition == device.partition }
    }
  }

  private mutating func changeRoot(_ call: ShellCall) -> ShellOutcome? {
    let words = call.arguments.compactMap(\.known)
    guard let first = words.first, let path = absolute(first, call.directory), let typed,
      let old = typed.files.console?.root
    else { return .unknown }
    guard tree.isDirectory(path), !tree.list(path).isEmpty else {
      return notThere(
        "chroot: cannot run command `/bin/bash': No such file or directory", "nothing is at \(path)")
    }
    updateConsole { console, _ in
      console.root = old == "/" ? path : TreePath.join(old, String(path.dropFirst()))
    }
    guard words.count > 1 else {
      self.typed?.files.directory = "/"
      return ShellOutcome(.zero)
    }
    var inside = call
    inside.directory = "/"
    let outcome = again(inside, words: Array(call.arguments.dropFirst()))
    updateConsole { console, _ in console.root = old }
    return outcome
  }

  /// Leaves a chroot, as `exit` and Ctrl-D do.
  mutating func leaveRoot() {
    updateConsole { console, _ in console.root = "/" }
    typed?.files.directory = DiskFiles.home
  }

  // MARK: - Modules and logins

  /// The kernel takes a module that was built for it alone (kernel/module.c, check_modinfo): its "vermagic" is in the file.
  private mutating func insertModule(_ words: [String], _ call: ShellCall) -> ShellOutcome {
    guard let file = words.first(where: { !$0.hasPrefix("-") }) else { return ShellOutcome(.nonzero) }
    let name = KernelModules.normalized(TreePath.name(file))
    guard let path = absolute(file, call.directory), let text = tree.text(path) else {
      return notThere(
        "insmod: can't read '\(file)': No such file or directory", "the module \(file) is not there")
    }
    let installer = model.scenario.installer
    var module = ModuleFile(name: name, information: text)
    let machine = text.split(separator: "\n").lazy.compactMap { String($0).dropping("machine: ") }.first
    let version = module.magic?.split(separator: " ").first.map(String.init)
    var why: String?
    if let version, let kernel = installer.kernel, version != kernel {
      ops.add(.say("\(name): version magic '\(module.magic ?? "")' should be '\(kernel)'"))
      why = "\(path) was built for the kernel \(version), and \(kernel) runs"
    } else if let machine, let own = installer.architecture, machine != own {
      why = "\(path) was built for \(machine), and the kernel is for \(own)"
    }
    if let why {
      ops.add(.say("insmod: error inserting '\(file)': -1 Invalid module format"))
      ops.add(.moduleRefused(says: why))
      return ShellOutcome(.nonzero)
    }
    module.magic = nil
    ops.add(.insmod(module))
    return ShellOutcome(.zero)
  }

  /// linux-iscsi's daemon discovers and logs in as /etc/iscsi.conf says; without an address there it has nothing to do.
  private mutating func startInitiator() -> ShellOutcome {
    let end = ops.label()
    ops.add(.startDaemon)
    if tree.exists("/etc/iscsi.conf") {
      if let login = model.oldLogin(tree) {
        ops.add(.login([login], failTo: end))
      } else {
        ops.add(.noteProblem(.noParameters))
      }
    }
    ops.place(end)
    return ShellOutcome(.zero)
  }

  /// open-iscsi's discovery: a record for each target that the portal shows.
  private mutating func discover(_ address: String, startup: String, _ call: ShellCall) -> ShellOutcome {
    let host = MachineModel.host(address)
    let targets = model.targets(discoveredAt: host)
    guard !targets.isEmpty else {
      ops.add(.say("iscsiadm: cannot make connection to \(host): Connection refused"))
      return ShellOutcome(.nonzero)
    }
    for target in targets {
      let spec = model.scenario.targets[target]
      let portal = MachineModel.fullPortal(spec.portal).split(separator: ":").map(String.init)
      let port = portal.last ?? "3260"
      put(
        "node.name = \(spec.iqn)\nnode.tpgt = 1\nnode.startup = \(startup)\nnode.conn[0].address = \(host)\nnode.conn[0].port = \(port)\n",
        at: "/etc/iscsi/nodes/\(spec.iqn)/\(host),\(port),1/default")
      ops.add(.say("\(host):\(port),1 \(spec.iqn)"))
    }
    return ShellOutcome(.zero)
  }
}
