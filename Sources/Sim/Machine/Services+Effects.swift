import LinuxConfig

/// What single commands do to interfaces, firewall, sessions, file systems and power.
extension CommandCompiler {
  // MARK: - Network

  mutating func interfacesDown(_ words: [String], _ place: String) {
    let wanted = words.filter { !$0.hasPrefix("-") }
    let all = words.contains("-a") || words.contains("--all")
    for entry in model.interfaces(tree)
    where (all && entry.automatic || wanted.contains(entry.name)) && entry.name != "lo" {
      let notRaised = ops.label()
      let says =
        "\(place): ifdown takes \(entry.name) down (\(entry.place): iface \(entry.name) inet \(entry.method))"
      switch entry.method {
      case "dhcp":
        ops.add(.say("DHCPRELEASE of \(entry.name)"))
        ops.add(.link(interface: entry.name, up: false, says: says))
      case "manual" where !model.ifupdownUsesIP(tree):
        ops.add(
          .tell(
            "\(place): ifdown of \(entry.name) does nothing: its method is manual (\(entry.place))",
            because: []))
        continue
      default:
        ops.add(.unlessRaised(interface: entry.name, notRaised))
        ops.add(.link(interface: entry.name, up: false, says: says))
      }
      let end = ops.label()
      ops.add(
        .read(
          "/etc/network/if-post-down.d/\(entry.name)",
          says: "run-parts: failed to open directory /etc/network/if-post-down.d: Input/output error",
          failTo: end))
      ops.place(end)
      ops.place(notRaised)
    }
  }

  mutating func interfacesUp(_ words: [String], _ place: String) {
    let (wanted, all) = ifupNames(words)
    let hotplug = words.contains("--allow=hotplug")
    for entry in model.interfaces(tree)
    where (all && (entry.onBoot || hotplug && entry.automatic) || wanted?.contains(entry.name) == true)
      && entry.name != "lo"
    {
      switch entry.method {
      case "dhcp": dhclient(entry.name, entry.place)
      case "static":
        let fails = ops.label()
        if entry.hasGateway, model.ifupdownUsesIP(tree) {
          ops.add(.raiseStatic(interface: entry.name, place: entry.place, failTo: fails))
        }
        ops.add(.link(interface: entry.name, up: true, says: "ifup raises \(entry.name)"))
        ops.add(
          .setAddress(interface: entry.name, says: "\(entry.place): \(entry.name) gets its static address"))
        ops.place(fails)
      case "manual" where !model.ifupdownUsesIP(tree): break
      default: ops.add(.link(interface: entry.name, up: true, says: "ifup raises \(entry.name)"))
      }
    }
  }

  /// dhclient calls its script with PREINIT, asks, then calls it with BOUND: what the script does in between decides whether the root lives.
  mutating func dhclient(_ interface: String, _ place: String) {
    ops.add(.say("DHCPDISCOVER on \(interface)"))
    let path = ["/sbin/dhclient-script", "/etc/dhclient-script"].first { tree.exists($0) }
    if let path { dhclientScript(path, interface, "PREINIT") }
    let end = ops.label()
    guard model.scenario.network.dhcp else {
      ops.add(.waitInVain(Pace.about(60_000)))
      ops.add(.say("No DHCPOFFERS received."))
      return ops.place(end)
    }
    ops.add(.pause(Pace.between(500, 3000, seen: 1000)))
    if let path {
      ops.add(.say("DHCPACK on \(interface)"))
      dhclientScript(path, interface, "BOUND")
    } else {
      ops.add(.configure(interface: interface, .dhcp, limit: Pace.about(60_000), failTo: end))
    }
    ops.place(end)
  }

  mutating func dhclientScript(_ path: String, _ interface: String, _ reason: String) {
    guard nesting < 8, let text = tree.text(path) else { return }
    nesting += 1
    var interpreter = ShellInterpreter(tree: tree, delegate: self)
    let run = interpreter.run(
      ShellScript.parse(text, file: path), file: path,
      environment: [
        "reason": reason, "interface": interface, "new_ip_address": "10.0.2.15",
        "new_subnet_mask": "255.255.255.0",
      ])
    self = interpreter.delegate
    nesting -= 1
    for note in run.notLookedAt { model.library.notLooked(note.description) }
  }

