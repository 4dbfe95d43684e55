import LinuxConfig

/// What the model asks of the system's files, in the form it needs.
extension MachineModel {
  struct Interface {
    var name: String
    var method: String
    /// Raised by `ifup -a`.
    var onBoot: Bool
    /// Known to `ifdown -a`: raised at boot or when it was plugged in.
    var automatic: Bool
    /// It is to have the default route.
    var hasGateway: Bool
    var place: String
  }

  /// A parsed file; what its reader did not understand goes into the report.
  func read<T>(_ parsed: Parsed<T>) -> T {
    for problem in parsed.problems { library.notLooked(problem.description) }
    return parsed.value
  }

  func read<T: ConfigurationFile>(_ type: T.Type, _ path: String, _ tree: MemoryFileTree) -> T? {
    tree.text(path).map { read(T.parse($0, file: path)) }
  }

  /// /etc/network/interfaces and what it includes.
  func interfaces(_ tree: MemoryFileTree) -> [Interface] {
    guard let file = Interfaces.load("/etc/network/interfaces", from: tree).map(read) else { return [] }
    let auto = Set(file.auto), hotplug = Set(file.hotplug)
    // interfaces(5): meant for an interface that the root is behind.
    let kept = Set(file.allowed.filter { $0.group == "no-auto-down" }.map(\.name))
    return file.interfaces.filter { $0.family == "inet" }.map {
      Interface(
        name: $0.name, method: $0.method, onBoot: auto.contains($0.name),
        automatic: (auto.contains($0.name) || hotplug.contains($0.name)) && !kept.contains($0.name),
        hasGateway: $0.value("gateway") != nil, place: "\($0.file):\($0.line)")
    }
  }

  /// From ifupdown 0.7 on it works with ip(8): `inet manual` raises and lowers the link, where it did nothing before (S-43;
  /// lab h2), and a static address or default route that is there already is an error, where ifconfig(8) minded nothing.
  func ifupdownUsesIP(_ tree: MemoryFileTree) -> Bool {
    packageVersion("ifupdown", tree).map { !($0 < KernelVersion("0.7")) } ?? true
  }

  struct MountLine {
    var mount: FstabMount
    var network: Bool
    var pass: Int
  }

  /// The lines of fstab that init mounts.
  func fstabMounts(_ tree: MemoryFileTree, systemd: Bool) -> [MountLine] {
    let path = "/etc/fstab"
    guard let file = read(Fstab.self, path, tree) else { return [] }
    return file.entries.compactMap { entry in
      if case .other = entry.source { return nil }
      guard entry.isMountedAtBoot, !entry.has("bind"), !entry.has("rbind"),
        !(systemd && entry.mountPoint == "/"), !Self.virtual.contains(entry.type)
      else { return nil }
      return MountLine(
        mount: FstabMount(
          device: RootName(entry.specification), mountPoint: entry.mountPoint, type: entry.type,
          optional: entry.has("nofail"),
          // remote-fs.target is wanted, not required, and has no OnFailure=; local-fs.target starts emergency.target.
          complaint: systemd && entry.isNetwork ? "[FAILED] Failed to mount \(entry.mountPoint)." : nil,
          wait: systemd ? Window(.seconds(90)) : nil, line: entry.line),
        network: entry.isNetwork, pass: entry.pass)
    }
  }

  /// File systems without a device.
  private static let virtual: Set<String> = [
    "proc", "sysfs", "devpts", "tmpfs", "usbfs", "usbdevfs", "subfs",
  ]

  struct Record {
    var login: Login
    var startup: String
    var timers: ISCSITimers
  }

  /// open-iscsi's node records.
  func nodeRecords(_ tree: MemoryFileTree) -> [Record] {
    let initiator = read(InitiatorName.self, "/etc/iscsi/initiatorname.iscsi", tree)?.name
    return NodeRecord.find(in: tree).map { found in
      let record = read(found.record)
      let auth = record.credentials
      return Record(
        login: Login(
          initiator: initiator, target: found.target, portal: "\(found.address):\(found.port)",
          chap: auth.username.map { Credentials(username: $0, password: auth.password ?? "") }),
        startup: record.startup, timers: record.timers)
    }
  }

  /// The timers of a session: iscsistart's until iscsid takes the session over, then those of its record, else of
  /// iscsid.conf, as they were at that moment.
  func timers(of target: Int, _ s: MachineState) -> ISCSITimers {
    guard s.iscsi.timersTree > 0 else { return recoversByItself(s) ? ISCSITimers() : .iscsistart }
    return library.parsed("timers \(target) \(s.iscsi.timersTree)") {
      let tree = library.files(s.iscsi.timersTree - 1).tree
      let record = nodeRecords(tree).first { isRecord($0, of: target) }
      return record?.timers ?? read(IscsidConf.self, "/etc/iscsi/iscsid.conf", tree)?.timers ?? ISCSITimers()
    }
  }

