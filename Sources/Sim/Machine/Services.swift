import LinuxConfig

/// Turns the commands of scripts and units into instructions: what each does to interfaces, sessions, file systems and power.
///
/// Commands that touch none of these are run by nobody; those that do are first read from the disk.
struct CommandCompiler: ShellDelegate {
  let model: MachineModel
  let tree: MemoryFileTree
  var ops = OpList()
  /// Rules that the commands so far have set.
  private var firewall = FirewallRules()
  private var nesting = 0
  /// Other commands seen, so that each is read once.
  private var readBefore: Set<String> = []
  /// Filters that the interpreter computes itself.
  private static let computed: Set<String> = [
    "cat", "grep", "sed", "awk", "basename", "dirname", "expr", "ls", "head", "tail", "cut", "tr", "sort",
    "uname", "id", "which",
  ]

  init(model: MachineModel, tree: MemoryFileTree) {
    self.model = model
    self.tree = tree
  }

  /// What has been compiled so far; the next script starts with an empty list and the same firewall.
  mutating func take() -> [Op] {
    defer { ops = OpList() }
    return ops.finished
  }

  // MARK: - Scripts

  /// Runs a script of the tree with an argument, as `rc` does; its own text has to be read first.
  mutating func script(_ path: String, _ argument: String, unreadable: String) {
    let end = ops.label()
    ops.add(.read(path, says: unreadable, failTo: end))
    interpret(path, [argument])
    ops.place(end)
  }

  mutating func interpret(_ path: String, _ arguments: [String]) {
    guard nesting < 8, let text = tree.text(path) else { return }
    nesting += 1
    var interpreter = ShellInterpreter(tree: tree, delegate: self)
    let run = interpreter.run(
      ShellScript.parse(text, file: path), file: path, arguments: arguments,
      environment: ["PATH": "/sbin:/bin:/usr/sbin:/usr/bin"])
    self = interpreter.delegate
    nesting -= 1
    for note in run.notLookedAt { model.library.notLooked(note.description) }
  }

  /// A command line of a unit or of the story.
  mutating func line(_ text: String, from place: String) {
    var interpreter = ShellInterpreter(tree: tree, delegate: self)
    _ = interpreter.run(ShellScript.parse(text, file: place), file: place)
    self = interpreter.delegate
  }

  // MARK: - Questions

  mutating func file(_ path: String) -> ShellFileAnswer {
    switch path {
    case "/proc/mounts", "/etc/mtab":
      return .node(.file(Array("/dev/root / ext4 rw 0 0\n".utf8)))
    case "/sys/class/iscsi_session":
      return .node(.directory(["session1"]))
    case "/sys/class/iscsi_session/session1", "/run/sendsigs.omit.d", "/sys/class", "/run/network":
      return .node(.directory([]))
    case "/run/network/ifstate":
      return .node(.file(Array("lo=lo\n".utf8)))
    case "/run/iscsid.pid", "/var/run/iscsid.pid":
      return .node(.file(Array("<iscsid>\n".utf8)))
    case "/run/sendsigs.omit.d/iscsid.pid":
      return .unknown
    default:
      if let name = path.dropping("/var/lock/subsys/") {
        return started(name) ? .node(.file([])) : .absent
      }
      return path.hasPrefix("/proc/") || path.hasPrefix("/sys/") ? .absent : .tree
    }
  }

  /// A service that the default runlevel starts has its lock file.
  private func started(_ name: String) -> Bool {
    ["/etc/rc.d", "/etc"].contains { base in
      (2...5).contains { level in
        tree.list("\(base)/rc\(level).d").contains { $0.hasPrefix("S") && $0.dropFirst(3) == name }
      }
    }
  }

  // MARK: - Commands

