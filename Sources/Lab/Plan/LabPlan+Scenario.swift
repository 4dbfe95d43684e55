import LinuxConfig
import Sim

extension LabPlan {
  /// Plans the real boots of a scenario.
  ///
  /// - Parameters:
  ///   - scenario: What is to be seen.
  ///   - profile: The scenario's profile by itself: what the image already is.
  ///   - kernel: The release of the image's kernel. Where the profile's files name another one, this is meant.
  /// - Throws: all that the laboratory cannot do.
  public init(_ scenario: Scenario, profile: Scenario, kernel: String) throws(OutOfReach) {
    // Nothing else could be said: every file of it differs from the image's.
    if let root = scenario.root {
      throw OutOfReach(reasons: [
        "the system's files are those of \(root); the laboratory boots images of its own"
      ])
    }
    var reasons: [String] = []
    let release = KernelRelease(in: profile.files)
    self.init(
      image: scenario.profile ?? "", memory: scenario.machine.memoryMiB, processors: 1,
      adapters: Self.adapters(scenario.machine, &reasons), script: Self.script(scenario, &reasons),
      hasDHCP: scenario.network.dhcp,
      edit: ImageEdit(scenario, profile, release: release, kernel: kernel, &reasons),
      targets: Self.targets(scenario, profile, &reasons), disks: Self.disks(scenario, profile, &reasons),
      story: Array(scenario.story.dropFirst(RescueSetup.steps(of: scenario.story))),
      rescue: RescueSetup(scenario, &reasons),
      isSysV: profile.files.exists("/etc/inittab") || profile.files.exists("/etc/rc0.d"))
    for step in story { if let reason = step.outOfReach { reasons.append(reason) } }
    if scenario.profile == nil { reasons.append("the scenario names no profile, so there is no image") }
    guard reasons.isEmpty else { throw OutOfReach(reasons: reasons) }
  }

  private static func bootIndex(_ name: String, _ machine: MachineSpec) -> Int? {
    machine.bootOrder.firstIndex(of: name)
  }

  private static let models = [
    "e1000": "e1000", "e1000e": "e1000e", "virtio_net": "virtio-net-pci", "8139cp": "rtl8139",
    "ne2k-pci": "ne2k_pci",
    "pcnet32": "pcnet",
  ]

  private static func adapters(_ machine: MachineSpec, _ reasons: inout [String]) -> [Adapter] {
    machine.nics.compactMap { nic in
      guard let model = models[nic.driver] else {
        reasons.append("QEMU has no adapter for the driver \(nic.driver)")
        return nil
      }
      guard nic.interface.hasPrefix("ens"), let slot = Int(nic.interface.dropFirst(3)), (3...5).contains(slot)
      else {
        reasons.append(
          "an interface is called ens3, ens4 or ens5 here, after its PCI slot, not \(nic.interface)")
        return nil
      }
      return Adapter(
        name: nic.name, model: model, mac: nic.mac, slot: slot, bootIndex: bootIndex(nic.name, machine),
        hasCable: nic.cable)
    }
  }

  /// The boot ROM of the first adapter in the boot order that has one.
  static func bootROM(_ scenario: Scenario) -> OptionROMSpec? {
    let adapters = scenario.machine.bootOrder.compactMap { name in
      scenario.machine.nics.first { $0.name == name && $0.optionROM != nil }
    }
    return adapters.first?.optionROM
  }

  private static func script(_ scenario: Scenario, _ reasons: inout [String]) -> String? {
    guard let rom = bootROM(scenario) else { return nil }
    if rom.kind != .ipxe { reasons.append("the boot ROM is iPXE here, not \(rom.kind.rawValue)") }
    var lines = ["#!ipxe"]
    if let initiator = rom.initiator { lines.append("set initiator-iqn \(initiator)") }
    if let chap = rom.chap {
      lines += ["set username \(chap.username)", "set password \(chap.password)"]
    }
    if let address = rom.address {
      // The script came by DHCP; what it sets by hand is what the iBFT then says. The network is that of the DHCP server.
      lines += [
        "set net0/ip \(address.prefix { $0 != "/" })", "set net0/netmask 255.255.255.0",
        "set net0/gateway \(LabNetwork.host)",
        // Else the iBFT names the server that gave the script, and the system takes its address for one by DHCP.
        "set net0/dhcp-server 0.0.0.0",
      ]
    }
    lines.append("set keep-san 1")
    if let target = rom.target, let portal = rom.portal {
      let parts = portal.split(separator: ":")
      lines.append("sanboot iscsi:\(parts[0])::\(parts.last ?? "3260"):\(hexadecimal(rom.lun)):\(target)")
    }
    return lines.joined(separator: "\n") + "\n"
  }

