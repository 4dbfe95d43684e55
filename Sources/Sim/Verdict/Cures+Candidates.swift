import LinuxConfig

extension Cures {
  /// Edits worth trying, the least invasive first.
  func candidates() -> [Candidate] {
    [stableRoot(), stableFstab(), stableRootAndFstab(), optionalMounts()].compactMap { $0 }
      + ubuntuEdits() + initiatorEdits() + credentialEdits() + networkEdits() + haltEdits() + daemonEdits()
      + dataEdits() + suseEdits() + dracutEdits() + hardwareEdits()
  }

  // MARK: - Names of disks

  static let menus = ["/boot/grub/grub.cfg", "/boot/grub/menu.lst", "/boot/grub/grub.conf"]

  private var rootPartition: PartitionSpec? { partition(holding: "/") }

  private func partition(holding directory: String) -> PartitionSpec? {
    Inventory(scenario).disks.lazy.flatMap(\.content.partitions).first { $0.holds == directory }
  }

  /// "UUID=…", or "LABEL=…" for systems whose initrd knows only that (RHEL 4) or file systems without a UUID.
  private func stableName(_ partition: PartitionSpec) -> String? {
    if let label = partition.label, partition.uuid == nil || scenario.files.exists("/etc/redhat-release") {
      return "LABEL=\(label)"
    }
    return partition.uuid.map { "UUID=\($0)" }
  }

  private func stableRoot() -> Candidate? {
    guard let root = rootPartition, let name = stableName(root) else { return nil }
    return edit("name the root by \(name.prefix { $0 != "=" }) in the boot menu", files: Self.menus) { line in
      let words = line.split(separator: " ", omittingEmptySubsequences: false)
      guard words.contains(where: { $0.hasPrefix("root=") && $0 != "root=\(name)" }) else { return nil }
      return words.map { $0.hasPrefix("root=") ? "root=\(name)" : String($0) }.joined(separator: " ")
    }
  }

  private func stableFstab() -> Candidate? {
    edit("name file systems by UUID or LABEL in fstab", files: ["/etc/fstab"]) { line in
      let words = line.split(whereSeparator: { $0 == " " || $0 == "\t" }).map(String.init)
      guard words.count >= 4, words[0].hasPrefix("/dev/"), let part = partition(holding: words[1]),
        let name = stableName(part)
      else { return nil }
      return ([name] + words.dropFirst()).joined(separator: " ")
    }
  }

  private func stableRootAndFstab() -> Candidate? {
    guard let root = stableRoot(), let fstab = stableFstab() else { return nil }
    return Candidate(
      title: "name the root and the other file systems by UUID or LABEL", edits: root.edits + fstab.edits,
      apply: { scenario in
        root.apply(&scenario)
        fstab.apply(&scenario)
      })
  }

  /// What the boot does not need may be missing.
  private func optionalMounts() -> Candidate? {
    edit("let the boot go on without file systems that are not the system's own", files: ["/etc/fstab"]) {
      line in
      let words = line.split(whereSeparator: { $0 == " " || $0 == "\t" }).map(String.init)
      guard words.count >= 4, words[0].hasPrefix("/dev/"), partition(holding: words[1]) == nil,
        words[1].hasPrefix("/"),
        !words[3].contains("nofail")
      else { return nil }
      return ([words[0], words[1], words[2], words[3] + ",nofail"] + words.dropFirst(4)).joined(
        separator: " ")
    }
  }

  // MARK: - The initramfs

  private func initiatorEdits() -> [Candidate] {
    var found: [Candidate] = []
    if scenario.files.exists("/etc/initramfs-tools") {
      let script = scenario.files.text("/usr/share/initramfs-tools/scripts/local-top/iscsi")
      if scenario.files.text("/etc/iscsi/iscsi.initramfs")?.contains("ISCSI_AUTO") != true,
        script?.contains("ISCSI_AUTO") ?? true
      {
        found.append(
          replace(
            "/etc/iscsi/iscsi.initramfs", with: "ISCSI_AUTO=true\n",
            "let the initramfs take the target from the iBFT"))
      }
      let conf = "/etc/initramfs-tools/conf.d/open-iscsi"
      if scenario.files.text(conf)?.contains("NO_ISCSI_IN_INITRAMFS") == true {
        found.append(remove([conf], "let the initiator into the initramfs"))
      }
      for nic in scenario.machine.nics where nic.cable {
        let path = "/etc/initramfs-tools/modules"
        let text = scenario.files.text(path) ?? ""
        if !text.contains(nic.driver) {
          found.append(append(nic.driver, to: path, "put the adapter's driver into the initramfs"))
        }
      }
    }
    if let line = edit(
      "put adapter and initiator into INITRD_MODULES", files: ["/etc/sysconfig/kernel"],
      change: { line in
        guard line.hasPrefix("INITRD_MODULES=\"") else { return nil }
        let missing = (scenario.machine.nics.map(\.driver) + ["iscsi"]).filter { !line.contains($0) }
        guard !missing.isEmpty, let end = line.lastIndex(of: "\"") else { return nil }
        return line[..<end] + " " + missing.joined(separator: " ") + "\""
      })
    {
      found.append(line)
    }
    return found
  }

