import LinuxConfig

/// The system's own start and stop: SysV runlevels or systemd units, read from its files.
extension MachineModel {
  /// /sbin/init says which init it is.
  func hasSystemd(_ tree: MemoryFileTree) -> Bool {
    tree.linkTarget("/sbin/init")?.hasSuffix("systemd") == true
  }

  func initProgram(_ s: MachineState) -> UInt16 {
    library.program("init \(s.tree) \(answers(Int(s.step)).sorted { $0.key < $1.key })") {
      let tree = tree(s)
      if hasUpstart(tree) { return upstartStart(tree) }
      return hasSystemd(tree) ? systemdStart(tree) : sysvStart(tree, s)
    }
  }

  func shutdownProgram(reboot: Bool, _ s: MachineState) -> UInt16 {
    // The installation system has nothing of ours to stop.
    guard s.root.disk > 0 else {
      return library.program("installer off \(reboot)") {
        Program(
          part: "installer",
          tasks: [
            Program.Task(
              name: "off",
              ops: [.halt(HaltRequest(reboot: reboot, commandLine: reboot ? "reboot" : "poweroff"))])
          ])
      }
    }
    return library.program("shutdown \(s.tree) \(reboot) \(s.services.rawValue)") {
      let tree = tree(s)
      if hasUpstart(tree) { return upstartStop(tree, reboot: reboot) }
      return hasSystemd(tree) ? systemdStop(tree, reboot: reboot) : sysvStop(tree, s, reboot: reboot)
    }
  }

  // MARK: - SysV

  /// The links of a runlevel in the order `rc` runs them.
  func links(_ level: String, start: Bool, _ tree: MemoryFileTree) -> [RunlevelLinks.Link] {
    read(RunlevelLinks.read(from: tree)).order(level).filter { $0.isStart == start && $0.script != nil }
  }

  func defaultRunlevel(_ tree: MemoryFileTree) -> String {
    read(Inittab.self, "/etc/inittab", tree)?.defaultLevel ?? "2"
  }

  private func sysvStart(_ tree: MemoryFileTree, _ s: MachineState) -> Program {
    var compiler = CommandCompiler(model: self, tree: tree)
    if hasRedHatInit(tree) { compiler.locks = [] }
    compiler.answers = answers(Int(s.step))
    compiler.ops.add(.say("INIT: version booting"))
    compiler.ops.add(.pause(Pace.about(500)))
    var pieces = [compiler.take()]
    for path in ["/etc/rc.d/rc.sysinit", "/etc/init.d/boot"] where tree.isFile(path) {
      compiler.script(path, "start", unreadable: "\(path): Input/output error")
      pieces.append(compiler.take())
    }
    let level = defaultRunlevel(tree)
    for level in ["S", level] {
      compiler.environment["RUNLEVEL"] = level
      if level != "S" {
        compiler.ops.add(.say("INIT: Entering runlevel: \(level)"))
        pieces.append(compiler.take())
      }
      for link in links(level, start: true, tree) {
        compiler.script(link.path, "start", unreadable: "\(link.path): Input/output error")
        compiler.ops.add(.pause(Pace.about(700)))
        pieces.append(compiler.take())
      }
    }
    let end = compiler.ops.label()
    compiler.ops.add(.read("/sbin/agetty", says: "INIT: cannot execute \"/sbin/agetty\"", failTo: end))
    compiler.ops.add(.up)
    compiler.ops.place(end)
    pieces.append(compiler.take())
    return Program(part: "rc", tasks: Self.chain(pieces))
  }

  private func sysvStop(_ tree: MemoryFileTree, _ s: MachineState, reboot: Bool) -> Program {
    let level = reboot ? "6" : "0"
    var compiler = CommandCompiler(model: self, tree: tree)
    compiler.environment["RUNLEVEL"] = level
    var pieces: [[Op]] = []
    compiler.ops.add(.say("INIT: Switching to runlevel: \(level)"))
    compiler.ops.add(.pause(Pace.about(600)))
    pieces.append(compiler.take())
    // `rc` of Red Hat stops only what has its lock file; Debian's and SUSE's stop everything linked.
    let locked = hasRedHatInit(tree)
    if locked { compiler.locks = locks(s) }
    // SUSE's rc stops by the links of the runlevel that it leaves.
    let left = tree.isDirectory("/etc/init.d/rc\(level).d") ? defaultRunlevel(tree) : level
    for starts in [false, true] {
      for link in links(starts ? level : left, start: starts, tree) {
        if !starts, locked, compiler.locks?.contains(link.name) != true { continue }
        // Debian's rc stops with S links too in these runlevels; Red Hat's and SUSE's start what halts.
        let action = !starts || link.path.hasPrefix("/etc/rc\(level).d/") && !locked ? "stop" : "start"
        compiler.script(
          link.path, action, unreadable: "/etc/init.d/rc: 117: \(link.path): Input/output error")
        compiler.ops.add(.pause(Pace.about(250)))
        pieces.append(compiler.take())
      }
    }
    compiler.ops.add(.noProcessesLeft(says: "INIT: no more processes left in this runlevel"))
    pieces.append(compiler.take())
    return Program(part: "rc", tasks: Self.chain(pieces))
  }