  mutating func ifconfig(_ words: [String], _ place: String) {
    guard let interface = words.first, interface != "lo" else { return }
    let rest = words.dropFirst()
    if rest.contains("down") {
      ops.add(.link(interface: interface, up: false, says: "\(place): ifconfig takes \(interface) down"))
    } else if rest.contains("0") || rest.contains("0.0.0.0") {
      ops.add(
        .dropAddress(interface: interface, says: "\(place): ifconfig takes the address of \(interface) away"))
    } else if rest.contains(where: { $0.contains(".") }) {
      ops.add(.setAddress(interface: interface, says: "\(place): ifconfig gives \(interface) its address"))
    } else if rest.contains("up") {
      ops.add(.link(interface: interface, up: true, says: "\(place): ifconfig raises \(interface)"))
    }
  }

  mutating func ip(_ words: [String], _ place: String) {
    let plain = words.filter { !$0.hasPrefix("-") }
    guard let object = plain.first, plain.count >= 2 else { return }
    let names = model.scenario.machine.nics.map(\.interface)
    guard let interface = plain.first(where: { names.contains($0) }) else { return }
    switch object {
    case "link", "l":
      if plain.contains("down") {
        ops.add(.link(interface: interface, up: false, says: "\(place): ip takes \(interface) down"))
      } else if plain.contains("up") {
        ops.add(.link(interface: interface, up: true, says: "\(place): ip raises \(interface)"))
      }
    case "addr", "address", "a":
      if plain.contains("flush") || plain.contains("del") {
        guard !words.contains("label") else { return }
        ops.add(
          .dropAddress(interface: interface, says: "\(place): ip takes the address of \(interface) away"))
      } else if plain.contains("add") || plain.contains("replace") {
        ops.add(.setAddress(interface: interface, says: "\(place): ip gives \(interface) its address"))
      }
    default: break
    }
  }

  // MARK: - Firewall

  mutating func iptables(_ words: [String], _ place: String) {
    firewall.apply(words)
    let drops = firewall.drops(model.scenario)
    guard drops != firewallDrops else { return }
    firewallDrops = drops
    ops.add(
      .firewall(
        drops: drops, cuts: firewall.cuts(model.scenario),
        says: "\(place): iptables " + words.joined(separator: " ")
          + (drops.isEmpty ? " lets the targets' packets through" : " drops packets of the targets")))
  }

  /// All rules at once; a running connection is picked up where ESTABLISHED is let in (nf_conntrack_tcp_loose, lab s8c).
  mutating func iptablesRestore(_ text: String?, _ place: String) {
    guard let text else { return }
    var rules = FirewallRules()
    var isFilter = true
    for line in text.split(separator: "\n") {
      let words = line.split(separator: " ").map(String.init)
      if line.hasPrefix("*") { isFilter = line == "*filter" }
      guard isFilter, let first = words.first else { continue }
      if first.hasPrefix(":"), words.count > 1 {
        rules.apply(["-P", String(first.dropFirst()), words[1]])
      } else if first.hasPrefix("-") {
        rules.apply(words)
      }
    }
    firewall = rules
    firewallDrops = rules.drops(model.scenario)
    ops.add(
      .firewall(
        drops: rules.drops(model.scenario), cuts: rules.cuts(model.scenario),
        says: "\(place): iptables-restore loads its rules"))
  }

  // MARK: - Sessions

