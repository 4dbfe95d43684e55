import LinuxConfig

/// GRUB: reads its own files, the menu, kernel and initrd, from BIOS drives only.
extension MachineModel {
  /// What a path on a BIOS drive leads to.
  enum DriveFile {
    case found(systemPath: String, disk: Int)
    case noDrive
    case noFileSystem
    case noFile
  }

  func runBootLoader(_ disk: Int, try count: Int, _ s: inout MachineState, _ out: inout Out) {
    if count == 0 { enter(.bootLoader, &s, &out) }
    guard romReaches(disk, s) else { return readFails(disk, try: count, &s, &out) }
    s.delay.readsAgain = false
    guard let installation = grub(of: disk, s) else {
      return dead(
        .bootSectorHangs, .bootLoader, because: [.disk(disk)],
        "the boot sector of \(inventory.disks[disk].name) belongs to no loader", &s, &out)
    }
    if installation.legacy { runLegacy(installation, &s, &out) } else { runGrub2(installation, &s, &out) }
  }

  /// Can the option ROM read the LU that it exposes?
  private func romReaches(_ disk: Int, _ s: MachineState) -> Bool {
    guard let target = inventory.disks[disk].target else { return true }
    return s.network.targets.has(target)
      && scenario.machine.nics.indices.contains { nic in
        let spec = scenario.machine.nics[nic]
        return spec.optionROM?.target == scenario.targets[target].iqn && spec.cable
          && !s.network.unplugged.has(nic)
      }
  }

  /// A read gets no answer: the ROM tries again, 15 s each time and ten times (iPXE, src/core/sanboot.c); then INT13 fails.
  private func readFails(_ disk: Int, try count: Int, _ s: inout MachineState, _ out: inout Out) {
    guard count >= 10 else {
      s.delay.readsAgain = true
      return out.schedule(MachineEvent(.loader, disk, count + 1), Pace.between(15_000, 20_000, seen: 15_000))
    }
    say(
      "GRUB",
      grub(of: disk, s)?.legacy == true ? "Error 25" : "error: failure reading sector 0x0 from `hd0'.", &out)
    dead(
      .optionROMTargetUnreachable, .bootLoader, because: [.path, .bootDevice],
      "the boot loader reads from \(inventory.disks[disk].name), and the option ROM gets no answer any more",
      &s,
      &out)
  }

  // MARK: - Drives and files

  func partition(_ device: GrubDevice, _ s: MachineState) -> (disk: Int, partition: PartitionSpec?)? {
    guard case .disk(let number)? = Optional(device.drive) else { return nil }
    let all = drives(s)
    guard number < all.count else { return nil }
    let disk = all[number]
    guard let wanted = device.partition else { return (disk, nil) }
    return (disk, inventory.disks[disk].content.partitions.first { $0.number == wanted })
  }

  /// Looks up a file on a partition that a GRUB device names.
  func driveFile(_ device: GrubDevice, _ path: String, _ s: MachineState) -> DriveFile {
    guard let place = partition(device, s) else { return .noDrive }
    guard let part = place.partition, part.fileSystem != nil, part.fileSystem != "swap" else {
      return .noFileSystem
    }
    guard let held = part.holds, let full = inventory.systemPath(path, onPartitionHolding: held),
      tree(s).exists(full)
    else { return .noFile }
    return .found(systemPath: full, disk: place.disk)
  }

  /// GRUB's own directory on the partition it starts from: "/grub" where that holds /boot, else "/boot/grub".
  func grubDirectory(_ device: GrubDevice, _ s: MachineState) -> String {
    partition(device, s)?.partition?.holds == "/boot" ? "/grub" : "/boot/grub"
  }

  func filesSeen(_ s: MachineState) -> String {
    "the BIOS shows "
      + drives(s).enumerated().map { "(hd\($0.offset)) = \(inventory.disks[$0.element].name)" }.joined(
        separator: ", ")
  }

  // MARK: - GRUB legacy