  /// Pieces one after the other, as few tasks as their counters allow.
  static func chain(_ pieces: [[Op]]) -> [Program.Task] {
    var tasks: [Program.Task] = []
    for var piece in pieces {
      // What a script does beyond that is left out, and said (CommandCompiler.take).
      piece = Array(piece.prefix(Program.opLimit))
      if let last = tasks.last,
        last.ops.count + piece.count <= Program.opLimit || tasks.count == Program.taskLimit
      {
        let offset = last.ops.count
        tasks[tasks.count - 1].ops += piece.map { $0.retargeted { $0 + offset } }
      } else {
        tasks.append(
          Program.Task(name: "rc", after: tasks.isEmpty ? 0 : 1 << UInt32(tasks.count - 1), ops: piece))
      }
    }
    return tasks
  }

  // MARK: - Commands of the story

  func commandProgram(_ line: String, asUser: Bool = false, _ index: Int, _ s: MachineState) -> UInt16 {
    let files = library.files(s.tree)
    // At an installation system's console names of devices matter; they are those of this moment.
    let names = files.console == nil ? "" : deviceKey(s)
    return library.program("command \(index) \(s.tree) \(s.services.rawValue) \(names)") {
      var compiler = CommandCompiler(model: self, tree: files.view(inventory).withUsualDirectories)
      compiler.typed = TypedFiles(
        files: files, name: "\(s.tree) step \(index) \(names)", isRoot: !asUser,
        kernel: library.selection(s.firmware.selection)?.kernelVersion ?? scenario.installer.kernel,
        devices: files.console == nil ? [:] : devices(s))
      if hasRedHatInit(files.tree) { compiler.locks = locks(s) }
      compiler.type(line)
      let ops = compiler.take()
      if !hasEffect(ops), compiler.typed?.isRefused == false {
        library.notLooked("story: `\(line)` does nothing that is modelled")
      }
      return Program(part: "sh", tasks: [Program.Task(name: line, ops: ops)])
    }
  }

  /// `grub-install` and GRUB's `setup`: device.map says which disk (hdN) is, the node says which disk that is today (S-14).
  func executeInstallGrub(
    _ device: String, _ installation: GrubInstallation, says: String, part: String, _ s: inout MachineState,
    _ out: inout Out
  ) -> Flow {
    let path = "/boot/grub/device.map"
    let map = read(DeviceMap.self, path, tree(s)) ?? DeviceMap()
    let node: String
    if let drive = GrubDevice(device, style: .legacy)?.disk {
      guard let mapped = map.device(disk: drive) else {
        say(part, "Error 12: Invalid device requested", &out)
        return .next(Self.instant)
      }
      node = mapped
    } else {
      node = device
    }
    guard let place = resolve(RootName(node), s) else {
      say(part, "\(node): Not found or not a block device.", &out)
      explain(
        part, "`\(device)` is \(node), which is not there: nothing is written", because: [.story], to: &out)
      return .next(Self.instant)
    }
    var written = installation
    if let disk = inventory.disks.indices.first(where: { disk in
      deviceName(disk, s) != nil
        && inventory.disks[disk].content.partitions.contains {
          $0.holds == "/boot" || ($0.holds == "/" && inventory.directoryHolding("/boot") == "/")
        }
    }),
      let part = inventory.disks[disk].content.partitions.first(where: {
        $0.holds == "/boot" || $0.holds == "/"
      })
    {
      if installation.legacy {
        let drive = map.entries.first { resolve(RootName($0.device), s)?.disk == disk }?.drive.disk ?? 0
        // Stage 1.5 on the disk that is installed to looks at that same disk when both are one.
        written.prefix = GrubDevice(.disk(disk == place.disk ? 0 : drive), partition: part.number).name(
          .legacy)
      } else if disk != place.disk {
        written.searchUUID = part.uuid
      } else {
        written.prefix = GrubDevice(.disk(0), partition: part.number).name(.grub2)
      }
    }
    s.bootCode[place.disk] = UInt8(truncatingIfNeeded: Int(library.number(written)))
    explain(
      part,
      "GRUB's boot code is written to \(node), which is \(inventory.disks[place.disk].name) today (\(path))",
      because: [.letter(place.disk), .story], sets: .disk(place.disk), to: &out)
    return .next(Pace.about(2000))
  }
}
