import LinuxConfig

/// SUSE's mkinitrd: a shell script, run as it stands in the tree; it writes `linuxrc`, a script that runs in the image.
extension MachineModel {
  /// The image that `/sbin/mkinitrd` makes for a kernel, run with the words it was called with over the files of that time.
  func madeBySUSE(_ selection: BootSelection, _ build: ImageBuild) -> InitramfsImage {
    let script = "/sbin/mkinitrd"
    let path = "/boot/initrd-\(build.version ?? selection.kernelVersion)"
    let installed = selection.initrdPath.flatMap { scenario.initrds[$0]?.command } ?? script
    let arguments = build.arguments ?? installed.split(separator: " ").dropFirst().map(String.init)
    var interpreter = ShellInterpreter(
      tree: build.tree, delegate: MkinitrdDelegate(model: self, tree: build.tree))
    let run = interpreter.run(
      path: script, arguments: arguments, environment: ["PATH": "/sbin:/bin:/usr/sbin:/usr/bin"])
    for note in run?.notLookedAt ?? [] { library.notLooked(note.description) }
    let files = interpreter.delegate.images[path] ?? MemoryFileTree()
    if !files.isFile("/linuxrc") {
      library.notLooked("\(script): how it makes \(path) is not understood")
    }
    let modules = files.paths.filter { $0.hasSuffix(".ko") && files.isFile($0) }.map {
      String(TreePath.name($0).dropLast(3))
    }
    return InitramfsImage(
      maker: .suse, ordered: [], available: modules,
      hasInitiator: files.exists("/sbin/iscsid") || files.exists("/sbin/iscsistart"), files: files)
  }

  /// What `linuxrc` of the image does: drivers, network and initiator, then it waits for the root and hands over.
  ///
  /// linux-iscsi's daemon goes on trying by itself, while linuxrc waits for the root's device for some seconds.
  func suseTasks(_ image: InitramfsImage, _ selection: BootSelection) -> [Program.Task] {
    let root = rootName(selection.commandLine)
    var interpreter = ShellInterpreter(
      tree: image.files, delegate: LinuxrcDelegate(model: self, image: image))
    interpreter.delegate.now.add(.pause(Pace.about(500)))
    if !image.ordered.isEmpty { interpreter.delegate.now.add(.modules(image.ordered)) }
    let run = interpreter.run(path: "/linuxrc", environment: ["PATH": "/sbin:/bin"])
    for note in run?.notLookedAt ?? [] { library.notLooked("linuxrc in the initrd: \(note.description)") }
    var script = interpreter.delegate
    if !script.hasInitiator { script.now.add(.noteProblem(.noInitiator)) }
    script.now.add(.startRootWait(Pace.between(10_000, 12_000, seen: 10_500)))
    script.now.add(.waitRoot(root))
    script.now.add(.mountRoot(root))
    script.now.add(.switchRoot(initPath: "/sbin/init"))
    let rest = Program.Task(
      name: "linuxrc", after: script.daemon.isEmpty ? 0 : 1, ops: script.now.finished)
    guard !script.daemon.isEmpty else { return [rest] }
    return [
      Program.Task(name: "linuxrc", ops: script.before), rest,
      Program.Task(name: "iscsid", after: 1, ops: script.daemon),
    ]
  }
}

/// What the programs that mkinitrd calls do: they put files into a folder, and at the end that folder into an image.
private struct MkinitrdDelegate: ShellDelegate {
  let model: MachineModel
  /// The system's files with what the script made.
  var files: MemoryFileTree
  /// What the finished images hold, by path.
  var images: [String: MemoryFileTree] = [:]
  private var folder = "/tmp/mkinitrd"

  init(model: MachineModel, tree: MemoryFileTree) {
    self.model = model
    files = tree
  }

  mutating func file(_ path: String) -> ShellFileAnswer {
    if path.hasPrefix("/tmp/") { return files.node(path).map { .node($0) } ?? .absent }
    return model.networkInSysfs(path)
  }

  mutating func run(_ call: ShellCall) -> ShellOutcome? {
    guard let name = call.name.map(TreePath.name) else { return nil }
    let words = call.arguments.map { $0.known ?? "?" }
    let operands = words.filter { !$0.hasPrefix("-") }
    switch name {
    case "mktemp":
      folder = "/tmp/mkinitrd"
      files.remove(folder)
      files[folder] = .directory([])
      return ShellOutcome(.zero, output: ShellValue(folder + "\n"))
    case "mkdir":
      for path in operands { files[path] = .directory([]) }
      return nil
    case "cp":
      guard operands.count == 2, let bytes = files.bytes(operands[0]) else { return ShellOutcome(.nonzero) }
      let isFolder = operands[1].hasSuffix("/") || files.isDirectory(operands[1])
      files[isFolder ? TreePath.join(operands[1], TreePath.name(operands[0])) : operands[1]] = .file(bytes)
      return ShellOutcome(.zero)
    case "modprobe": return modprobe(operands)
    case "depmod", "find", "cpio", "gzip", "umount", "mount": return ShellOutcome(.zero, output: .unknown)
    default: return nil
    }
  }