  mutating func run(_ call: ShellCall) -> ShellOutcome? {
    guard let full = call.name else { return nil }
    let name = TreePath.name(full)
    let words = call.arguments.map { $0.known ?? "?" }
    if name.hasPrefix("log_") || ["action", "echo_warning", "log"].contains(name) {
      let text = words.joined(separator: " ")
      if name.contains("msg") || name == "action" {
        ops.add(.say(text + (name.contains("warning") ? " ... (warning)." : "")))
      }
      return ShellOutcome(.zero)
    }
    // A unit's or the story's command has its place already.
    let place = call.file.contains(":") || call.file == "story" ? call.file : "\(call.file):\(call.line)"
    switch name {
    case "ifdown": effect(call) { $0.interfacesDown(words, place) }
    case "ifup": effect(call) { $0.interfacesUp(words, place) }
    case "ifconfig": effect(call) { $0.ifconfig(words, place) }
    case "ip": effect(call) { $0.ip(words, place) }
    case "dhclient", "dhclient3":
      effect(call) { compiler in
        let interface = words.last { !$0.hasPrefix("-") } ?? "eth0"
        if words.contains("-r") {
          compiler.ops.add(
            .dropAddress(
              interface: interface, says: "\(place): dhclient gives the address of \(interface) back"))
        } else {
          compiler.dhclient(interface, place)
        }
      }
    case "iscsiadm": effect(call) { $0.iscsiadm(words, place) }
    case "logout-all.sh":
      effect(call) {
        $0.ops.add(.logout(keepRoot: true, says: "\(place): sessions other than the root's are logged out"))
      }
    case "iscsid": effect(call) { $0.ops.add(.startDaemon) }
    case "start-stop-daemon", "daemon", "startproc":
      guard words.contains(where: { $0.contains("iscsid") }) else { return ShellOutcome(.zero) }
      let stop = words.contains { $0 == "--stop" || $0 == "-K" }
      effect(call) { $0.ops.add(stop ? .stopDaemon(says: "\(place): iscsid is stopped") : .startDaemon) }
    case "pidof":
      return ShellOutcome(.zero, output: words.contains("iscsid") ? "<iscsid>" : "")
    case "kill", "killall", "pkill", "killproc":
      guard words.contains(where: { $0.contains("iscsid") }), !words.contains("-0") else {
        return ShellOutcome(.zero)
      }
      effect(call) { $0.ops.add(.stopDaemon(says: "\(place): `\(call.text)` kills iscsid")) }
    case "ln" where words.contains(where: { $0.contains("sendsigs.omit.d") }):
      ops.add(.spareDaemon)
    case "killall5":
      // Other signals than TERM and KILL only ask or wake.
      guard words.allSatisfy({ !$0.hasPrefix("-") || ["-15", "-9", "-TERM", "-KILL", "-o"].contains($0) })
      else { return ShellOutcome(.nonzero) }
      effect(call) { $0.ops.add(.killAll) }
    case "mountpoint":
      let path = words.last ?? "/"
      return ShellOutcome(path == "/" || model.inventory.heldDirectories.contains(path) ? .zero : .nonzero)
    case "startup-checks.sh":
      return ShellOutcome(.zero)
    case "uname" where words.contains("-r"):
      let kernel = tree.list("/boot").first { $0.hasPrefix("vmlinuz-") }
      return kernel.map { ShellOutcome(.zero, output: ShellValue(MachineModel.version(ofKernel: $0))) }
    case "mount": effect(call) { $0.mount(words, place) }
    case "umount": effect(call) { _ in }
    case "fsck": effect(call) { $0.fsck(words, place) }
    case "sync": effect(call) { $0.ops.add(.sync) }
    case "sleep", "usleep":
      let length = Int64(words.first ?? "") ?? 1
      ops.add(.pause(Window(.milliseconds(name == "sleep" ? length * 1000 : length / 1000))))
    case "iptables": effect(call) { $0.iptables(words, place) }
    case "iptables-restore": effect(call) { $0.iptablesRestore(call.input?.known, place) }
    case "halt", "poweroff", "reboot": effect(call) { $0.halt(name, words, call.text) }
    case "modprobe", "insmod":
      let modules = words.filter { !$0.hasPrefix("-") }.map { TreePath.name($0) }
      ops.add(.modules(modules))
    case "udevadm", "udevtrigger", "hotplug":
      if words.first == "trigger" || name != "udevadm" { ops.add(.modules(model.hardwareDrivers)) }
    case "service", "invoke-rc.d":
      if words.count >= 2 { service(words[0], words[1], call) }
    case "systemctl":
      let units = words.filter { !$0.hasPrefix("-") }
      for unit in units.dropFirst() {
        service(unit.hasSuffix(".service") ? String(unit.dropLast(8)) : unit, units[0], call)
      }
    case "grub-install":
      effect(call) { compiler in
        guard let device = words.last(where: { !$0.hasPrefix("-") }) else { return }
        let legacy = !compiler.tree.exists("/boot/grub/grub.cfg")
        compiler.ops.add(
          .installGrub(
            node: device, GrubInstallation(legacy: legacy, embedded: true, prefix: nil, searchUUID: nil),
            says: "\(place): \(call.text)"))
      }
    default:
      if let service = initScript(full), let action = words.first {
        interpret(service, [action])
        return ShellOutcome(.zero)
      }
      // Of other commands only one thing matters: they, too, have to be read from the disk.
      if !call.isCaptured, !Self.computed.contains(name), readBefore.insert(name).inserted {
        effect(call) { _ in }
      }
      return nil
    }
    return ShellOutcome(.zero)
  }