  mutating func iscsiadm(_ words: [String], _ place: String) {
    func value(_ names: String...) -> String? {
      for (index, word) in words.enumerated() {
        if names.contains(word), words.indices.contains(index + 1) { return words[index + 1] }
        for name in names where name.hasPrefix("--") {
          if let value = word.dropping(name + "=") { return value }
        }
      }
      return nil
    }
    // It begins by speaking to iscsid (usr/mgmt_ipc.c), whose socket may be systemd's.
    if model.hasSystemd(tree) {
      for command in model.commandsBehindSocket("iscsid.service", tree) {
        line(command.text, from: command.place)
      }
    }
    let named = value("-T", "--targetname", "--target")
    let records = model.nodeRecords(tree).filter { named == nil || $0.login.target == named }
    if let mode = value("-U", "--logoutall") {
      let names = Self.startingWith(mode, records).map(\.login.target)
      if !names.isEmpty {
        ops.add(
          .logout(of: names, says: "\(place): iscsiadm logs out of the sessions of its records (\(mode))"))
      }
    } else if let mode = value("-L", "--loginall") {
      ops.add(.loginNodes(Self.startingWith(mode, records).map(\.login)))
    } else if words.contains("-u") || words.contains("--logout") {
      if value("-m", "--mode") == "session" {
        ops.add(.logout(says: "\(place): iscsiadm logs out of every session, the root's too"))
      } else if !records.isEmpty {
        ops.add(
          .logout(
            of: records.map(\.login.target),
            says: "\(place): iscsiadm logs out of the sessions that it has records of"))
      }
    } else if words.contains("-l") || words.contains("--login") {
      ops.add(.loginNodes(records.map(\.login)))
    }
  }

  /// The records that `--loginall` and `--logoutall` mean: never those that something else sees to on boot
  /// (usr/iscsiadm.c, match_startup_mode).
  private static func startingWith(_ mode: String, _ records: [MachineModel.Record]) -> [MachineModel.Record]
  {
    records.filter { $0.startup != "onboot" && (mode == "all" || $0.startup == mode) }
  }

  // MARK: - File systems and power

  /// How long a command writes files: installing packages, copying, or `dd` to a file.
  static func writing(_ name: String, _ words: [String]) -> Window? {
    switch name {
    case "dpkg", "rpm":
      let installs = words.contains { ["-i", "--install", "--configure", "-U", "-Uvh", "-ivh"].contains($0) }
      return installs ? Pace.between(10_000, 40_000, seen: 20_000) : nil
    case "apt-get", "aptitude", "apt", "yum", "up2date", "zypper", "rug":
      let acts: Set = ["install", "upgrade", "dist-upgrade", "full-upgrade", "safe-upgrade", "update", "-u"]
      guard words.contains(where: acts.contains) else { return nil }
      return Pace.between(60_000, 240_000, seen: 120_000)
    default: return nil
    }
  }

  mutating func writeFiles(_ length: Window, _ says: String) {
    ops.add(.writeFiles(length, says: says))
    ops.add(.endWriting)
  }

  mutating func mount(_ words: [String], _ place: String) {
    let options = words.joined(separator: ",").split(separator: ",").map(String.init)
    if options.contains("remount") {
      guard words.contains("/") else { return }
      let end = ops.label()
      ops.add(.remountRoot(readWrite: !options.contains("ro"), failTo: end))
      ops.place(end)
    } else if words.contains("-a") {
      let noNetwork = options.contains("no_netdev") || options.contains("nonetwork")
      // A mount that fails is a line on the console; what stops a boot is fsck before it.
      mountAll(
        model.fstabMounts(tree, systemd: false).filter { !(noNetwork && $0.network) }.map { line in
          var line = line
          line.mount.complaint = "mount: \(line.mount.mountPoint): can't mount \(line.mount.device.text)"
          return line
        })
    }
  }

  mutating func fsck(_ words: [String], _ place: String) {
    guard words.contains(where: { $0.hasPrefix("-") && !$0.hasPrefix("--") && $0.contains("A") }) else {
      return
    }
    mountAll(model.fstabMounts(tree, systemd: false).filter { $0.pass > 0 && !$0.network })
  }

  private mutating func mountAll(_ lines: [MachineModel.MountLine]) {
    if !lines.isEmpty { ops.add(.mountEntries(lines.map(\.mount))) }
  }

  mutating func halt(_ name: String, _ words: [String], _ text: String) {
    let flags = words.filter { $0.hasPrefix("-") && !$0.hasPrefix("--") }.joined()
    guard !flags.contains("w") else { return }
    ops.add(
      .halt(
        HaltRequest(
          interfacesDown: flags.contains("i"), sync: !flags.contains("n"), reboot: name == "reboot",
          commandLine: text)))
  }
}
