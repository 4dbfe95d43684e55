import LinuxConfig

/// The installation itself: files on the disk that holds the root, with the names that disks have at that moment.
extension MachineModel {
  /// The installation system: its drivers, local and USB disks first; without settings of its own it logs in to every target.
  func installerProgram(_ s: MachineState) -> UInt16 {
    library.program("installer") {
      let installer = scenario.installer
      let drivers = installer.drivers ?? hardwareDrivers
      var ops = OpList()
      let end = ops.label()
      ops.add(.pause(Pace.about(20_000)))
      ops.add(
        .modules(drivers + (installer.logsIn ? ["scsi_transport_iscsi", "libiscsi", "iscsi_tcp"] : [])))
      ops.add(.pause(Window(.seconds(30))))
      ops.add(.waitInterface(limit: Window(.seconds(30)), failTo: end))
      let address: AddressSource = !installer.logsIn && scenario.network.dhcp ? .dhcp : .fixed
      ops.add(.configure(interface: nil, address, limit: Pace.about(10_000), failTo: end))
      if installer.logsIn {
        let logins = scenario.targets.map { target in
          Login(
            initiator: target.acl?.first
              ?? scenario.machine.nics.lazy.compactMap(\.optionROM?.initiator).first,
            target: target.iqn, portal: target.portal, chap: target.chap)
        }
        ops.add(.startDaemon)
        ops.add(.login(logins, failTo: end))
      }
      ops.place(end)
      ops.add(.up)
      return Program(part: "installer", tasks: [Program.Task(name: "installer", ops: ops.finished)])
    }
  }

  /// The files when the installation system's shell is there.
  func withConsole(_ s: MachineState) -> UInt32 {
    library.files("\(s.tree) console") {
      var files = library.files(s.tree)
      files.console = InstallerConsole(memory: scenario.installer.files.withUsualDirectories)
      files.directory = "/"
      files.media = scenario.installer.media.mapValues { medium in
        switch medium {
        case .files(let tree): tree
        case .folder(let path): files.tree.subtree(at: path)
        }
      }
      return files
    }
  }

  /// The files when a disk is pulled out: what was mounted from it is not to be read any more.
  func withoutMounts(of disk: Int, _ s: MachineState) -> UInt32 {
    guard library.files(s.tree).console?.mounts.contains(where: { $0.disk == disk }) == true else {
      return s.tree
    }
    return library.files("\(s.tree) pulled \(disk)") {
      var files = library.files(s.tree)
      files.console?.mounts.removeAll { $0.disk == disk }
      return files
    }
  }

  /// Names of disks and partitions as they are now.
  func devices(_ s: MachineState) -> [String: InstallerConsole.Mount] {
    var devices: [String: InstallerConsole.Mount] = [:]
    for disk in inventory.disks.indices {
      let isFloppy = inventory.disks[disk].bus == .floppy && s.attached.has(disk)
      guard let name = isFloppy ? "fd0" : deviceName(disk, s), devices[name] == nil else { continue }
      devices[name] = InstallerConsole.Mount(disk: disk, partition: nil, point: "")
      for part in inventory.disks[disk].content.partitions {
        devices["\(name)\(part.number)"] = InstallerConsole.Mount(
          disk: disk, partition: part.number, point: "")
      }
    }
    return devices
  }

  /// The devices in one text: programs that depend on names are made for these names.
  func deviceKey(_ s: MachineState) -> String {
    inventory.disks.indices.map { deviceName($0, s) ?? "-" }.joined(separator: " ")
  }

  func installProgram(_ node: String?, _ index: Int) -> UInt16 {
    library.program("install \(index)") {
      Program(
        part: "installer",
        tasks: [Program.Task(name: "install", ops: [.pause(Pace.about(600_000)), .install(on: node)])])
    }
  }

  /// Copies the system, writes its files with today's names, and GRUB's boot code to the first disk of the order.
  func executeInstall(_ node: String?, part: String, _ s: inout MachineState, _ out: inout Out) -> Flow {
    let files = library.files(s.tree)
    if let source = scenario.installer.source, !files.view(inventory).exists(source) {
      say(part, "Unable to read the installation source (\(source))", &out)
      installationFails(
        .installerSourceHidden,
        "the installation system reads its packages from \(source), and something is mounted over that",
        [.story], &s, &out)
      return .stop
    }
    let holders = inventory.disks.indices.filter { disk in
      inventory.disks[disk].content.partitions.contains { $0.holds == "/" }
    }
    guard let disk = holders.first(where: { deviceName($0, s) != nil }) else {
      let adapters = scenario.machine.nics.indices.filter { scenario.machine.nics[$0].cable }
      // Without a driver for the adapter on the network nothing else was ever tried.
      let problem: LoginProblem =
        adapters.contains { s.network.present.has($0) }
        ? LoginProblem(rawValue: s.iscsi.problem) ?? .none : .noInterface
      say(
        part,
        "No drives found. An error has occurred - no valid devices were found on which to create new file systems.",
        &out)
      let reason = problem == .none ? "the installation system never logged in to its target" : problem.reason
      installationFails(
        Self.finding(ofInstaller: problem), "there is no disk to install on: \(reason)",
        [.login, .session, .story],
        &s, &out)
      return .stop
    }
    if let node {
      let found = node.dropping("/dev/").flatMap { devices(s)[$0] }
      guard let found else {
        say(part, "\(node): no such device", &out)
        installationFails(.installerFindsNoDisk, "\(node) is not there", [.story], &s, &out)
        return .stop
      }
      guard found.disk == disk else {
        say(part, "Formatting \(node)...", &out)
        installationFails(
          .wrongDiskWritten,
          "the installation goes to \(node), which is \(inventory.disks[found.disk].name) now; what was there is gone",
          [.letter(found.disk), .letter(disk), .story], &s, &out)
        return .stop
      }
    }
    let names = deviceKey(s)
    s.tree = library.files("\(s.tree) install \(names)") { installed(files, key: "\(s.tree) \(names)", s) }
    writeBootCode(s.tree, part: part, &s, &out)
    explain(
      part,
      "the system is installed on \(inventory.disks[disk].name), /dev/\(deviceName(disk, s) ?? "?") now",
      because: [.letter(disk)], sets: .story, to: &out)
    return .next(Self.instant)
  }

