import LinuxConfig

/// dracut as a maker, and what its initqueue does (dracut 059 with open-iscsi 2.1.8; laboratory, RESULTS-2 section 3).
///
/// The image has its own iscsid as a unit; `rd.iscsi.firmware` or `netroot=iscsi:` on the kernel line make it log in. The
/// initqueue waits for the root in turns of half a second and something, twice `rd.retry` of them.
extension MachineModel {
  /// What brings the interface up in the image, by the name of dracut's module.
  private enum NetworkModule: String {
    case legacy = "network-legacy"
    case networkManager = "network-manager"
    case networkd = "systemd-networkd"
  }

  /// Where an image lists the modules that it is made of.
  private static let dracutModules = "/usr/lib/dracut/modules.txt"

  func madeByDracut(_ build: ImageBuild) -> InitramfsImage {
    let tree = build.tree
    let (conf, notes) = DracutConf.load(from: tree, arguments: build.arguments ?? [])
    for note in notes { library.notLooked(note.description) }
    // 95iscsi: neither without its programs, nor without the network module's package.
    let hasISCSI =
      !conf.omitted.contains("iscsi") && tree.exists("/sbin/iscsid") && tree.exists("/sbin/iscsiadm")
      && packageVersion("dracut-network", tree) != nil
    var available = conf.isHostOnly ? driversOfAttachedHardware : hardwareDrivers
    if hasISCSI {
      available += ["iscsi_tcp", "libiscsi", "scsi_transport_iscsi", "iscsi_ibft", "crc32c", "libcrc32c"]
    }
    available += conf.addedDrivers
    let left = Set(conf.omittedDrivers.map(KernelModules.normalized))
    available.removeAll { left.contains(KernelModules.normalized($0)) }
    var files = MemoryFileTree()
    for item in conf.items { if let bytes = tree.bytes(item) { files[item] = .file(bytes) } }
    // Only an image for this machine has this machine's name (`inst_simple -H`).
    if conf.isHostOnly, let name = tree.bytes("/etc/iscsi/initiatorname.iscsi") {
      files["/etc/iscsi/initiatorname.iscsi"] = .file(name)
    }
    if hasISCSI, let unit = tree.bytes("/lib/systemd/system/iscsid.service") {
      files["/lib/systemd/system/iscsid.service"] = .file(unit)
    }
    let modules = (hasISCSI ? ["iscsi"] : []) + [networkModule(conf, tree).rawValue]
    files.write(modules.map { $0 + "\n" }.joined(), to: Self.dracutModules)
    return InitramfsImage(
      maker: .dracut, ordered: [], available: available, hasInitiator: hasISCSI, files: files)
  }

  /// 35network-manager, then 01systemd-networkd, then 35network-legacy, unless one is asked for or left out.
  private func networkModule(_ conf: DracutConf, _ tree: MemoryFileTree) -> NetworkModule {
    if conf.added.contains("network-legacy") { return .legacy }
    if conf.added.contains("network-manager") { return .networkManager }
    if packageVersion("network-manager", tree) != nil, !conf.omitted.contains("network-manager") {
      return .networkManager
    }
    return conf.omitted.contains("systemd-networkd") ? .legacy : .networkd
  }

  /// Programs that iscsid's unit wants to have run first and the image has not: the unit then fails.
  private func missingBeforeISCSID(_ files: MemoryFileTree) -> String? {
    let unit = files.text("/lib/systemd/system/iscsid.service") ?? ""
    for line in unit.split(separator: "\n") {
      guard let command = String(line).dropping("ExecStartPre="), !command.hasPrefix("-"),
        let program = command.split(separator: " ").first.map(String.init)
      else { continue }
      if !files.exists(program) { return program }
    }
    return nil
  }

  func dracutOps(_ image: InitramfsImage, _ selection: BootSelection) -> [Op] {
    let line = KernelCommandLine(selection.commandLine)
    let root = rootName(selection.commandLine)
    let retry = Int64(line.last("rd.retry") ?? "") ?? 180
    var ops = OpList()
    ops.add(.say("systemd[1]: Running in initrd."))
    ops.add(.pause(Pace.about(3000)))
    ops.add(.modules(image.available.filter { !KernelModules.initiators.contains($0) }))
    ops.add(.pause(Pace.about(2000)))
    let end = ops.label()
    let wantsFirmware = line.last("rd.iscsi.firmware").map { $0 != "0" } ?? line.contains("rd.iscsi.firmware")
    let netroot = line.last("netroot")?.dropping("iscsi:") ?? line.last("root")?.dropping("iscsi:")
    if !image.hasInitiator {
      ops.add(.noteProblem(.noInitiator))
    } else if !wantsFirmware, netroot == nil {
      ops.add(.noteProblem(.noParameters))
    } else {
      addDracutLogin(
        image, line, netroot: wantsFirmware ? nil : netroot, to: &ops, failTo: end)
    }
    ops.place(end)
    // Two turns a second are meant; each takes 0.75 to 0.85 s (laboratory: d2 at 293 s with 180, d4 at 53 s with 30).
    let turns = max(0, retry) * 2
    ops.add(
      .startRootWait(
        Pace.between(turns * 700, turns * 950, seen: turns * 800)))
    ops.add(.waitRoot(root))
    ops.add(.mountRoot(root))
    ops.add(.switchRoot(initPath: "/sbin/init"))
    return ops.finished
  }

