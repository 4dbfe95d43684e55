import LinuxConfig

/// Turns the script of a Red Hat initrd into instructions: nash runs one line after the other and resolves nothing.
struct NashCompiler {
  /// Where an image of ours has it, whatever RHEL calls it.
  static let script = "/linuxrc"

  let model: MachineModel
  let image: MemoryFileTree
  let selection: BootSelection
  /// Modules that the scenario adds to the image, loaded before the others.
  var added: [String] = []
  private var hasInitiator = true
  private var ops = OpList()
  private var end = 0

  init(model: MachineModel, image: MemoryFileTree, selection: BootSelection) {
    self.model = model
    self.image = image
    self.selection = selection
  }

  mutating func compile(hasInitiator: Bool) -> [Op] {
    let version = image.exists("/bin/iscsistart") ? "5.1.19.6" : "4.2.1.8"
    ops.add(.say("Red Hat nash version \(version) starting"))
    ops.add(.pause(Pace.about(500)))
    end = ops.label()
    self.hasInitiator = hasInitiator
    for module in added { ops.add(.insmod(ModuleFile(name: module, information: ""))) }
    let lines = (image.text(Self.script) ?? "").split(separator: "\n").map(String.init)
    let root = lines.firstIndex { $0.hasPrefix("mkrootdev") } ?? lines.count
    if !hasInitiator { ops.add(.noteProblem(.noInitiator)) }
    for line in lines[..<root] { command(line) }
    ops.place(end)
    for line in lines[root...] { command(line) }
    return ops.finished
  }

  private mutating func command(_ line: String) {
    let words = line.split(separator: " ").map(String.init)
    guard let name = words.first.map(TreePath.name), !line.hasPrefix("#") else { return }
    switch name {
    case "echo":
      ops.add(.say(words.dropFirst().joined(separator: " ").filter { $0 != "\"" }))
    case "sleep":
      ops.add(.pause(Window(.seconds(max(0, min(Int64(words.last ?? "") ?? 0, 3600))))))
    case "insmod":
      guard let path = words.dropFirst().first else { return }
      guard let text = image.text(path) else { return missing(path) }
      ops.add(.insmod(ModuleFile(name: TreePath.name(path), information: text)))
    case "ifconfig": network(words.dropFirst().first, .fixed)
    case "network":
      let device = value("--device", words)
      let source: AddressSource =
        switch value("--bootproto", words) {
        case "dhcp": .dhcp
        case "ibft": .firmware
        default: .fixed
        }
      network(source == .firmware ? nil : device, source)
    case "iscsi_boot_util": if hasInitiator { oldInitiator() }
    case "iscsistart": if hasInitiator { newInitiator(words) }
    case "mount" where words.last == "/sysroot":
      ops.add(.mountRoot(model.rootName(selection.commandLine)))
    case "switchroot": ops.add(.switchRoot(initPath: "/sbin/init"))
    case "mount", "mkrootdev", "mkblkdevs", "mkdmnod", "mknod", "umount": break
    default: model.library.notLooked("initrd: `\(line)` is not followed")
    }
  }

  private func value(_ name: String, _ words: [String]) -> String? {
    words.firstIndex(of: name).flatMap { words.indices.contains($0 + 1) ? words[$0 + 1] : nil }
  }

  /// A module that the script loads and nobody copied.
  private mutating func missing(_ path: String) {
    ops.add(.say("insmod: can't open \(path): No such file or directory"))
    ops.add(.tell("\(path) is not in the initrd", because: [.initramfs]))
  }

  private mutating func network(_ interface: String?, _ source: AddressSource) {
    ops.add(.stage(.initramfsNetwork))
    ops.add(.waitInterface(limit: Pace.between(100, 300, seen: 200), failTo: end))
    let limit =
      source == .fixed ? Pace.between(4000, 8000, seen: 5000) : Pace.between(40_000, 70_000, seen: 60_000)
    ops.add(.configure(interface: interface, source, limit: limit, failTo: end))
    ops.add(.stage(.initramfsISCSI))
  }

  /// RHEL 4: the utility of the driver disk starts discovery and login with /etc/iscsi.conf; the kernel's part does the rest.
  private mutating func oldInitiator() {
    guard let login = model.oldLogin(image) else { return ops.add(.noteProblem(.noParameters)) }
    let digests = ["crc32c"] + (login.chap == nil ? [] : ["md5"])
    ops.add(.needsModules(["iscsi_sfnet"] + digests, failTo: end))
    ops.add(.startDaemon)
    ops.add(.pause(Pace.between(200, 2000, seen: 500)))
    ops.add(.login([login], failTo: end))
  }

  private mutating func newInitiator(_ words: [String]) {
    ops.add(.stage(.initramfsISCSI))
    if words.contains("-b") {
      ops.add(.unlessIBFT(end))
      ops.add(.loginFromFirmware(failTo: end))
      return
    }
    guard let target = value("-t", words), let address = value("-a", words) else {
      return ops.add(.noteProblem(.noParameters))
    }
    let chap = value("-u", words).map { Credentials(username: $0, password: value("-w", words) ?? "") }
    let login = Login(
      initiator: value("-i", words), target: target, portal: "\(address):\(value("-p", words) ?? "3260")",
      chap: chap)
    ops.add(.login([login], failTo: end))
  }
}
