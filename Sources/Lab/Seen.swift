/// What was seen in one boot or one shutdown, read off its lines once, in order.
struct Seen {
  let episode: Episode
  private let devices: DeviceTable

  /// The first and the last line that shows a sign, and how often it was seen since the machine was up.
  private(set) var first: [Sign: Transcript.Line] = [:]
  private(set) var last: [Sign: Transcript.Line] = [:]
  /// Which sign was seen before which.
  private(set) var order: [Sign: Int] = [:]
  private var countSinceUp: [Sign: Int] = [:]

  private(set) var names = DiskNames()
  private(set) var shell = ShellAnswers()
  /// "/dev/sda2", as the marker said, or as the kernel did when it mounted the root.
  private(set) var rootDevice: String?
  /// Words of the kernel's command line.
  private(set) var commandLine: [String] = []
  /// The last line of the console that says anything.
  private(set) var lastConsoleLine: Transcript.Line?
  /// Whether the marker's report was complete.
  private var isInReport = false
  private var isProbing = false
  private var isOutageOver = false
  private var isWritten = false
  private var screen = Screen()

  init(_ episode: Episode, devices: DeviceTable) {
    self.episode = episode
    self.devices = devices
    for line in episode.lines { read(line) }
    conclude()
  }

  func has(_ sign: Sign) -> Bool { first[sign] != nil }

  /// sd name to the scenario's name for the disk; nil where no kernel ran that could have named any.
  var disks: [String: String]? {
    guard has(.kernelStarts) || has(.up) else { return nil }
    return names.disks.mapValues { devices.name(of: $0) ?? $0.description }
  }

  /// The sd name of the LU with the root file system.
  var rootDisk: String? {
    guard let name = devices.rootName else { return nil }
    return names.disks.first { devices.name(of: $0.value) == name }?.key
  }

  // MARK: Reading

  private mutating func read(_ line: Transcript.Line) {
    switch line.source {
    case .console:
      // The kernel may speak between the answers of an initramfs.
      if isProbing, !has(.up), !line.text.hasPrefix("[") { return shell.read(line.text) }
      console(line)
    case .shell:
      if line.text.trimmed == "==WRITTEN" { isWritten = true }
      for sign in Sign.inShell(line.text) { note(sign, line) }
      if Self.touchesNetworking(line.text) { note(.networkingTouched, line) }
    case .lab: event(line)
    case .target, .dhcp: break
    }
  }

  private mutating func console(_ read: Transcript.Line) {
    if !read.text.trimmed.isEmpty { lastConsoleLine = read }
    var line = read
    if !has(.kernelStarts) { line.text = screen.joined(read.text) }
    if isInReport { report(line.text) }
    if line.text.holds("==LAB-REPORT") { isInReport = true }
    if line.text.holds("==BOOT-OK") { isInReport = false }
    if line.text.holds("Booting from Hard Disk...") { note(.localDiskBoots, line) }
    for sign in Sign.inConsole(line.text) where sign != .localDiskBoots {
      note(sign, line)
      if sign == .recoveryTimedOut, isOutageOver { note(.timedOutAfterOutage, line) }
    }
    names.read(kernel: line.text)
    if let rest = line.text.after("ommand line: ") {
      commandLine = rest.split(separator: " ").map(String.init)
    }
    if rootDevice == nil, line.text.holds("mounted filesystem"), let rest = line.text.after("-fs ("),
      let end = rest.firstIndex(of: ")")
    {
      rootDevice = "/dev/" + rest[..<end]
      note(.rootMounted, line)
    }
    if has(.localDiskBoots), !has(.otherBootCode), Self.isOtherSystem(line.text) {
      note(.otherBootCode, line)
    }
  }

  /// A line of the marker's report: "key value".
  private mutating func report(_ text: String) {
    guard let space = text.firstIndex(of: " ") else { return }
    let rest = text[text.index(after: space)...]
    switch text[..<space] {
    case "root": rootDevice = rest.split(separator: " ").first.map(String.init) ?? rootDevice
    case "disk": names.read(report: rest)
    case "cmdline": commandLine = rest.split(separator: " ").map(String.init)
    default: break
    }
  }

