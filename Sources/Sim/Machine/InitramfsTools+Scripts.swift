import LinuxConfig

/// The initramfs of initramfs-tools as its own scripts run it: what their commands do becomes instructions.
extension MachineModel {
  /// /init: the modules that are loaded by name, the directories of scripts in their order, the root, and its init (initramfs-tools(8)).
  func scriptedInitramfsOps(_ image: InitramfsImage, _ selection: BootSelection) -> [Op] {
    var shell = InitramfsShell(self, image, selection)
    shell.ops.add(.say("Loading, please wait..."))
    shell.ops.add(.pause(Pace.about(1000)))
    shell.directory("/scripts/init-top")
    shell.ops.add(.say("Begin: Loading essential drivers..."))
    for module in image.ordered { shell.load([module]) }
    shell.ops.add(.pause(Pace.about(200)))
    shell.directory("/scripts/init-premount")
    shell.ops.add(.say("Begin: Mounting root file system..."))
    shell.mountRoot()
    shell.directory("/scripts/init-bottom")
    shell.ops.add(.switchRoot(initPath: "/sbin/init"))
    return shell.ops.finished
  }
}

/// Runs scripts of an image.
///
/// Commands that fail at run time leave the script where the real one ends too: an interface without an address has no
/// `/tmp/net-DEVICE.conf`, and `.` of a missing file ends a script of dash.
struct InitramfsShell: ShellDelegate {
  let model: MachineModel
  let image: InitramfsImage
  let commandLine: KernelCommandLine
  let files: MemoryFileTree
  var ops = OpList()
  /// Interfaces that have been configured by now, unless the script has ended before.
  private var configured: Set<String> = []
  private var runsUdev = false
  private var callsInitiator = false
  /// Where the running script ends.
  private var scriptEnd = 0
  private var nesting = 0

  init(_ model: MachineModel, _ image: InitramfsImage, _ selection: BootSelection) {
    self.model = model
    self.image = image
    commandLine = KernelCommandLine(selection.commandLine)
    var files = image.files
    if !image.hasInitiator { files.remove("/sbin/iscsistart") }
    self.files = files
  }

  // MARK: - Scripts

  mutating func directory(_ path: String) {
    for script in InitramfsScripts.inOrder(path, of: files, model: model) {
      run(script)
      ops.add(.pause(Pace.about(100)))
    }
  }

  /// `. /scripts/local` and its `mountroot`; what an image without it does is the same with today's figure.
  mutating func mountRoot() {
    let path = "/scripts/local"
    if files.isFile(path) {
      run(text: ". \(path)\nmountroot\n", file: path)
    } else {
      localTop()
      waitForRoot(seconds: Int64(commandLine.last("rootdelay") ?? "") ?? 30)
      ops.add(.mountRoot(root))
    }
  }

  private var root: RootName { model.rootName(commandLine.text) }

  private mutating func localTop() {
    ops.add(.say("Begin: Running /scripts/local-top ..."))
    directory("/scripts/local-top")
    guard !callsInitiator else { return }
    if files.isFile("/sbin/iscsistart") {
      ops.add(.noteProblem(.noParameters, because: missingParameters))
    } else {
      ops.add(.noteProblem(.noInitiator, because: image.remarks.first))
    }
  }

  /// What neither the kernel line nor the file in the image gives.
  private var missingParameters: String? {
    let file = model.read(IscsiInitramfs.self, "/etc/iscsi.initramfs", files)
    let given = ISCSIRootParameters.merge(commandLine: commandLine, initramfs: file).value
    let missing = [
      given.targetName == nil ? "ISCSI_TARGET_NAME" : nil,
      given.targetAddresses.isEmpty ? "ISCSI_TARGET_IP" : nil,
    ].compactMap { $0 }
    return missing.isEmpty
      ? nil
      : "/scripts/local-top/iscsi leaves without a login, \(missing.joined(separator: " and ")) is empty"
  }

  private mutating func waitForRoot(seconds: Int64) {
    let wait = Pace.milliseconds(ofSeconds: seconds)
    ops.add(.startRootWait(Pace.between(wait, wait + 1500, seen: wait + 500)))
    ops.add(.waitRoot(root))
  }

  /// A script that is called at the prompt.
  mutating func byHand(_ path: String) -> [Op] {
    run(path)
    defer { ops = OpList() }
    return ops.finished
  }

  private mutating func run(_ path: String) {
    guard let text = files.text(path) else { return }
    run(text: text, file: path)
  }

  private mutating func run(text: String, file: String) {
    guard nesting < 8 else { return }
    nesting += 1
    let outer = scriptEnd
    scriptEnd = ops.label()
    var shell = ShellInterpreter(tree: files, delegate: self)
    shell.endsAtMissingFile = true
    let run = shell.run(ShellScript.parse(text, file: file), file: file, environment: environment)
    self = shell.delegate
    ops.place(scriptEnd)
    scriptEnd = outer
    nesting -= 1
    for note in run.notLookedAt { model.library.notLooked(note.description) }
  }

  /// What /init exports, and what the kernel handed to it.
  private var environment: [String: String] {
    var all = [
      "PATH": "/usr/bin:/sbin:/bin", "rootmnt": "/root", "IPOPTS": commandLine.last("ip") ?? "",
      "ROOT": root.text, "ROOTDELAY": commandLine.last("rootdelay") ?? "",
    ]
    for variable in MachineModel.initEnvironment(commandLine) where all[variable.name] == nil {
      all[variable.name] = variable.value
    }
    return all
  }

  // MARK: - Questions