  /// iPXE reads LUNs as hexadecimal (RFC 4173).
  private static func hexadecimal(_ number: Int) -> String { String(number, radix: 16) }

  private static func targets(_ scenario: Scenario, _ profile: Scenario, _ reasons: inout [String])
    -> [Target]
  {
    scenario.targets.compactMap { target in
      let parts = target.portal.split(separator: ":")
      guard parts.count == 2, let port = Int(parts[1]), parts[0].split(separator: ".").count == 4 else {
        reasons.append("a portal is an IPv4 address and a port here, not \(target.portal)")
        return nil
      }
      if target.maxSessions != nil, !target.luns.contains(where: { $0.lun == 0 }) {
        reasons.append("\(target.iqn): istgt, which counts sessions, wants a LUN 0")
      }
      if target.maxSessions != nil, target.dropsDeadSessionsAfter == nil {
        reasons.append("\(target.iqn): no target here counts a dead session for ever")
      }
      return Target(
        iqn: target.iqn, address: String(parts[0]), port: port, chap: target.chap, acl: target.acl,
        maxSessions: target.maxSessions,
        isRunning: target.running,
        units: target.luns.map { unit in
          Unit(
            lun: unit.lun,
            medium: Medium(
              unit.content, of: "\(target.iqn) LUN \(unit.lun)", size: unit.size, profile: profile, &reasons),
            hasWriteCache: unit.writeCache, blockSize: unit.blockSize == 512 ? nil : unit.blockSize)
        })
    }
  }

  private static func disks(_ scenario: Scenario, _ profile: Scenario, _ reasons: inout [String]) -> [Disk] {
    scenario.machine.disks.compactMap { disk in
      guard disk.bus == .usb || disk.bus == .ide || disk.bus == .sata else {
        reasons.append("a disk on \(disk.bus.rawValue) is not attached here")
        return nil
      }
      return Disk(
        name: disk.name, bus: disk.bus,
        medium: Medium(disk.content, of: disk.name, size: disk.size, profile: profile, &reasons),
        isAttached: disk.attached, bootIndex: bootIndex(disk.name, scenario.machine))
    }
  }
}

extension LabPlan.Medium {
  /// A clone of the image where a partition holds a part of the system, and a disk of its own otherwise.
  init(_ content: DiskContent, of name: String, size: Int64, profile: Scenario, _ reasons: inout [String]) {
    let image = profile.targets.first?.luns.first?.content.partitions ?? []
    let kept = content.partitions.filter { partition in
      partition.holds != nil
        && image.contains { $0.number == partition.number && $0.holds == partition.holds }
    }
    self.init(
      kept: kept.isEmpty ? nil : kept.map(\.number), size: size,
      made: content.partitions.filter { partition in !kept.contains { $0.number == partition.number } })
    switch content.bootCode {
    case .other: reasons.append("\(name): no other system that boots by itself is here")
    case .grub where kept.isEmpty: reasons.append("\(name): GRUB is on clones of the image only")
    case .grub, .none, .signatureOnly: break
    }
  }
}

extension StoryStep {
  /// What of a step the laboratory cannot do; nil: it can.
  var outOfReach: String? {
    switch self {
    case .installer, .install: "no installation system runs here"
    case .answer: "kudzu's questions are not answered here"
    case .menuEntry: "nobody chooses in GRUB's menu here"
    case .after(_, let step): step.outOfReach
    default: nil
    }
  }
}

/// The release of a kernel, as the names of its files have it.
struct KernelRelease {
  /// "6.1.0-50-amd64"; nil: no kernel is there.
  var text: String?

  init(in files: some FileTree) {
    text = files.list("/boot").first { $0.hasPrefix("vmlinuz-") }.map {
      String($0.dropFirst("vmlinuz-".count))
    }
  }
}