  private func runLegacy(_ installation: GrubInstallation, _ s: inout MachineState, _ out: inout Out) {
    let prefix =
      installation.prefix.flatMap { GrubDevice($0, style: .legacy) } ?? GrubDevice(.disk(0), partition: 1)
    say("GRUB", "GRUB Loading stage1.5.", &out)
    say("GRUB", "GRUB loading, please wait...", &out)
    let directory = grubDirectory(prefix, s)
    let stage2 = driveFile(prefix, directory, s)
    switch stage2 {
    case .noDrive:
      say("GRUB", installation.embedded ? "Error 21" : "GRUB Hard Disk Error", &out)
      return bootFilesMissing(
        "stage 1 looks for the rest of GRUB on \(prefix.name(.legacy)), and \(filesSeen(s))", &s, &out)
    case .noFileSystem:
      say("GRUB", "Error 17", &out)
      return bootFilesMissing(
        "GRUB cannot mount \(prefix.name(.legacy)), where its files were installed; \(filesSeen(s))", &s, &out
      )
    case .noFile:
      say("GRUB", "Error 15", &out)
      return bootFilesMissing("GRUB's files are not on \(prefix.name(.legacy)); \(filesSeen(s))", &s, &out)
    case .found: break
    }
    var menuPath = ""
    for name in ["menu.lst", "grub.conf"] {
      if case .found(let path, _) = driveFile(prefix, directory + "/" + name, s), menuPath.isEmpty {
        menuPath = path
      }
    }
    guard !menuPath.isEmpty, let text = tree(s).text(menuPath) else {
      say("GRUB", "grub>", &out)
      return dead(
        .menuMissing, .bootLoader, because: [.biosDrives],
        "GRUB has no menu: neither menu.lst nor grub.conf is in \(directory)", &s, &out)
    }
    let menu = library.parsed("menu \(s.tree) \(menuPath)") {
      GrubLegacyMenu.parse(text, file: menuPath).value
    }
    var saved: Int?
    if case .found(let path, _) = driveFile(prefix, directory + "/default", s) {
      saved = tree(s).text(path)?.split(separator: "\n").first.flatMap { Int($0.prefix { $0.isNumber }) }
    }
    let chosen = chosenEntry(s).flatMap { name in
      Int(name) ?? menu.entries.firstIndex { $0.title == name }
    }
    s.menuEntry = 0
    var candidates = [chosen ?? menu.entryToBoot(saved: saved)].compactMap { $0 } + menu.fallback
    candidates = candidates.filter { menu.entries.indices.contains($0) }
    guard !candidates.isEmpty else {
      say("GRUB", "grub>", &out)
      return dead(
        .menuMissing, .bootLoader, because: [.biosDrives], "\(menuPath) has no entry that could be booted",
        &s, &out)
    }
    var failure: (Finding.Code, String, String)?
    for index in candidates {
      switch boot(menu.entries[index], menuPath, prefix, s) {
      case .success(let selection):
        return hand(
          over: selection, readTime: Pace.about(600),
          menu: Pace.about(Pace.milliseconds(ofSeconds: Int64(menu.timeout ?? 0)) + 150),
          &s, &out)
      case .failure(let error):
        if failure == nil { failure = (error.finding, error.console, error.sentence) }
        say("GRUB", error.console, &out)
      }
    }
    if let failure {
      say("GRUB", "Press any key to continue...", &out)
      dead(failure.0, .bootLoader, because: [.biosDrives], failure.2, &s, &out)
    }
  }

  struct LoaderError: Error {
    var finding: Finding.Code
    var console: String
    var sentence: String
  }

