import LinuxConfig

/// Turns the commands of scripts and units into instructions: what each does to interfaces, sessions, file systems and power.
///
/// Commands that touch none of these are run by nobody; those that do are first read from the disk.
struct CommandCompiler: ShellDelegate {
  let model: MachineModel
  /// The system's files, with what scripts have written into its configuration so far.
  var tree: MemoryFileTree
  /// For what a story types: the files that its commands change. Scripts that run by themselves leave them as they are.
  var typed: TypedFiles?
  var ops = OpList()
  /// Rules that the commands so far have set.
  var firewall = FirewallRules()
  /// What the last command here let the firewall drop; nil: no command here has touched it.
  var firewallDrops: Set64?
  var nesting = 0
  /// What init gives to its scripts (RUNLEVEL).
  var environment: [String: String] = [:]
  /// Services whose lock file is in /var/lock/subsys; nil: not a system whose `rc` looks for them.
  var locks: Set<String>?
  /// Directories that images were opened in, with the images' keys.
  var openedImages: [String: String] = [:]
  /// What the story answers to programs that ask.
  var answers: [String: String] = [:]
  /// What the commands so far tell Upstart.
  var events: [UpstartJob.Event] = []
  /// Other commands seen, so that each is read once.
  private var readBefore: Set<String> = []
  /// Filters that the interpreter computes itself.
  static let computed: Set<String> = [
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
    if ops.count > Program.opLimit {
      model.library.notLooked(
        "more than \(Program.opLimit) instructions come from one script or unit; the rest is left out")
    }
    return ops.finished
  }

  mutating func takeEvents() -> [UpstartJob.Event] {
    defer { events = [] }
    return events
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
      environment: environment.merging(["PATH": "/sbin:/bin:/usr/sbin:/usr/bin"]) { own, _ in own })
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
    case "/etc/mtab" where model.hasRedHatInit(tree):
      return .node(.file(Array(model.mtab(tree).utf8)))
    case "/proc/mounts", "/etc/mtab":
      return .node(.file(Array("/dev/root / ext4 rw 0 0\n".utf8)))
    case "/sys/class/iscsi_session":
      return .node(.directory(["session1"]))
    case "/sys/class/iscsi_session/session1", "/run/sendsigs.omit.d", "/sys", "/sys/class", "/run/network":
      return .node(.directory([]))
    case "/run/systemd", "/run/systemd/system":
      // sd_booted(3)
      return model.hasSystemd(tree) ? .node(.directory([])) : .absent
    case "/run/network/ifstate":
      return .node(.file(Array("lo=lo\n".utf8)))
    case "/run/iscsid.pid", "/var/run/iscsid.pid":
      return .node(.file(Array("<iscsid>\n".utf8)))
    case "/run/sendsigs.omit.d/iscsid.pid":
      return .unknown
    default:
      if let name = path.dropping("/var/lock/subsys/") {
        if let locks { return locks.contains(name) ? .node(.file([])) : .absent }
        return started(name) ? .node(.file([])) : .absent
      }
      if path.hasPrefix("/sys/class/net") { return model.networkInSysfs(path) }
      return path.hasPrefix("/proc/") || path.hasPrefix("/sys/") ? .absent : typedFile(path)
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

  /// Configuration that a script of the boot writes is there for those that run after it.
  mutating func wroteByItself(_ write: ShellWrite) {
    guard let path = write.path.known, path.hasPrefix("/etc/"), let text = write.text.known else { return }
    tree.write((write.appends ? tree.text(path) ?? "" : "") + text, to: path)
  }

  // MARK: - Commands

