/// Why an option ROM did not expose its LU.
enum ROMProblem: UInt8, Sendable {
  case none, notConfigured, noLink, noAddress, unreachable, targetNotFound, refused, noLU, blockSize

  /// What the ROM prints (iPXE's messages where one was seen: lab k, q, t1, v2, w4 to w6).
  var message: String {
    switch self {
    case .none: ""
    case .notConfigured: "No root path or target configured"
    case .noLink: "Waiting for link-up... No link: Down (http://ipxe.org/38086101)"
    case .noAddress: "Configuring... No configuration methods succeeded (http://ipxe.org/040ee119)"
    case .unreachable: "Could not open SAN device: Connection reset (http://ipxe.org/0f0a6039)"
    case .targetNotFound: "Could not open SAN device: No such device (http://ipxe.org/2c0d603b)"
    case .refused: "Could not open SAN device: Error 0x430d6601 (http://ipxe.org/430d6601)"
    case .noLU: "Could not open SAN device: Input/output error (http://ipxe.org/1d704039)"
    case .blockSize: "Boot from SAN device 0x80 failed: Input/output error (http://ipxe.org/1d852039)"
    }
  }

  var finding: Finding.Code {
    switch self {
    case .none, .notConfigured: .optionROMNotConfigured
    case .noLink, .noAddress: .optionROMNoAddress
    case .unreachable: .optionROMTargetUnreachable
    case .targetNotFound, .refused: .optionROMLoginRefused
    case .noLU: .optionROMNoLU
    case .blockSize: .optionROMBlockSize
    }
  }
}

/// The BIOS: power-on, the boot order over what is attached now, and the INT13 drives.
extension MachineModel {
  /// Power-on (or reset): everything volatile is gone.
  func powerOn(_ s: inout MachineState, _ out: inout Out) {
    out.note(.mark(.powerOn))
    abandonProgram(&s, &out)
    leaveSessionsBehind(&s, &out)
    s.firmware = FirmwareState()
    s.scsi = SCSIState()
    s.iscsi = InitiatorState()
    s.root = RootState(needsRecovery: s.root.needsRecovery)
    let targets = s.network.targets
    let unplugged = s.network.unplugged
    s.network = NetworkState()
    s.network.targets = targets
    s.network.unplugged = unplugged
    s.rootWaitOver = false
    s.services = []
    s.delay = DelayState()
    danglingSessionsAge(&out, s)
    s.prompt = .none
    s.phase = .firmware
    enter(.firmware, &s, &out)
    say("BIOS", "POST", &out)
    out.schedule(MachineEvent(.tryBoot, 0), Pace.about(350))
  }

  /// The firmware tries the boot order's entry `index`.
  func tryBoot(_ index: Int, _ s: inout MachineState, _ out: inout Out) {
    guard index < scenario.machine.bootOrder.count else { return nothingToBoot(&s, &out) }
    enter(.firmware, &s, &out)
    let name = scenario.machine.bootOrder[index]
    if let nic = scenario.machine.nics.firstIndex(where: { $0.name == name }) {
      guard let rom = scenario.machine.nics[nic].optionROM else { return tryNext(after: index, &s, &out) }
      enter(.optionROM, &s, &out)
      say("option ROM", "\(rom.kind.title) on \(name) starts", &out)
      guard rom.target != nil, rom.portal != nil, rom.initiator != nil else {
        return romGivesUp(.notConfigured, nic: nic, &s, &out)
      }
      // A banner with its key to press, then the link and the address (lab: 5.3 s).
      let wait = rom.address == nil ? dhcpTimeOfROM : Pace.about(2400)
      out.schedule(MachineEvent(.romAddress, nic), wait)
      return
    }
    guard let disk = inventory.index(ofName: name), s.attached.has(disk) else {
      return tryNext(after: index, &s, &out)
    }
    bootFrom(disk, entry: index, &s, &out)
  }

  private var dhcpTimeOfROM: Window { Pace.about(5200) }

  func tryNext(after index: Int, _ s: inout MachineState, _ out: inout Out) {
    out.schedule(MachineEvent(.tryBoot, index + 1), Pace.between(50, 500, seen: 100))
  }