  /// A command with an effect: its program has to be read; where that fails the script goes on with the next one.
  private mutating func effect(_ call: ShellCall, _ body: (inout CommandCompiler) -> Void) {
    let end = ops.label()
    let name = call.name ?? "?"
    ops.add(
      .read(TreePath.name(name), says: "\(call.file): \(call.line): \(name): Input/output error", failTo: end)
    )
    body(&self)
    ops.place(end)
  }

  private func initScript(_ path: String) -> String? {
    (path.hasPrefix("/etc/init.d/") || path.hasPrefix("/etc/rc.d/init.d/")) && tree.exists(path) ? path : nil
  }

  /// What `service` and `systemctl` do: the script, or the unit's own commands.
  mutating func service(_ name: String, _ action: String, _ call: ShellCall) {
    for path in ["/etc/init.d/\(name)", "/etc/rc.d/init.d/\(name)"]
    where tree.exists(path) && !model.hasSystemd(tree) {
      return script(path, action, unreadable: "\(path): Input/output error")
    }
    let commands = model.unitCommands("\(name).service", tree)
    if action == "stop" || action == "restart" {
      for command in commands.stop { line(command.text, from: command.place) }
    }
    if action == "start" || action == "restart" {
      for command in commands.start { line(command.text, from: command.place) }
    }
    if name == "iscsid", action == "stop" || action == "restart" {
      ops.add(.stopDaemon(says: "\(call.file): iscsid is stopped"))
      if action == "restart" { ops.add(.startDaemon) }
    }
  }

  // MARK: - Network

  private mutating func interfacesDown(_ words: [String], _ place: String) {
    let wanted = words.filter { !$0.hasPrefix("-") }
    let all = words.contains("-a") || words.contains("--all")
    for entry in model.interfaces(tree)
    where (all && entry.automatic || wanted.contains(entry.name)) && entry.name != "lo" {
      let says =
        "\(place): ifdown takes \(entry.name) down (\(entry.place): iface \(entry.name) inet \(entry.method))"
      switch entry.method {
      case "dhcp":
        ops.add(.say("DHCPRELEASE of \(entry.name)"))
        ops.add(.link(interface: entry.name, up: false, says: says))
      case "manual" where !model.manualMovesLink(tree):
        ops.add(
          .tell(
            "\(place): ifdown of \(entry.name) does nothing: its method is manual (\(entry.place))",
            because: []))
        continue
      default:
        ops.add(.link(interface: entry.name, up: false, says: says))
      }
      let end = ops.label()
      ops.add(
        .read(
          "/etc/network/if-post-down.d/\(entry.name)",
          says: "run-parts: failed to open directory /etc/network/if-post-down.d: Input/output error",
          failTo: end))
      ops.place(end)
    }
  }