  private func boot(
    _ entry: GrubLegacyMenu.Entry, _ menuPath: String, _ prefix: GrubDevice, _ s: MachineState
  ) -> Result<BootSelection, LoaderError> {
    var root = prefix
    var kernel: (path: String, disk: Int, line: KernelCommandLine)?
    var initrd: String?
    for command in entry.commands {
      let place = "\(menuPath):\(command.line)"
      switch command.name {
      case "root", "rootnoverify":
        guard let device = command.device else { continue }
        guard let found = partition(device, s) else {
          return .failure(
            LoaderError(
              finding: .menuDriveMissing, console: "Error 21: Selected disk does not exist",
              sentence: "\(place) says `root \(device.name(.legacy))`, and \(filesSeen(s))"))
        }
        if device.partition != nil, found.partition == nil {
          return .failure(
            LoaderError(
              finding: .menuDriveMissing, console: "Error 22: No such partition",
              sentence: "\(place) says `root \(device.name(.legacy))`, and there is no such partition"))
        }
        if command.name == "root", found.partition?.fileSystem == nil {
          return .failure(
            LoaderError(
              finding: .menuDriveMissing, console: "Error 17: Cannot mount selected partition",
              sentence: "\(place) says `root \(device.name(.legacy))`, and there is no file system on it"))
        }
        root = device
      case "uuid":
        guard let device = searchDrives({ $0.uuid?.lowercased() == command.argument.lowercased() }, s) else {
          return .failure(
            LoaderError(
              finding: .bootFilesNotVisible, console: "Error 15: File not found",
              sentence:
                "\(place) looks for the file system \(command.argument), and \(filesSeen(s)), which do not hold it"
            ))
        }
        root = device
      case "kernel":
        guard let load = command.load else { continue }
        let device = load.file.device ?? root
        switch driveFile(device, load.file.path, s) {
        case .found(let path, let disk): kernel = (path, disk, load.commandLine)
        case .noDrive:
          return .failure(
            LoaderError(
              finding: .menuDriveMissing, console: "Error 21: Selected disk does not exist",
              sentence: "\(place) reads the kernel from \(device.name(.legacy)), and \(filesSeen(s))"))
        case .noFileSystem:
          return .failure(
            LoaderError(
              finding: .bootFilesNotVisible, console: "Error 17: Cannot mount selected partition",
              sentence: "\(place) reads the kernel from \(device.name(.legacy)), which has no file system"))
        case .noFile:
          return .failure(
            LoaderError(
              finding: fileFinding(load.file.path, s), console: "Error 15: File not found",
              sentence: "\(place): \(load.file.path) is not on \(device.name(.legacy)); \(filesSeen(s))"))
        }
      case "initrd":
        guard let load = command.load else { continue }
        switch driveFile(load.file.device ?? root, load.file.path, s) {
        case .found(let path, _): initrd = path
        default:
          return .failure(
            LoaderError(
              finding: .kernelFileMissing, console: "Error 15: File not found",
              sentence: "\(place): the initrd \(load.file.path) is not there"))
        }
      case "chainloader", "configfile":
        library.notLooked("\(place): \(command.name) is not followed")
      default: break
      }
    }
    guard let kernel else {
      return .failure(
        LoaderError(
          finding: .kernelFileMissing, console: "Error 8: Kernel must be loaded before booting",
          sentence: "the entry \"\(entry.title)\" (\(menuPath):\(entry.line)) loads no kernel"))
    }
    return .success(
      BootSelection(
        kernelPath: kernel.path, kernelVersion: Self.version(ofKernel: kernel.path), initrdPath: initrd,
        commandLine: kernel.line.text, disk: kernel.disk))
  }

  /// A kernel that exists elsewhere in the system is not visible from here; one that does not exist at all is missing.
  private func fileFinding(_ path: String, _ s: MachineState) -> Finding.Code {
    let name = path.split(separator: "/").last.map(String.init) ?? path
    return tree(s).exists("/boot/" + name) ? .bootFilesNotVisible : .kernelFileMissing
  }

  func searchDrives(_ matches: (PartitionSpec) -> Bool, _ s: MachineState) -> GrubDevice? {
    for (number, disk) in drives(s).enumerated() {
      if let part = inventory.disks[disk].content.partitions.first(where: {
        $0.fileSystem != nil && matches($0)
      }) {
        return GrubDevice(.disk(number), partition: part.number)
      }
    }
    return nil
  }