  private func nothingToBoot(_ s: inout MachineState, _ out: inout Out) {
    say("BIOS", "No bootable device.", &out)
    if let problem = ROMProblem(rawValue: s.firmware.romProblem), problem != .none {
      dead(
        problem.finding, .optionROM, because: [.bootDevice],
        "no device of the boot order could be booted, the option ROM's LU among them", &s, &out)
    } else {
      dead(
        .noBootableDevice, .firmware, because: [.bootDevice], "no device of the boot order has a boot sector",
        &s, &out)
    }
  }

  /// Reads the first sector and jumps into it, if it has a signature.
  func bootFrom(_ disk: Int, entry: Int, _ s: inout MachineState, _ out: inout Out) {
    let name = inventory.disks[disk].name
    switch bootCode(of: disk, s) {
    case .none:
      say("BIOS", "Booting from Hard Disk... Boot failed: not a bootable disk", &out)
      explain(
        "BIOS", "\(name) has no boot signature; the next device gets its turn", sets: .bootDevice, to: &out)
      tryNext(after: entry, &s, &out)
    case .signatureOnly:
      say(
        "BIOS",
        inventory.disks[disk].target == nil ? "Booting from Hard Disk..." : "Booting from SAN device 0x80",
        &out)
      chosen(disk, &s, &out)
      dead(
        .bootSectorHangs, inventory.disks[disk].target == nil ? .firmware : .bootLoader,
        because: [.bootDevice, .disk(disk)],
        "\(name) has a boot signature but no loader behind it: the firmware jumps there and never comes back",
        &s, &out)
    case .other:
      say("BIOS", "Booting from \(name)...", &out)
      chosen(disk, &s, &out)
      dead(
        .bootedOtherMedium, .firmware, because: [.bootDevice],
        "\(name) is bootable and comes first in the boot order: another system starts from it", &s, &out)
    case .grub:
      say(
        "BIOS",
        inventory.disks[disk].target == nil ? "Booting from Hard Disk..." : "Booting from SAN device 0x80",
        &out)
      chosen(disk, &s, &out)
      s.phase = .loader
      out.schedule(MachineEvent(.loader, disk), Pace.about(250))
    }
  }

  /// Fills the list of INT13 drives: the boot device is 0x80, then the local ones; of a target only the one LU that the ROM exposes.
  private func chosen(_ disk: Int, _ s: inout MachineState, _ out: inout Out) {
    s.firmware.bootDisk = UInt8(disk + 1)
    var drives = [disk]
    for other in inventory.disks.indices
    where other != disk && inventory.disks[other].target == nil && s.attached.has(other) {
      if inventory.disks[other].bus != .floppy && inventory.disks[other].bus != .cd { drives.append(other) }
    }
    s.firmware.drives = SIMD8<UInt8>()
    for (slot, drive) in drives.prefix(8).enumerated() { s.firmware.drives[slot] = UInt8(drive + 1) }
    explain(
      "BIOS",
      "the machine boots from \(inventory.disks[disk].name)"
        + (inventory.disks[disk].target == nil ? "" : ", the one LU that the option ROM exposes"),
      because: [.ibft], sets: .bootDevice, .biosDrives, to: &out)
  }

  func bootCode(of disk: Int, _ s: MachineState) -> DiskContent.BootCode {
    s.bootCode[disk] > 0 ? .grub : inventory.disks[disk].content.bootCode
  }

  func grub(of disk: Int, _ s: MachineState) -> GrubInstallation? {
    library.installation(UInt16(s.bootCode[disk])) ?? inventory.disks[disk].content.grub
  }

  /// INT13 drives in order.
  func drives(_ s: MachineState) -> [Int] {
    (0..<8).compactMap { s.firmware.drives[$0] > 0 ? Int(s.firmware.drives[$0]) - 1 : nil }
  }
}

extension OptionROMSpec.Kind {
  var title: String {
    switch self {
    case .intel: "Intel iSCSI Boot"
    case .gpxe: "gPXE"
    case .ipxe: "iPXE"
    }
  }
}