  private mutating func interfacesUp(_ words: [String], _ place: String) {
    let wanted = words.filter { !$0.hasPrefix("-") }
    let all = words.contains("-a") || words.contains("--all")
    let hotplug = words.contains("--allow=hotplug")
    for entry in model.interfaces(tree)
    where (all && (entry.onBoot || hotplug && entry.automatic) || wanted.contains(entry.name))
      && entry.name != "lo"
    {
      switch entry.method {
      case "dhcp": dhclient(entry.name, entry.place)
      case "static":
        ops.add(.link(interface: entry.name, up: true, says: "ifup raises \(entry.name)"))
        ops.add(
          .setAddress(interface: entry.name, says: "\(entry.place): \(entry.name) gets its static address"))
      case "manual" where !model.manualMovesLink(tree): break
      default: ops.add(.link(interface: entry.name, up: true, says: "ifup raises \(entry.name)"))
      }
    }
  }

  /// dhclient calls its script with PREINIT, asks, then calls it with BOUND: what the script does in between decides whether the root lives.
  private mutating func dhclient(_ interface: String, _ place: String) {
    ops.add(.say("DHCPDISCOVER on \(interface)"))
    let path = ["/sbin/dhclient-script", "/etc/dhclient-script"].first { tree.exists($0) }
    if let path { dhclientScript(path, interface, "PREINIT") }
    let end = ops.label()
    ops.add(.pause(Pace.between(500, 3000, seen: 1000)))
    if let path {
      ops.add(.say("DHCPACK on \(interface)"))
      dhclientScript(path, interface, "BOUND")
    } else {
      ops.add(.configure(interface: interface, .dhcp, limit: Pace.about(60_000), failTo: end))
    }
    ops.place(end)
  }