  private static func finding(ofInstaller problem: LoginProblem) -> Finding.Code {
    switch problem {
    case .none, .noInitiator, .unresolvedModules: .installerFindsNoDisk
    default: problem.finding
    }
  }

  private func installationFails(
    _ finding: Finding.Code, _ sentence: String, _ facts: [Fact], _ s: inout MachineState, _ out: inout Out
  ) {
    explain("verdict", sentence, because: facts, to: &out)
    failsLater(finding, &s, &out)
    // There is nothing that the rest of the story could be done with.
    s.step = UInt8(steps.count)
  }

  // MARK: - Files of a fresh system

  /// The system as installed: nodes in its files are those of this moment, its images are built now.
  private func installed(_ files: DiskFiles, key: String, _ s: MachineState) -> DiskFiles {
    var files = files
    let root = partitionNode("/", s), boot = partitionNode("/boot", s)
    for path in ["/boot/grub/menu.lst", "/boot/grub/grub.conf", "/boot/grub/grub.cfg"] {
      edit(path, &files.tree) { line in
        var words = line.split(separator: " ", omittingEmptySubsequences: false).map(String.init)
        for (index, word) in words.enumerated() where word.hasPrefix("root=/dev/") {
          if let root { words[index] = "root=\(root)" }
        }
        if line.hasPrefix("#boot=/dev/"), let first = firstDisk(s) { return "#boot=/dev/\(first.name)" }
        return words.joined(separator: " ")
      }
    }
    edit("/boot/grub/device.map", &files.tree) { line in
      guard line.hasPrefix("(hd0)"), let first = firstDisk(s) else { return line }
      return "(hd0)\t/dev/\(first.name)"
    }
    edit("/etc/fstab", &files.tree) { line in
      let words = line.split { $0 == " " || $0 == "\t" }.map(String.init)
      guard words.count > 1, words[0].hasPrefix("/dev/sd") || words[0].hasPrefix("/dev/hd") else {
        return line
      }
      let node = words[1] == "/boot" ? boot : words[1] == "/" ? root : partitionNode(words[1], s)
      return node.map { $0 + line.dropFirst(words[0].count) } ?? line
    }
    let tree = files.tree
    for name in tree.list("/boot") where name.hasPrefix("initr") && tree.linkTarget("/boot/\(name)") == nil {
      var build = ImageBuild(tree: tree)
      // Red Hat's installer calls mkinitrd as a kernel's package does; what else the image needs comes after it.
      if maker(of: tree) == .redHat { build.arguments = ["--allow-missing"] }
      build.key = "\(key) \(name)"
      library.add(build)
      files.tree.write(build.text, to: "/boot/\(name)")
    }
    for directory in inventory.heldDirectories.reversed() {
      guard let (disk, part) = place(holding: directory, s) else { continue }
      let point = directory == "/" ? scenario.installer.target : scenario.installer.target + directory
      files.console?.mounts.append(InstallerConsole.Mount(disk: disk, partition: part.number, point: point))
    }
    return files
  }

  private func edit(_ path: String, _ tree: inout MemoryFileTree, _ body: (String) -> String) {
    guard tree.linkTarget(path) == nil, let text = tree.text(path) else { return }
    let lines = text.split(separator: "\n", omittingEmptySubsequences: false).map { body(String($0)) }
    tree.write(lines.joined(separator: "\n"), to: path)
  }

  private func place(holding directory: String, _ s: MachineState) -> (disk: Int, part: PartitionSpec)? {
    for disk in inventory.disks.indices where deviceName(disk, s) != nil {
      if let part = inventory.disks[disk].content.partitions.first(where: { $0.holds == directory }) {
        return (disk, part)
      }
    }
    return nil
  }

  private func partitionNode(_ directory: String, _ s: MachineState) -> String? {
    place(holding: directory, s).flatMap { place in
      nodeName(Inventory.Location(disk: place.disk, partition: place.part), s)
    }
  }

  /// The first disk of the installer's order: the one that was put there, or the one that the system boots from.
  private func firstDisk(_ s: MachineState) -> (disk: Int, name: String)? {
    let named = inventory.disks.indices.compactMap { disk in deviceName(disk, s).map { (disk, $0) } }
    if let chosen = scenario.installer.firstDisk,
      let found = named.first(where: { inventory.disks[$0.0].name == chosen })
    {
      return found
    }
    let holder = inventory.directoryHolding("/boot") ?? "/"
    return named.first { disk, _ in inventory.disks[disk].content.partitions.contains { $0.holds == holder } }
  }

  private func writeBootCode(_ tree: UInt32, part: String, _ s: inout MachineState, _ out: inout Out) {
    guard let first = firstDisk(s) else { return }
    let legacy = !library.files(tree).tree.exists("/boot/grub/grub.cfg")
    let installation = GrubInstallation(legacy: legacy, embedded: true, prefix: nil, searchUUID: nil)
    _ = executeInstallGrub(
      "/dev/\(first.name)", installation, says: "GRUB is installed", part: part, &s, &out)
  }
}