  static func version(ofKernel path: String) -> String {
    let name = path.split(separator: "/").last.map(String.init) ?? path
    guard let dash = name.firstIndex(of: "-") else { return name }
    return String(name[name.index(after: dash)...])
  }

  func bootFilesMissing(_ sentence: String, _ s: inout MachineState, _ out: inout Out) {
    dead(.bootFilesNotVisible, .bootLoader, because: [.biosDrives, .bootDevice], sentence, &s, &out)
  }

  func hand(
    over selection: BootSelection, readTime: Window, menu: Window, _ s: inout MachineState, _ out: inout Out
  ) {
    s.firmware.selection = library.number(selection)
    explain(
      "GRUB", "GRUB loads \(selection.kernelPath) with `\(selection.commandLine)`",
      because: [.biosDrives, .bootDevice], sets: .selection, to: &out)
    out.schedule(
      MachineEvent(.kernel),
      Window(
        menu.earliest + readTime.earliest, menu.latest + readTime.latest,
        nominal: menu.nominal + readTime.nominal))
  }

  // MARK: - GRUB 2

  private func runGrub2(_ installation: GrubInstallation, _ s: inout MachineState, _ out: inout Out) {
    say("GRUB", "GRUB loading.", &out)
    say("GRUB", "Welcome to GRUB!", &out)
    let prefix: GrubDevice
    if let uuid = installation.searchUUID {
      guard let device = searchDrives({ $0.uuid?.lowercased() == uuid.lowercased() }, s) else {
        say("GRUB", "error: no such device: \(uuid).", &out)
        say("GRUB", "error: unknown filesystem.", &out)
        say("GRUB", "grub rescue>", &out)
        return bootFilesMissing(
          "core.img looks for the file system \(uuid), and \(filesSeen(s)), which do not hold it", &s, &out)
      }
      prefix = device
    } else {
      prefix =
        installation.prefix.flatMap { GrubDevice($0, style: .grub2) } ?? GrubDevice(.disk(0), partition: 1)
    }
    let directory = grubDirectory(prefix, s)
    switch driveFile(prefix, directory, s) {
    case .found: break
    case .noDrive:
      say("GRUB", "error: no such device: \(prefix.name(.grub2)).", &out)
      say("GRUB", "grub rescue>", &out)
      return bootFilesMissing("core.img reads \(prefix.name(.grub2)), and \(filesSeen(s))", &s, &out)
    case .noFileSystem:
      say("GRUB", "error: unknown filesystem.", &out)
      say("GRUB", "grub rescue>", &out)
      return bootFilesMissing(
        "core.img reads its files from \(prefix.name(.grub2)), where there is no file system", &s, &out)
    case .noFile:
      say("GRUB", "error: file `\(directory)/i386-pc/normal.mod' not found.", &out)
      say("GRUB", "grub rescue>", &out)
      return bootFilesMissing("GRUB's files are not on \(prefix.name(.grub2)); \(filesSeen(s))", &s, &out)
    }
    guard case .found(let path, _) = driveFile(prefix, directory + "/grub.cfg", s),
      let text = tree(s).text(path)
    else {
      say("GRUB", "grub>", &out)
      return dead(
        .menuMissing, .bootLoader, because: [.biosDrives],
        "GRUB has no menu: \(directory)/grub.cfg is not there", &s, &out)
    }
    let result = evaluateGrub2(text, path, prefix, s)
    s.menuEntry = 0
    switch result {
    case .success(let result):
      hand(
        over: result.selection, readTime: Pace.about(5200),
        menu: Pace.about(Pace.milliseconds(ofSeconds: result.timeout) + 300), &s,
        &out)
    case .failure(let error):
      say("GRUB", error.console, &out)
      say("GRUB", "Press any key to continue...", &out)
      dead(error.finding, .bootLoader, because: [.biosDrives], error.sentence, &s, &out)
    }
  }
}