  private func credentialEdits() -> [Candidate] {
    var found: [Candidate] = []
    for target in scenario.targets {
      if let chap = target.chap {
        if scenario.files.exists("/etc/SuSE-release") {
          if let lines = secretInLinuxrc(chap) { found.append(lines) }
        } else if scenario.files.exists("/etc/iscsi.conf") {
          found.append(
            append(
              "Username=\(chap.username)\nPassword=\(chap.password)", to: "/etc/iscsi.conf",
              "give the initiator the CHAP name and secret"))
        }
        if let menu = edit(
          "give the CHAP name and secret on the kernel line", files: Self.menus,
          change: { line in
            let word = line.split(whereSeparator: { $0 == " " || $0 == "\t" }).first
            guard word == "linux" || word == "kernel", line.contains("iscsi_target_name="),
              !line.contains("iscsi_username=")
            else { return nil }
            return line + " iscsi_username=\(chap.username) iscsi_password=\(chap.password)"
          })
        {
          found.append(menu)
        }
        for index in scenario.machine.nics.indices {
          guard let rom = scenario.machine.nics[index].optionROM, rom.target == target.iqn, rom.chap != chap
          else { continue }
          found.append(
            Candidate(
              title:
                "give the option ROM of \(scenario.machine.nics[index].name) the target's CHAP name and secret",
              edits: [
                Edit(
                  place: "machine.nics[\(index)].optionROM.chap", line: nil, old: nil,
                  new: "{ username: \(chap.username), … }")
              ],
              apply: { $0.machine.nics[index].optionROM?.chap = chap }))
        }
      }
      if let admitted = target.acl?.first {
        for path in ["/etc/initiatorname.iscsi", "/etc/iscsi/initiatorname.iscsi"] {
          if let name = edit(
            "use the initiator name that the target admits", files: [path],
            change: { line in
              line.hasPrefix("InitiatorName=") && line != "InitiatorName=\(admitted)"
                ? "InitiatorName=\(admitted)" : nil
            })
          {
            found.append(name)
          }
        }
      }
      if let limit = target.maxSessions,
        let index = scenario.targets.firstIndex(where: { $0.iqn == target.iqn })
      {
        found.append(
          Candidate(
            title: "let the target admit a second session",
            edits: [
              Edit(
                place: "targets[\(index)].maxSessions", line: nil, old: String(limit), new: String(limit + 1))
            ],
            apply: { $0.targets[index].maxSessions = limit + 1 }))
      }
    }
    return found
  }

  // MARK: - Network and shutdown

  private func networkEdits() -> [Candidate] {
    var found: [Candidate] = []
    let names = scenario.machine.nics.map(\.interface)
    if let interfaces = edit(
      "leave the interface out of /etc/network/interfaces", files: ["/etc/network/interfaces"],
      change: { line in
        let words = line.split(whereSeparator: { $0 == " " || $0 == "\t" }).map(String.init)
        guard let keyword = words.first, ["auto", "iface", "allow-hotplug"].contains(keyword),
          words.dropFirst().contains(where: names.contains)
        else { return nil }
        return "# " + line
      })
    {
      found.append(interfaces)
    }
    if let manual = edit(
      "let ifup leave the interface alone (inet manual)", files: ["/etc/network/interfaces"],
      change: { line in
        let words = line.split(whereSeparator: { $0 == " " || $0 == "\t" }).map(String.init)
        guard words.count == 4, words[0] == "iface", names.contains(words[1]), words[3] != "manual" else {
          return nil
        }
        return "iface \(words[1]) inet manual"
      })
    {
      found.append(manual)
    }
    let links = RunlevelLinks.read(from: scenario.files).value
    let stops = ["0", "6"].flatMap { links.order($0) }.filter { ["networking", "network"].contains($0.name) }
    if !stops.isEmpty { found.append(remove(stops.map(\.path), "do not stop the network at shutdown")) }
    return found
  }

  private func haltEdits() -> [Candidate] {
    var found: [Candidate] = []
    if let arguments = edit(
      "leave the interfaces up when halting", files: ["/etc/init.d/halt", "/etc/rc.d/init.d/halt"],
      change: { line in
        guard line.contains("HALTARGS=") || line.contains("halt "), line.contains("-i") else { return nil }
        let words = line.split(separator: " ", omittingEmptySubsequences: false).map(String.init)
        let kept = words.filter { $0 != "-i" }.map { $0.hasSuffix("\"-i") ? String($0.dropLast(2)) : $0 }
        return kept.joined(separator: " ").replacingFirst("\" -", with: "\"-")
      })
    {
      found.append(arguments)
    }
    if scenario.files.exists("/etc/default/halt") {
      if let netdown = edit(
        "leave the interfaces up when halting (NETDOWN=no)", files: ["/etc/default/halt"],
        change: { line in
          line.hasPrefix("NETDOWN=") && line != "NETDOWN=no" ? "NETDOWN=no" : nil
        })
      {
        found.append(netdown)
      }
    }
    let links = RunlevelLinks.read(from: scenario.files).value
    for link in ["0", "6"].flatMap({ links.order($0) }) {
      guard let script = link.script, let text = scenario.files.text(script) else { continue }
      let logsOut = text.split(separator: "\n").contains {
        $0.contains("iscsiadm") && ($0.contains("--logoutall=all") || $0.contains(" -u"))
      }
      let takesDown = text.split(separator: "\n").contains {
        $0.contains("ip link set") && $0.contains("down")
      }
      if logsOut || takesDown { found.append(remove([link.path], "do not run \(link.fileName) at shutdown")) }
    }
    return found
  }