  private mutating func event(_ line: Transcript.Line) {
    switch line.event {
    case .probing: (isProbing, isWritten) = (true, false)
    case .probed:
      isProbing = false
      guard has(.up) else { break }
      // Of a running machine it is asked, among other things, whether its root can be written to.
      if isWritten { first[.rootUnwritable] = nil } else { note(.rootUnwritable, line) }
    case .gaveUp: note(.gaveUp, line)
    case .off: note(.off, line)
    case .step(let step):
      if step == "kill iscsid" || step == "stop iscsid" { note(.daemonEnded, line) }
      if step == "start iscsid" || step == "restart iscsid" { first[.daemonEnded] = nil }
      if Self.touchesNetworking(step) { note(.networkingTouched, line) }
      if step.holds("iptables") || step.holds("nft ") { note(.firewallTouched, line) }
    case .note("the outage begins"):
      isOutageOver = false
      note(.outageMade, line)
    case .note("the outage is over"): isOutageOver = true
    case .note(let text) where text.hasPrefix("the other machine is logged in"):
      note(.otherMachineLogsIn, line)
    default: break
    }
  }

  private mutating func note(_ sign: Sign, _ line: Transcript.Line) {
    if first[sign] == nil {
      first[sign] = line
      order[sign] = order.count
    }
    last[sign] = line
    if has(.up) { countSinceUp[sign, default: 0] += 1 }
  }

  private static func touchesNetworking(_ text: String) -> Bool {
    ["networking", "ifdown", "ifup ", "NetworkManager", "nmcli", "networkctl", "systemd-networkd"].contains(
      where: text.holds)
  }

  /// After the firmware jumped into a local disk: what is neither the firmware's own nor GRUB's is another system.
  private static func isOtherSystem(_ text: String) -> Bool {
    let own = ["Booting from", "Boot failed", "No bootable", "GRUB", "Press ", "iPXE", "SeaBIOS"]
    return !text.trimmed.isEmpty && !own.contains(where: text.holds)
  }

  // MARK: Conclusions

  /// Signs that follow from several lines. Each bears the line that showed it last.
  private mutating func conclude() {
    for (path, name) in shell.paths { names.read(path: path, to: name) }
    for (name, size) in shell.sizes { names.read(kibibytes: size, of: name) }
    guard let line = first[.rootNotThere] ?? first[.initqueueTimeout] ?? lastConsoleLine ?? episode.lines.last
    else {
      return
    }
    // GRUB or Linux from a local disk is the system's own, started from there.
    if has(.grubLoads) || has(.kernelStarts) { first[.otherBootCode] = nil }
    if names.disks.values.contains(where: { $0.bus == .iscsi }) { note(.targetDisk, line) }
    if shell.isAsked, shell.sessions.isEmpty, !has(.targetDisk) { note(.noSession, line) }
    switch shell.hasInitiator {
    case true?: note(.initiatorInImage, line)
    case false?: note(.initiatorNotInImage, line)
    case nil: break
    }
    let named = ["iscsi_target_name=", "iscsi_initiator=", "iscsi_auto", "netroot=iscsi", "rd.iscsi."]
    if commandLine.contains(where: { word in named.contains { word.hasPrefix($0) } }) {
      note(.targetNamedOnCommandLine, line)
    }
    if !has(.initStarts) { rootSearched(line) }
    let lost = [Sign.pingTimeout, .connectionClosed].compactMap { last[$0]?.time }.max()
    let back = [Sign.deviceReset, .sessionUp].compactMap { last[$0]?.time }.max()
    if let lost, lost > back ?? 0 { note(.sessionNotBack, line) }
    // A session that is torn down over and over, though nobody asked for it: in between it was made again (not every target
    // has the disk say that it was reset, lab x1).
    if countSinceUp[.connectionClosed, default: 0] >= 3, !has(.outageMade), !has(.daemonEnded) {
      note(.sessionDuel, line)
    }
  }

  /// Where the root is, and where root= says that it is.
  private mutating func rootSearched(_ line: Transcript.Line) {
    guard let root = devices.root, has(.targetDisk) || has(.sessionUp),
      let name = commandLine.last(where: { $0.hasPrefix("root=") })?.dropFirst(5)
    else { return }
    guard let disk = rootDisk else { return note(.rootDiskAbsent, line) }
    let real = "\(disk)\(root.partition)"
    // A LU that is there and has no such partition does not hold the root: the kernel may drop one that it has named.
    let found = shell.sizes.isEmpty ? names.partitions[disk] ?? [real] : Array(shell.sizes.keys)
    guard found.contains(real) else { return note(.rootDiskAbsent, line) }
    if let node = name.after("/dev/"), !name.holds("/dev/disk/") {
      if node != real { note(.rootElsewhere, line) }
    } else if let uuid = name.after("UUID="), shell.uuids[String(uuid)] == nil {
      note(.rootNameUnknown, line)
    }
  }
}

extension Substring {
  func holds(_ other: String) -> Bool { String(self).holds(other) }
}