  func isRecord(_ record: Record, of target: Int) -> Bool {
    let spec = scenario.targets[target]
    return record.login.target == spec.iqn
      && Self.fullPortal(record.login.portal) == Self.fullPortal(spec.portal)
  }

  /// node.session.timeo.replacement_timeout; negative: for ever.
  func recoverySeconds(of target: Int, _ s: MachineState) -> Int64 {
    Int64(timers(of: target, s).replacementTimeout)
  }

  func recoveryTimeout(of target: Int, _ s: MachineState) -> Window? {
    if recoversByItself(s) {
      let seconds = read(LinuxISCSIConfig.self, "/etc/iscsi.conf", tree(s))?.seconds("ConnFailTimeout") ?? 0
      return seconds > 0 ? Window(.seconds(Int64(seconds))) : nil
    }
    let seconds = recoverySeconds(of: target, s)
    return seconds < 0 ? nil : Window(.seconds(seconds))
  }

  /// What scripts read of adapters below /sys: which interfaces there are, and their hardware addresses.
  func networkInSysfs(_ path: String) -> ShellFileAnswer {
    let interfaces = scenario.machine.nics
    if path == "/sys/class/net" { return .node(.directory((interfaces.map(\.interface) + ["lo"]).sorted())) }
    guard let rest = path.dropping("/sys/class/net/") else { return .tree }
    let parts = TreePath.parts(rest)
    guard let nic = interfaces.first(where: { $0.interface == parts.first }) else { return .absent }
    switch parts.dropFirst().first {
    case nil: return .node(.directory(["address"]))
    case "address": return .node(.file(Array("\(nic.mac)\n".utf8)))
    default: return .unknown
    }
  }

  // MARK: - fstab at boot

  func executeMounts(
    _ entries: [FstabMount], part: String, timedOut: Bool, _ s: inout MachineState, _ out: inout Out
  ) -> Flow {
    for entry in entries {
      if let flow = mount(entry, part: part, timedOut: timedOut, &s, &out) { return flow }
    }
    return .next(Pace.about(150))
  }

  /// One of them: nil when it is mounted or the boot goes on without it.
  private func mount(
    _ entry: FstabMount, part: String, timedOut: Bool, _ s: inout MachineState, _ out: inout Out
  ) -> Flow? {
    if let place = resolve(entry.device, s) {
      let type = place.partition?.fileSystem
      let fits =
        type != nil
        && (entry.type == "auto" || type == entry.type
          || (type?.hasPrefix("ext") == true && entry.type.hasPrefix("ext")))
      if fits,
        place.partition?.holds == nil || place.partition?.holds == entry.mountPoint
          || place.partition?.holds == "/" && entry.mountPoint == "/"
      {
        return nil
      }
      if entry.optional { return nil }
      say(
        "kernel",
        "\(driver(of: entry.type)): VFS: Can't find \(entry.type) filesystem on \(entry.device.text)", &out)
      return mountFails(
        .fstabDeviceRenamed, entry,
        "/etc/fstab:\(entry.line) mounts \(entry.device.text) on \(entry.mountPoint), and that is "
          + "\(inventory.disks[place.disk].name) this time", [.letter(place.disk)], part, &s, &out)
    }
    if entry.optional { return nil }
    if let wait = entry.wait, !timedOut { return .wait(wait) }
    let finding: Finding.Code =
      if case .node = entry.device { .fstabDeviceRenamed } else { .fstabDeviceMissing }
    return mountFails(
      finding, entry,
      "/etc/fstab:\(entry.line) mounts \(entry.device.text) on \(entry.mountPoint), and there is no such device",
      inventory.disks.indices.filter { deviceName($0, s) != nil }.map { .letter($0) }, part, &s, &out)
  }

  private func mountFails(
    _ finding: Finding.Code, _ entry: FstabMount, _ sentence: String, _ facts: [Fact], _ part: String,
    _ s: inout MachineState, _ out: inout Out
  ) -> Flow? {
    if let complaint = entry.complaint {
      say(part, complaint, &out)
      explain(part, sentence + "; the boot goes on without it", because: facts, to: &out)
      return nil
    }
    if part == "systemd" {
      say(part, "[FAILED] Failed to mount \(entry.mountPoint).", &out)
      say(part, "You are in emergency mode. After logging in, type \"journalctl -xb\" to view", &out)
    } else {
      say(part, "*** An error occurred during the file system check.", &out)
      say(part, "Give root password for maintenance", &out)
    }
    dead(finding, .`init`, because: facts + [.root], sentence, &s, &out)
    return .stop
  }
}