  mutating func file(_ path: String) -> ShellFileAnswer {
    switch path {
    case "/proc/cmdline": return .node(.file(Array((commandLine.text + "\n").utf8)))
    case "/dev/.udev", "/dev/.udev/queue": return runsUdev ? .node(.directory([])) : .absent
    case "/tmp": return .node(.directory(configured.sorted().map { "net-\($0).conf" }))
    default:
      guard let name = path.dropping("/tmp/net-"), name.hasSuffix(".conf") else { return .tree }
      let device = String(name.dropLast(5))
      return configured.contains(device) ? .node(.file(Array("DEVICE=\(device)\n".utf8))) : .absent
    }
  }

  // MARK: - Commands

  mutating func run(_ call: ShellCall) -> ShellOutcome? {
    guard let name = call.name.map(TreePath.name) else { return nil }
    let words = call.arguments.map { $0.known ?? "?" }
    switch name {
    case "log_begin_msg", "log_success_msg", "log_failure_msg", "log_warning_msg", "log_daemon_msg":
      ops.add(.say(words.joined(separator: " ")))
    case "log_end_msg", "maybe_break", "usplash_write", "mount", "panic":
      if name == "mount", words.contains("/root") { ops.add(.mountRoot(root)) }
    case "run_scripts":
      guard let path = words.first else { return ShellOutcome(.nonzero) }
      if path == "/scripts/local-top" { localTop() } else { directory(path) }
    case "wait-for-root": waitForRoot(seconds: words.last.flatMap { Int64($0) } ?? 30)
    case "modprobe", "insmod": return load(words.filter { !$0.hasPrefix("-") })
    case "udevd": runsUdev = true
    case "udevadm", "udevtrigger", "udevsettle": udev(name, words)
    case "ipconfig": ipconfig(words, "\(call.file):\(call.line)")
    case "iscsistart": iscsistart(words)
    case "sleep":
      ops.add(.pause(Window(.milliseconds(Pace.milliseconds(ofSeconds: Int64(words.first ?? "") ?? 0)))))
    default: return nil
    }
    return ShellOutcome(.zero)
  }

  /// modprobe: the module and what it needs, as far as the image has them.
  @discardableResult mutating func load(_ modules: [String]) -> ShellOutcome {
    let there = Set(image.available.map(KernelModules.normalized))
    for module in modules {
      if there.contains(KernelModules.normalized(module)) {
        ops.add(
          .modules(
            InitramfsModuleTable.closure(of: [module]).filter {
              there.contains(KernelModules.normalized($0))
            }))
      } else {
        ops.add(.say("FATAL: Module \(module) not found."))
        return ShellOutcome(.nonzero)
      }
    }
    return ShellOutcome(.zero)
  }

  private mutating func udev(_ name: String, _ words: [String]) {
    if name == "udevtrigger" || words.first == "trigger" {
      guard runsUdev else { return }
      let initiators = KernelModules.initiators
      ops.add(
        .coldplug(
          image.available.filter { !initiators.contains(KernelModules.normalized($0)) },
          Pace.between(1000, 4000, seen: 2000)))
    } else if name == "udevsettle" || words.first == "settle" {
      let limit = words.lazy.compactMap { $0.dropping("--timeout=").flatMap { Int64($0) } }.first ?? 180
      ops.add(.settle(limit: Window(.milliseconds(Pace.milliseconds(ofSeconds: limit)))))
    }
  }

  /// klibc's ipconfig: `-c` protocol, `-t` seconds, `-d` an interface or `ip=`'s settings; without an interface it ends at once.
  private mutating func ipconfig(_ words: [String], _ place: String) {
    var rest = words[...]
    var seconds: Int64?
    var what = ""
    while let word = rest.popFirst() {
      switch word {
      case "-t": seconds = rest.popFirst().flatMap { Int64($0) }
      case "-c", "-p", "-i": _ = rest.popFirst()
      case "-d": what = rest.popFirst() ?? ""
      case "-n": break
      default: what = word
      }
    }
    let parameter = what.contains(":") ? IPParameter(what) : nil
    let device = parameter.map { $0.device ?? "" } ?? what
    let interface = ["", "all"].contains(device) ? nil : device
    let isFixed = parameter?.client != nil
    let wait = Pace.milliseconds(ofSeconds: seconds ?? .max)
    ops.add(.stage(.initramfsNetwork))
    ops.add(.findInterface(interface, place: place, failTo: scriptEnd))
    ops.add(
      .configure(
        interface: interface, isFixed ? .fixed : .dhcp, limit: Pace.between(wait, wait + 2000, seen: wait),
        failTo: scriptEnd))
    let first = model.nic(interface).map { model.scenario.machine.nics[$0].interface }
    if let name = interface ?? first { configured.insert(name) }
  }

  private mutating func iscsistart(_ words: [String]) {
    callsInitiator = true
    func value(_ option: String) -> String? {
      words.firstIndex(of: option).flatMap { words.indices.contains($0 + 1) ? words[$0 + 1] : nil }
    }
    let end = ops.label()
    ops.add(.stage(.initramfsISCSI))
    ops.add(.pause(Pace.between(300, 1300, seen: 800)))
    if words.contains("-b") {
      ops.add(.unlessIBFT(end))
      ops.add(.loginFromFirmware(failTo: end))
    } else {
      let target = value("-t") ?? "", port = value("-p") ?? "3260", address = value("-a") ?? ""
      ops.add(.say("iscsistart: Logging into \(target) \(address):\(port),\(value("-g") ?? "1")"))
      let chap = value("-u").map { Credentials(username: $0, password: value("-w") ?? "") }
      let login = Login(
        initiator: value("-i"), target: target, portal: "\(address):\(port)", chap: chap)
      ops.add(.login([login], failTo: end))
    }
    ops.place(end)
  }
}