  /// `modprobe --set-version VERSION --show-depends MODULE`: a line `insmod FILE` for each module, what others need first.
  private func modprobe(_ operands: [String]) -> ShellOutcome {
    guard operands.count == 2 else { return ShellOutcome(.nonzero) }
    let table = files.text("/lib/modules/\(operands[0])/modules.dep") ?? ""
    let wanted = KernelModules.normalized(operands[1])
    for line in table.split(separator: "\n") {
      let words = line.split(separator: " ").map(String.init)
      guard let path = words.first.map({ String($0.dropLast()) }), files.isFile(path),
        KernelModules.normalized(TreePath.name(path)) == wanted
      else { continue }
      let needed = words.dropFirst().reversed() + [path]
      return ShellOutcome(.zero, output: ShellValue(needed.map { "insmod \($0)\n" }.joined()))
    }
    return ShellOutcome(.nonzero)
  }

  mutating func wrote(_ write: ShellWrite) {
    guard let path = write.path.known else { return }
    if path.hasPrefix("/boot/") {
      var image = MemoryFileTree()
      for made in files.paths where made.hasPrefix(folder + "/") {
        image[String(made.dropFirst(folder.count))] = files.node(made)
      }
      images[path] = image
    } else if let text = write.text.known {
      files.write((write.appends ? files.text(path) ?? "" : "") + text, to: path)
    }
  }
}

/// What the programs that linuxrc calls do to drivers, network and initiator.
private struct LinuxrcDelegate: ShellDelegate {
  let model: MachineModel
  let image: InitramfsImage
  /// The image's files with what linuxrc wrote into them.
  var files: MemoryFileTree
  /// What linuxrc did before it started a daemon, and what the daemon does.
  var before: [Op] = []
  var daemon: [Op] = []
  var now = OpList()
  var hasInitiator = false

  init(model: MachineModel, image: InitramfsImage) {
    self.model = model
    self.image = image
    files = image.files
  }

  mutating func file(_ path: String) -> ShellFileAnswer { model.networkInSysfs(path) }

  mutating func wrote(_ write: ShellWrite) {
    guard let path = write.path.known, let text = write.text.known else { return }
    files.write((write.appends ? files.text(path) ?? "" : "") + text, to: path)
  }

  mutating func run(_ call: ShellCall) -> ShellOutcome? {
    guard let name = call.name.map(TreePath.name) else { return nil }
    let words = call.arguments.map { $0.known ?? "?" }
    switch name {
    case "insmod", "modprobe":
      guard let module = words.first(where: { !$0.hasPrefix("-") }).map(TreePath.name) else { return nil }
      let plain = KernelModules.normalized(module)
      guard image.available.contains(where: { KernelModules.normalized($0) == plain }) else {
        now.add(.say("\(name): can't read '\(words.last ?? "")': No such file or directory"))
        return ShellOutcome(.nonzero)
      }
      now.add(.say("Loading \(module.hasSuffix(".ko") ? module : module + ".ko")"))
      now.add(.modules([plain]))
      if plain == "usb_storage" { now.add(.pause(Window(.seconds(8)))) }
    case "dhcpcd": configure(words.last { !$0.hasPrefix("-") }, .dhcp)
    case "ifconfig", "ip":
      configure(words.first { word in model.scenario.machine.nics.contains { $0.interface == word } }, .fixed)
    case "iscsid": startDaemon()
    case "iscsistart": iscsistart(words)
    case "sleep": now.add(.pause(Window(.seconds(Int64(words.first ?? "") ?? 1))))
    default: return nil
    }
    return ShellOutcome(.zero)
  }

  private mutating func configure(_ interface: String?, _ source: AddressSource) {
    let end = now.label()
    now.add(.stage(.initramfsNetwork))
    let limit = source == .fixed ? Pace.between(4000, 8000, seen: 5000) : Pace.about(60_000)
    now.add(.configure(interface: interface ?? "?", source, limit: limit, failTo: end))
    now.place(end)
  }

  /// linux-iscsi's daemon: it reads its files, asks for targets and logs in, and tries again while nobody answers.
  private mutating func startDaemon() {
    guard files.exists("/sbin/iscsid"), daemon.isEmpty else {
      return now.add(.say("/linuxrc: iscsid: No such file or directory"))
    }
    hasInitiator = true
    now.add(.stage(.initramfsISCSI))
    before = now.finished
    now = OpList()
    guard let login = model.oldLogin(files) else {
      daemon = [.startDaemon, .noteProblem(.noParameters)]
      return
    }
    daemon = [.startDaemon, .pause(Pace.between(200, 2000, seen: 500)), .login([login], failTo: 3)]
  }

  /// open-iscsi's program for one login: `-i NAME -t TARGET -g GROUP -a ADDRESS [-p PORT] [-u NAME -w SECRET]`, or `-b`,
  /// which takes all of it from the iBFT.
  private mutating func iscsistart(_ words: [String]) {
    guard files.exists("/sbin/iscsistart") else {
      return now.add(.say("/linuxrc: iscsistart: No such file or directory"))
    }
    hasInitiator = true
    now.add(.stage(.initramfsISCSI))
    let end = now.label()
    if words.contains("-b") {
      now.add(.unlessIBFT(end))
      now.add(.loginFromFirmware(failTo: end))
    } else {
      func value(_ option: String) -> String? {
        words.firstIndex(of: option).flatMap { words.indices.contains($0 + 1) ? words[$0 + 1] : nil }
      }
      let login = Login(
        initiator: value("-i"), target: value("-t") ?? "",
        portal: "\(value("-a") ?? ""):\(value("-p") ?? "3260")",
        chap: value("-u").map { Credentials(username: $0, password: value("-w") ?? "") })
      now.add(.login([login], failTo: end))
    }
    now.place(end)
  }
}