  mutating func run(_ call: ShellCall) -> ShellOutcome? {
    lockFiles(call)
    if let outcome = runTyped(call) { return outcome }
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
    if let length = Self.writing(name, words) {
      effect(call) { $0.writeFiles(length, "\(place): `\(call.text)` writes files") }
    }
    switch name {
    case "ifdown" where programScript(full) == nil: effect(call) { $0.interfacesDown(words, place) }
    case "ifup" where programScript(full) == nil:
      effect(call) { $0.interfacesUp(words, place) }
      ifupTellsInit(words)
    case "initctl", "telinit": tellInit(name, words)
    case "rc" where full == "/etc/init.d/rc": runlevel(words.first ?? "2")
    case "rcS" where full == "/etc/init.d/rcS": runlevel("S")
    case "NetworkManager": effect(call) { $0.networkManager(place) }
    case "systemd-networkd": effect(call) { $0.networkd(place) }
    case "ifconfig": effect(call) { $0.ifconfig(words, place) }
    case "ip": effect(call) { $0.ip(words, place) }
    case "dhcpcd":
      effect(call) { compiler in
        let end = compiler.ops.label()
        compiler.ops.add(
          .configure(
            interface: words.last { !$0.hasPrefix("-") }, .dhcp, limit: Pace.about(60_000), failTo: end))
        compiler.ops.place(end)
      }
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
      if words.contains(where: { TreePath.name($0) == "NetworkManager" }), words.contains("--start") {
        effect(call) { $0.networkManager(place) }
        return ShellOutcome(.zero)
      }
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
      let pause = Window(.milliseconds(Self.milliseconds(words, unit: name == "sleep" ? 1_000_000 : 1)))
      // A program like any other: behind a firewall that has just cut off the disk, it cannot be read (lab s8a).
      guard readBefore.insert(name).inserted else {
        ops.add(.pause(pause))
        break
      }
      effect(call) { $0.ops.add(.pause(pause)) }
    case "iptables": effect(call) { $0.iptables(words, place) }
    case "iptables-restore":
      let named = words.last.flatMap { $0.hasPrefix("-") ? nil : tree.text($0) }
      effect(call) { $0.iptablesRestore(call.input?.known ?? named, place) }
    case "kudzu": effect(call) { $0.kudzu(place) }
    case "halt", "poweroff", "reboot": effect(call) { $0.halt(name, words, call.text) }
    case "modprobe", "insmod":
      // Others drive nothing of this machine, and need nothing but to be read.
      let modules = words.filter { !$0.hasPrefix("-") }.map { TreePath.name($0) }
        .filter { model.moduleBit($0) != nil }
      if modules.isEmpty { effect(call) { _ in } } else { ops.add(.modules(modules)) }
    case "udevadm", "udevtrigger", "hotplug":
      if words.first == "trigger" || name != "udevadm" {
        ops.add(.modules(model.hardwareDrivers))
        udevFindsInterfaces()
      }
    case "service", "invoke-rc.d":
      if words.count >= 2 { service(words[0], words[1], call) }
    case "systemctl":
      let units = words.filter { !$0.hasPrefix("-") }
      for unit in units.dropFirst() {
        service(unit.hasSuffix(".service") ? String(unit.dropLast(8)) : unit, units[0], call)
      }
    case "sg_persist":
      guard let request = ReservationRequest(words), let node = words.last, node.hasPrefix("/dev/") else {
        return ShellOutcome(.zero)
      }
      effect(call) { $0.ops.add(.reservation(request, node: node)) }
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
      if let script = typedScript(full, call.directory) {
        interpret(script, words)
        return ShellOutcome(.zero)
      }
      if let script = programScript(full) {
        effect(call) { $0.interpret(script, words) }
        return ShellOutcome(.zero)
      }
      // Of other commands only one thing matters: they, too, have to be read from the disk.
      if !call.isCaptured, !Self.computed.contains(name) { effect(call) { _ in } }
      return nil
    }
    return ShellOutcome(.zero)
  }

  /// A command with an effect: its program has to be read; where that fails the script goes on with the next one.
  mutating func effect(_ call: ShellCall, _ body: (inout CommandCompiler) -> Void) {
    let name = TreePath.name(call.name ?? "?")
    let start = ops.count
    let end = ops.label()
    ops.add(.read(name, says: "\(call.file): \(call.line): \(name): Input/output error", failTo: end))
    body(&self)
    // A command that changed nothing is only read, and once in memory not even that.
    if ops.count == start + 1, !readBefore.insert(name).inserted { ops.removeLast() }
    ops.place(end)
  }

  /// The arguments of `sleep`: numbers with a fraction and s, m, h or d, added up; "infinity".
  private static func milliseconds(_ words: [String], unit: Double) -> Int64 {
    var sum = 0.0
    for word in words {
      if word.lowercased().hasPrefix("inf") { return Pace.milliseconds(ofSeconds: .max) }
      let factors: [Character: Double] = ["s": 1, "m": 60, "h": 3600, "d": 86400]
      let factor = word.last.flatMap { factors[$0] }
      sum += (Double(factor == nil ? word : String(word.dropLast())) ?? 0) * (factor ?? 1)
    }
    return Int64(max(0, min(sum * unit / 1000, 1e12)))
  }

  /// A program that is a script in the tree: SUSE's ifup and ifdown, YaST's stages.
  private func programScript(_ name: String) -> String? {
    let places =
      name.hasPrefix("/") ? [name] : ["/sbin", "/usr/sbin", "/bin", "/usr/bin"].map { "\($0)/\(name)" }
    return places.first { tree.text($0)?.hasPrefix("#!") == true }
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
    if name == "systemd-networkd", ["start", "stop", "restart"].contains(action) {
      return networkdService(action, call.file)
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
}
