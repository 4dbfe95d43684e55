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
    var place: String
  }

  /// /etc/network/interfaces (and what it includes).
  func interfaces(_ tree: MemoryFileTree) -> [Interface] {
    var auto: Set<String> = [], hot: Set<String> = [], found: [Interface] = []
    for (i, l) in (tree.text("/etc/network/interfaces") ?? "").split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
      let w = l.split(whereSeparator: { $0 == " " || $0 == "\t" }).map(String.init)
      if w.first == "auto" { auto.formUnion(w.dropFirst()) }
      if w.first == "allow-hotplug" { hot.formUnion(w.dropFirst()) }
      if w.first == "iface", w.count >= 4 { found.append(Interface(name: w[1], method: w[3], onBoot: false, automatic: false, place: "/etc/network/interfaces:\(i + 1)")) }
    }
    return found.map { var e = $0; e.onBoot = auto.contains(e.name); e.automatic = e.onBoot || hot.contains(e.name); return e }
  }

  /// From ifupdown 0.7 on `inet manual` raises and lowers the link; before, it did nothing (S-43; lab h2).
  func manualMovesLink(_ tree: MemoryFileTree) -> Bool {
    packageVersion("ifupdown", tree).map { !($0 < KernelVersion("0.7")) } ?? true
  }

  struct MountLine {
    var mount: FstabMount
    var network: Bool
    var pass: Int
  }

  /// The lines of fstab that init mounts.
  func fstabMounts(_ tree: MemoryFileTree, systemd: Bool) -> [MountLine] {
    var out: [MountLine] = []
    for (i, l) in (tree.text("/etc/fstab") ?? "").split(separator: "\n", omittingEmptySubsequences: false).enumerated() where !l.hasPrefix("#") {
      let w = l.split(whereSeparator: { $0 == " " || $0 == "\t" }).map(String.init)
      guard w.count >= 4 else { continue }
      let options = w[3].split(separator: ",").map(String.init)
      let virtual = ["proc", "sysfs", "devpts", "tmpfs", "usbfs", "swap", "usbdevfs", "subfs"].contains(w[2])
      if virtual || options.contains("noauto") || (systemd && w[1] == "/") { continue }
      out.append(MountLine(
        mount: FstabMount(device: RootName(w[0]), mountPoint: w[1], type: w[2], optional: options.contains("nofail"), wait: systemd ? Window(.seconds(90)) : nil, line: i + 1),
        network: options.contains("_netdev"), pass: w.count > 5 ? Int(w[5]) ?? 0 : 0))
    }
    return out
  }

  struct Record {
    var login: Login
    var startup: String
    var replacementTimeout: Int64?
  }

  func nodeRecords(_ tree: MemoryFileTree) -> [Record] {
    var out: [Record] = []
    for base in ["/etc/iscsi/nodes", "/var/lib/iscsi/nodes"] {
      for iqn in tree.list(base) {
        for portal in tree.list("\(base)/\(iqn)") {
          let path = "\(base)/\(iqn)/\(portal)"
          let files = tree.isDirectory(path) ? tree.list(path).map { "\(path)/\($0)" } : [path]
          for file in files {
            var values: [String: String] = [:]
            for line in (tree.text(file) ?? "").split(separator: "\n") {
              let w = line.split(separator: "=", maxSplits: 1).map { $0.trimmed }
              if w.count == 2 { values[w[0]] = w[1] }
            }
            let parts = portal.split(separator: ",").map(String.init)
            let user = values["node.session.auth.username"]
            out.append(Record(
              login: Login(initiator: nil, target: iqn, portal: parts.prefix(2).joined(separator: ":"), chap: user.map { Credentials(username: $0, password: values["node.session.auth.password"] ?? "") }),
              startup: values["node.startup"] ?? "manual", replacementTimeout: values["node.session.timeo.replacement_timeout"].flatMap { Int64($0) }))
          }
        }
      }
    }
    return out
  }

  /// node.session.timeo.replacement_timeout: of the record, else of iscsid.conf, else 120; negative: for ever.
  func recoverySeconds(_ s: MachineState) -> Int64 {
    let tree = tree(s)
    if let value = nodeRecords(tree).lazy.compactMap(\.replacementTimeout).first { return value }
    for line in (tree.text("/etc/iscsi/iscsid.conf") ?? "").split(separator: "\n") where !line.hasPrefix("#") {
      let w = line.split(separator: "=", maxSplits: 1).map { $0.trimmed }
      if w.count == 2, w[0] == "node.session.timeo.replacement_timeout", let value = Int64(w[1]) { return value }
    }
    return 120
  }

  func recoveryTimeout(_ s: MachineState) -> Window? {
    if recoversByItself(s) { return nil }
    let seconds = recoverySeconds(s)
    return seconds < 0 ? nil : Window(.seconds(seconds))
  }

  // MARK: - fstab at boot

  func executeMount(_ entry: FstabMount, failTo: Int, part: String, timedOut: Bool, _ s: inout MachineState, _ out: inout Out) -> Flow {
    let next = Pace.about(150)
    if let place = resolve(entry.device, s) {
      let type = place.partition?.fileSystem
      let fits = type != nil && (entry.type == "auto" || type == entry.type || (type?.hasPrefix("ext") == true && entry.type.hasPrefix("ext")))
      if fits, place.partition?.holds == nil || place.partition?.holds == entry.mountPoint || place.partition?.holds == "/" && entry.mountPoint == "/" {
        return .next(next)
      }
      if entry.optional { return .next(next) }
      say("kernel", "EXT4-fs: VFS: Can't find \(entry.type) filesystem on \(entry.device.text)", &out)
      return mountFails(.fstabDeviceRenamed, entry, "/etc/fstab:\(entry.line) mounts \(entry.device.text) on \(entry.mountPoint), and that is "
        + "\(inventory.disks[place.disk].name) this time", [.letter(place.disk)], part, &s, &out)
    }
    if entry.optional { return .next(next) }
    if let wait = entry.wait, !timedOut { return .wait(wait) }
    let finding: Finding.Code = if case .node = entry.device { .fstabDeviceRenamed } else { .fstabDeviceMissing }
    return mountFails(finding, entry, "/etc/fstab:\(entry.line) mounts \(entry.device.text) on \(entry.mountPoint), and there is no such device",
      inventory.disks.indices.filter { deviceName($0, s) != nil }.map { .letter($0) }, part, &s, &out)
  }

  private func mountFails(
    _ finding: Finding.Code, _ entry: FstabMount, _ sentence: String, _ facts: [Fact], _ part: String, _ s: inout MachineState, _ out: inout Out
  ) -> Flow {
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

extension Substring {
  var trimmed: String {
    var text = self
    while let first = text.first, first.isWhitespace { text.removeFirst() }
    while let last = text.last, last.isWhitespace { text.removeLast() }
    return String(text)
  }
}