  private func addDracutLogin(
    _ image: InitramfsImage, _ line: KernelCommandLine, netroot: String?, to ops: inout OpList,
    failTo end: Int
  ) {
    ops.add(.stage(.initramfsNetwork))
    let modules = (image.files.text(Self.dracutModules) ?? "").split(separator: "\n").map(String.init)
    guard !modules.contains(NetworkModule.networkd.rawValue) else {
      // systemd-networkd is not told of ip= or the iBFT: nobody gives the interface an address (laboratory d1n, F-55).
      ops.add(.pause(Pace.between(118_000, 125_000, seen: 120_000)))
      ops.add(
        .say("Failed to start systemd-networkd-wait-online.service - Wait for Network to be Configured."))
      ops.add(.noteProblem(.interfaceNotConfigured))
      return ops.add(.jump(end))
    }
    ops.add(.modules(["iscsi_ibft"].filter(image.available.contains)))
    ops.add(.waitInterface(limit: Pace.between(58_000, 62_000, seen: 60_000), failTo: end))
    let isStatic = IPParameter(line.last("ip") ?? "").client != nil
    ops.add(
      .configure(
        interface: nil, netroot == nil ? .firmware : isStatic ? .fixed : .dhcp,
        limit: Pace.between(60_000, 125_000, seen: 65_000), failTo: end))
    ops.add(.stage(.initramfsISCSI))
    if let program = missingBeforeISCSID(image.files) {
      ops.add(.say("Failed to start iscsid.service - iSCSI initiator daemon (iscsid)."))
      ops.add(
        .tell("iscsid.service wants to run \(program) first, and the image has no such file", because: []))
      ops.add(.noteProblem(.daemonDoesNotStart))
      return ops.add(.jump(end))
    }
    ops.add(
      .modules(
        ["scsi_transport_iscsi", "libiscsi", "iscsi_tcp", "crc32c", "libcrc32c"].filter(
          image.available.contains)))
    ops.add(.say("Started iscsid.service - iSCSI initiator daemon (iscsid)."))
    ops.add(.pause(Pace.between(500, 3000, seen: 1000)))
    guard let netroot else {
      ops.add(.unlessIBFT(end))
      return ops.add(.loginFromFirmware(failTo: end))
    }
    guard let login = login(netroot: netroot, line, image.files) else {
      ops.add(.noteProblem(.noParameters))
      return ops.add(.jump(end))
    }
    ops.add(.login([login], failTo: end))
  }

  /// `[user:password@][server]:[protocol]:[port]:[interface:device]:[LUN]:name` (dracut.cmdline(7)).
  private func login(netroot: String, _ line: KernelCommandLine, _ files: MemoryFileTree) -> Login? {
    var rest = netroot
    var chap: Credentials?
    if let at = rest.firstIndex(of: "@") {
      let parts = rest[..<at].split(separator: ":", omittingEmptySubsequences: false).map(String.init)
      if parts.count >= 2 { chap = Credentials(username: parts[0], password: parts[1]) }
      rest = String(rest[rest.index(after: at)...])
    }
    let parts = rest.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
    guard parts.count >= 5, !parts[0].isEmpty,
      let name = parts.indices.first(where: {
        $0 >= 4 && ["iqn.", "eui.", "naa."].contains(parts[$0].prefix(4))
      })
    else { return nil }
    // A generic image has no name of this machine: one is made up at each boot, which a target with an ACL refuses.
    let initiator =
      line.last("rd.iscsi.initiator")
      ?? read(InitiatorName.self, "/etc/iscsi/initiatorname.iscsi", files)?.name
      ?? "iqn.1994-05.com.redhat:generated"
    return Login(
      initiator: initiator, target: parts[name...].joined(separator: ":"),
      portal: "\(parts[0]):\(parts[2].isEmpty ? "3260" : parts[2])", chap: chap)
  }
}
