/// Waiting for the root, mounting it, handing over to its init.
extension MachineModel {
  /// Is the device that `root=` names there, with a file system that can be recognised (scripts/local, local_device_setup)?
  func rootThere(_ root: RootName, _ s: MachineState) -> Bool {
    guard let place = resolve(root, s) else { return false }
    return place.partition?.fileSystem != nil
  }

  func executeWaitRoot(
    _ root: RootName, part: String, timedOut: Bool, _ s: inout MachineState, _ out: inout Out
  ) -> Flow {
    enter(.rootMount, &s, &out)
    if rootThere(root, s) {
      out.cancel(MachineEvent(.rootWaitOver))
      return .next(Pace.about(900))
    }
    if s.rootWaitOver {
      // The time was used up before: one look, then the prompt (lab n: 1 s).
      if timedOut {
        noRoot(root, part: part, &s, &out)
        return .stop
      }
      return .wait(Pace.between(800, 1500, seen: 1000))
    }
    switch part {
    case "linuxrc": say(part, "Waiting for device \(root.text) to appear:", &out)
    case "dracut": break
    default: say(part, "Waiting for root file system ... Running /scripts/local-block ... done.", &out)
    }
    return .wait(nil)
  }

  /// The initramfs has waited long enough.
  func rootWaitOver(_ s: inout MachineState, _ out: inout Out) {
    s.rootWaitOver = true
    guard case .waitRoot(let root)? = waitingOp(s), s.phase == .initramfs else { return }
    noRoot(root, part: library.program(s.program.number)?.part ?? "initramfs", &s, &out)
  }

  func noRoot(_ root: RootName, part: String, _ s: inout MachineState, _ out: inout Out) {
    switch part {
    case "linuxrc":
      say(part, "Waiting for device \(root.text) to appear: not found -- exiting to /bin/sh", &out)
    case "dracut":
      say(part, "dracut-initqueue: timeout, still waiting for following initqueue hooks:", &out)
      say(part, "Entering emergency mode. Exit the shell to continue.", &out)
      say(part, "Press Enter for maintenance", &out)
    default:
      say(part, "Gave up waiting for root file system device.  Common problems:", &out)
      say(part, "ALERT!  \(root.text) does not exist.  Dropping to a shell!", &out)
      say(part, "(initramfs)", &out)
    }
    let (finding, stage, sentence, facts) = diagnose(root, s)
    dead(finding, stage, because: facts, sentence, &s, &out)
    s.prompt = .initramfs
  }

  /// Why the name of the root leads to nothing, or to the wrong thing: read off the machine as it is.
  func diagnose(_ root: RootName, _ s: MachineState) -> (Finding.Code, Stage, String, [Fact]) {
    let holders = inventory.disks.indices.filter { disk in
      inventory.disks[disk].content.partitions.contains { $0.holds == "/" }
    }
    let there = holders.filter { deviceName($0, s) != nil }
    guard let disk = there.first else {
      let problem = LoginProblem(rawValue: s.iscsi.problem) ?? .none
      if problem != .none {
        return (
          problem.finding, problem.stage,
          "the disk with the root file system never appeared: \(problem.reason)", [.login, .session]
        )
      }
      let misread = inventory.disks.indices.first { disk in
        deviceName(disk, s) != nil && inventory.disks[disk].misread.contains { $0.holds == "/" }
      }
      if let misread {
        return (
          .partitionTableMisread, .rootMount,
          "the root is on \(inventory.disks[misread].name), whose blocks have 4096 bytes: its partition table, "
            + "which counts in blocks of 512, leads nowhere", [.letter(misread)]
        )
      }
      return (.rootDiskMissing, .rootMount, "no disk with the root file system is there", [.session, .login])
    }
    let partition = inventory.disks[disk].content.partitions.first { $0.holds == "/" }
    let real = nodeName(Inventory.Location(disk: disk, partition: partition), s) ?? "?"
    switch root {
    case .node(let node):
      let facts: [Fact] =
        [.selection] + inventory.disks.indices.filter { deviceName($0, s) != nil }.map { .letter($0) }
      let found =
        resolve(.node(node), s).map { "it names a place on \(inventory.disks[$0.disk].name)" }
        ?? "nothing has that name"
      return (
        .rootDeviceRenamed, .rootMount,
        "root=/dev/\(node), but the root file system is on \(real) this time; \(found)", facts
      )
    default:
      return (
        .rootNotFoundByName, .rootMount,
        "no file system answers to \(root.text); the root file system is on \(real)"
          + (partition?.uuid.map { " with UUID \($0)" } ?? ""), [.selection]
      )
    }
  }