  private mutating func dhclientScript(_ path: String, _ interface: String, _ reason: String) {
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

  private mutating func ifconfig(_ words: [String], _ place: String) {
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

  private mutating func ip(_ words: [String], _ place: String) {
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

  private mutating func iptables(_ words: [String], _ place: String) {
    firewall.apply(words)
    ops.add(
      .firewall(
        firewall.lets(model.scenario) ? .accept : .drop,
        says: "\(place): iptables " + words.joined(separator: " ")
          + (firewall.lets(model.scenario) ? " lets" : " keeps") + " the target's packets "
          + (firewall.lets(model.scenario) ? "in" : "out")))
  }

  /// All rules at once; a running connection is picked up where ESTABLISHED is let in (nf_conntrack_tcp_loose, lab s8c).
  private mutating func iptablesRestore(_ text: String?, _ place: String) {
    guard let text else { return }
    var rules = FirewallRules()
    for line in text.split(separator: "\n") {
      if line.hasPrefix(":INPUT") {
        rules.apply([
          "-P", "INPUT", line.split(separator: " ").dropFirst().first.map(String.init) ?? "ACCEPT",
        ])
      }
      if line.hasPrefix("-A") { rules.apply(line.split(separator: " ").map(String.init)) }
    }
    firewall = rules
    ops.add(
      .firewall(
        rules.lets(model.scenario) ? .accept : .drop, says: "\(place): iptables-restore loads its rules"))
  }

  // MARK: - Sessions

  private mutating func iscsiadm(_ words: [String], _ place: String) {
    let records = model.nodeRecords(tree)
    if let all = words.lazy.compactMap({ $0.dropping("--logoutall=") }).first {
      let chosen = all == "automatic" ? records.filter { $0.startup == "automatic" } : records
      if !chosen.isEmpty {
        ops.add(
          .logout(
            keepRoot: false, says: "\(place): iscsiadm logs out of every session of the records (\(all))"))
      }
    } else if words.contains("-u") || words.contains("--logout") || words.contains("-U") {
      if words.contains("session") || !records.isEmpty {
        ops.add(
          .logout(keepRoot: false, says: "\(place): iscsiadm logs out of every session, the root's too"))
      }
    } else if words.contains(where: { $0.hasPrefix("--loginall") }) || words.contains("-L") {
      let chosen = words.contains("--loginall=all") ? records : records.filter { $0.startup == "automatic" }
      ops.add(.loginNodes(chosen.map(\.login)))
    } else if words.contains("-l") || words.contains("--login") {
      ops.add(.loginNodes(records.map(\.login)))
    }
  }

  // MARK: - File systems and power

  private mutating func mount(_ words: [String], _ place: String) {
    let options = words.joined(separator: ",").split(separator: ",").map(String.init)
    if options.contains("remount") {
      guard words.contains("/") else { return }
      let end = ops.label()
      ops.add(.remountRoot(readWrite: !options.contains("ro"), failTo: end))
      ops.place(end)
    } else if words.contains("-a") {
      let noNetwork = options.contains("no_netdev") || options.contains("nonetwork")
      for entry in model.fstabMounts(tree, systemd: false) where !(noNetwork && entry.network) {
        ops.add(.mountEntry(entry.mount, failTo: ops.count + 1))
      }
    }
  }

  private mutating func fsck(_ words: [String], _ place: String) {
    guard words.contains(where: { $0.hasPrefix("-") && !$0.hasPrefix("--") && $0.contains("A") }) else {
      return
    }
    for entry in model.fstabMounts(tree, systemd: false) where entry.pass > 0 && !entry.network {
      ops.add(.mountEntry(entry.mount, failTo: ops.count + 1))
    }
  }

  private mutating func halt(_ name: String, _ words: [String], _ text: String) {
    let flags = words.filter { $0.hasPrefix("-") && !$0.hasPrefix("--") }.joined()
    guard !flags.contains("w") else { return }
    ops.add(
      .halt(
        HaltRequest(
          interfacesDown: flags.contains("i"), sync: !flags.contains("n"), reboot: name == "reboot",
          commandLine: text)))
  }
}

/// What netfilter's INPUT chain lets in, as far as the target's packets go.
struct FirewallRules: Sendable {
  private var policyDrops = false
  private var rules: [[String]] = []

  /// One iptables command's arguments.
  mutating func apply(_ words: [String]) {
    guard !words.contains("-t") || words.contains("filter") else { return }
    let chain = words.firstIndex(of: "INPUT")
    switch words.first {
    case "-P" where chain == 1: policyDrops = words.count > 2 && words[2] == "DROP"
    case "-F": rules = []
    case "-A" where chain == 1: rules.append(Array(words.dropFirst(2)))
    case "-I" where chain == 1: rules.insert(Array(words.dropFirst(2)), at: 0)
    case "-D" where chain == 1: rules.removeAll { $0 == Array(words.dropFirst(2)) }
    default: break
    }
  }

  /// Do packets of an established connection from the targets' portals get in?
  func lets(_ scenario: Scenario) -> Bool {
    for rule in rules where matches(rule, scenario) {
      guard let jump = rule.firstIndex(of: "-j"), rule.indices.contains(jump + 1) else { continue }
      switch rule[jump + 1] {
      case "ACCEPT": return true
      case "DROP", "REJECT": return false
      default: continue
      }
    }
    return !policyDrops
  }

  private func matches(_ rule: [String], _ scenario: Scenario) -> Bool {
    func value(_ names: String...) -> String? {
      rule.indices.first { names.contains(rule[$0]) && rule.indices.contains($0 + 1) }.map { rule[$0 + 1] }
    }
    let ports = scenario.targets.map {
      $0.portal.split(separator: ":").dropFirst().first.map(String.init) ?? "3260"
    }
    let hosts = scenario.targets.map { MachineModel.host($0.portal) }
    if let interface = value("-i", "--in-interface"),
      !scenario.machine.nics.contains(where: { $0.interface == interface })
    {
      return false
    }
    if let proto = value("-p", "--protocol"), proto != "tcp", proto != "all" { return false }
    if let port = value("--sport", "--source-port"), !ports.contains(port) { return false }
    if let source = value("-s", "--source"),
      !hosts.contains(source.split(separator: "/").first.map(String.init) ?? source)
    {
      return false
    }
    if value("--dport", "--destination-port") != nil { return false }
    if let state = value("--state", "--ctstate"), !state.contains("ESTABLISHED") { return false }
    return true
  }
}