  private func daemonEdits() -> [Candidate] {
    var found: [Candidate] = []
    let scripts = ["/etc/rc.local", "/etc/init.d/boot.local", "/etc/rc.d/rc.local"]
    if let kills = edit(
      "leave iscsid running", files: scripts,
      change: { line in
        line.contains("iscsid") && line.contains("kill") ? "# " + line : nil
      })
    {
      found.append(kills)
    }
    if let timeout = edit(
      "give the session more time to recover", files: ["/etc/iscsi/iscsid.conf"],
      change: { line in
        line.hasPrefix("node.session.timeo.replacement_timeout") && !line.hasSuffix("86400")
          ? "node.session.timeo.replacement_timeout = 86400" : nil
      })
    {
      found.append(timeout)
    }
    return found
  }

  // MARK: - Hardware

  private func hardwareEdits() -> [Candidate] {
    var found: [Candidate] = []
    let order = scenario.machine.bootOrder
    let adapters = scenario.machine.nics.filter { $0.optionROM != nil }.map(\.name)
    let wanted = adapters + order.filter { !adapters.contains($0) }
    if wanted != order {
      found.append(
        Candidate(
          title: "put the iSCSI adapter first in the boot order",
          edits: [
            Edit(
              place: "machine.firmware.bootOrder", line: nil, old: order.joined(separator: ", "),
              new: wanted.joined(separator: ", "))
          ],
          apply: { $0.machine.bootOrder = wanted }))
    }
    for (index, disk) in scenario.machine.disks.enumerated() where disk.bus == .usb && disk.attached {
      found.append(
        Candidate(
          title: "take \(disk.name) out before the machine starts",
          edits: [Edit(place: "\(disk.name) (USB)", line: nil, old: "attached", new: "not attached")],
          apply: { $0.machine.disks[index].attached = false }))
    }
    return found
  }

  // MARK: - Edits of files

  /// Changes lines of the first of the files that exist; nil where no line changes.
  func edit(_ title: String, files: [String], change: (String) -> String?) -> Candidate? {
    var edits: [Edit] = []
    var texts: [(path: String, text: String)] = []
    for name in files {
      // A file that is reached by two names is edited once.
      guard case .found(let path, .file) = scenario.files.resolve(name),
        !texts.contains(where: { $0.path == path }), let text = scenario.files.text(path)
      else { continue }
      var lines = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
      var changed = false
      for index in lines.indices {
        guard let new = change(lines[index]) else { continue }
        edits.append(Edit(place: path, line: index + 1, old: lines[index], new: new))
        lines[index] = new
        changed = true
      }
      if changed { texts.append((path, lines.joined(separator: "\n"))) }
    }
    guard !edits.isEmpty else { return nil }
    return Candidate(title: title, edits: edits) { scenario in
      for (path, text) in texts { scenario.files.write(text, to: path) }
    }
  }

  private func append(_ line: String, to path: String, _ title: String) -> Candidate {
    let text = scenario.files.text(path) ?? ""
    let count = text.split(separator: "\n", omittingEmptySubsequences: false).count
    let separator = text.isEmpty || text.hasSuffix("\n") ? "" : "\n"
    return Candidate(title: title, edits: [Edit(place: path, line: count + 1, old: nil, new: line)]) {
      $0.files.write(text + separator + line + "\n", to: path)
    }
  }

  func replace(_ path: String, with text: String, _ title: String) -> Candidate {
    let old = scenario.files.text(path)
    return Candidate(
      title: title,
      edits: [Edit(place: path, line: 1, old: old, new: text.split(separator: "\n").joined(separator: "\n"))]
    ) {
      $0.files.write(text, to: path)
    }
  }

  private func remove(_ paths: [String], _ title: String) -> Candidate {
    Candidate(title: title, edits: paths.map { Edit(place: $0, line: nil, old: "(exists)", new: nil) }) {
      scenario in
      for path in paths { scenario.files[path] = nil }
    }
  }
}

extension String {
  /// The first occurrence of a text replaced.
  fileprivate func replacingFirst(_ old: String, with new: String) -> String {
    var rest = self[...]
    while !rest.isEmpty {
      if rest.hasPrefix(old) {
        return String(self[..<rest.startIndex]) + new + String(rest.dropFirst(old.count))
      }
      rest.removeFirst()
    }
    return self
  }
}