  func executeMountRoot(_ root: RootName, part: String, _ s: inout MachineState, _ out: inout Out) -> Flow {
    enter(.rootMount, &s, &out)
    guard let place = resolve(root, s), let partition = place.partition, let type = partition.fileSystem,
      type != "swap"
    else {
      if resolve(root, s) == nil {
        say("kernel", "VFS: Cannot open root device \"\(root.text)\"", &out)
      } else {
        say("kernel", "VFS: Can't find ext3 filesystem on dev \(root.text).", &out)
      }
      say("kernel", "Kernel panic - not syncing: Attempted to kill init!", &out)
      let (finding, stage, sentence, facts) = diagnose(root, s)
      dead(finding, stage, because: facts, sentence, &s, &out)
      return .stop
    }
    if KernelModules.known.contains(type), !loaded(type, s) {
      say(part, "mount: unknown filesystem type '\(type)'", &out)
      say(part, "Target filesystem doesn't have requested /sbin/init.", &out)
      dead(
        .fileSystemDriverMissing, .rootMount, because: [.initramfs, .selection],
        "the root file system is \(type), and the initramfs has no module for it", &s, &out)
      return .stop
    }
    s.root.disk = UInt8(place.disk + 1)
    s.root.partition = UInt8(truncatingIfNeeded: partition.number)
    s.root.mount = .readOnly
    let name = nodeName(place, s) ?? "?"
    say(
      "kernel",
      "\(driver(of: type)) (\(name.dropping("/dev/") ?? name)): mounted filesystem with \(journalMode(s).spoken) data mode",
      &out)
    explain(
      part, "\(name) on \(inventory.disks[place.disk].name) is mounted as the root",
      because: [.selection, .letter(place.disk), .session], sets: .root, to: &out)
    journalReplayed(name, &s, &out)
    return .next(Pace.about(350))
  }

  /// The initramfs hands over; nothing of it remains but the session it made.
  func switchRoot(_ path: String, part: String, _ s: inout MachineState, _ out: inout Out) -> Flow {
    let partition = inventory.disks[Int(s.root.disk) - 1].content.partitions.first {
      $0.number == Int(s.root.partition)
    }
    guard partition?.holds == "/" else {
      say(part, "Target filesystem doesn't have requested \(path).", &out)
      say(part, "No init found. Try passing init= bootarg.", &out)
      let selection = library.selection(s.firmware.selection)
      let (finding, stage, sentence, facts) = diagnose(rootName(selection?.commandLine ?? ""), s)
      dead(
        finding, stage, because: facts + [.root],
        "the file system that was mounted as root is not the system's: " + sentence, &s, &out)
      return .stop
    }
    s.phase = .initialising
    enter(.`init`, &s, &out)
    startProgram(initProgram(s), &s, &out, after: Pace.about(900))
    return .stop
  }
}

extension LoginProblem {
  var finding: Finding.Code {
    switch self {
    case .none: .rootDiskMissing
    case .noInitiator, .unresolvedModules: .initiatorNotInInitramfs
    case .symbolsUnresolved: .moduleUnresolved
    case .moduleRefused: .moduleRefused
    case .daemonDoesNotStart: .initiatorDoesNotStart
    case .noParameters: .initiatorNotConfigured
    case .noIBFT: .noIBFT
    case .noInterface: .nicDriverMissing
    case .interfaceNotConfigured: .interfaceNotConfigured
    case .interfaceNotReady: .interfaceNotReady
    case .noAddress: .noAddress
    case .unreachable: .targetUnreachable
    case .targetNotFound: .targetNameUnknown
    case .wrongSecret: .chapRefused
    case .notAdmitted: .initiatorNotAdmitted
    case .sessionLimit: .sessionLimit
    }
  }

  var stage: Stage {
    switch self {
    case .noInterface, .interfaceNotConfigured, .interfaceNotReady, .noAddress:
      .initramfsNetwork
    case .none: .rootMount
    default: .initramfsISCSI
    }
  }
}
