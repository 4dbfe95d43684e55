import LinuxConfig

/// Kernel modules that matter, by name.
enum KernelModules {
  /// Position = bit in the state.
  static let known = [
    "usb_storage", "xhci_pci", "ehci_pci", "ehci_hcd", "uhci_hcd", "ohci_hcd", "ahci", "ata_piix",
    "ata_generic", "sd_mod", "scsi_mod",
    "mptspi", "aic7xxx", "sym53c8xx", "BusLogic", "virtio_scsi", "megaraid_sas", "iscsi_tcp", "libiscsi",
    "scsi_transport_iscsi", "iscsi_ibft", "crc32c", "libcrc32c", "md5", "iscsi_sfnet", "iscsi", "ext3",
    "ext4", "reiserfs",
    "e1000", "e1000e", "tg3", "virtio_net",
  ]
  static let scsiAdapters: Set<String> = [
    "mptspi", "aic7xxx", "sym53c8xx", "BusLogic", "virtio_scsi", "megaraid_sas",
  ]
  static let sataAdapters: Set<String> = ["ahci", "ata_piix", "ata_generic"]
  /// linux-iscsi's and RHEL 4's initiators: the kernel itself logs in again after a drop.
  static let selfRecovering: Set<String> = ["iscsi_sfnet", "iscsi"]

  /// Initiators are loaded by name only; no hardware asks for them.
  static let initiators: Set<String> = [
    "iscsi_tcp", "libiscsi", "scsi_transport_iscsi", "iscsi_ibft", "iscsi_sfnet", "iscsi",
  ]

  static func normalized(_ name: String) -> String {
    let base = name.hasSuffix(".ko") ? String(name.dropLast(3)) : name
    return base == "BusLogic" ? base : String(base.map { $0 == "-" ? "_" : $0 })
  }
}

/// "2.6.9-34.EL" as numbers that compare.
struct KernelVersion: Comparable, Sendable {
  var parts: [Int]
  init(_ text: String) {
    let lead = text.prefix { $0.isNumber || $0 == "." }
    parts = lead.split(separator: ".").compactMap { Int($0) }
  }
  static func < (a: KernelVersion, b: KernelVersion) -> Bool { a.parts.lexicographicallyPrecedes(b.parts) }
}

/// The kernel: drivers and what they find.
extension MachineModel {
  /// Since Linux 5.3 each disk is probed on its own (commit f049cf1a; F-79): letters are drawn by whichever comes first.
  func probesAsynchronously(_ s: MachineState) -> Bool { !(kernelVersion(s) < KernelVersion("5.3")) }

  func kernelVersion(_ s: MachineState) -> KernelVersion {
    library.selection(s.firmware.selection).map { KernelVersion($0.kernelVersion) } ?? installerKernel
  }

  /// Until about 2.6.19 IDE disks are the IDE layer's, with names of their own; later libata makes them sd.
  func usesIDENames(_ disk: Int, _ s: MachineState) -> Bool {
    inventory.disks[disk].bus == .ide && kernelVersion(s) < KernelVersion("2.6.19")
  }

  func ideName(_ disk: Int, _ s: MachineState) -> String? {
    guard s.attached.has(disk) else { return nil }
    let before = inventory.disks.indices.filter { $0 < disk && inventory.disks[$0].bus == .ide }
    return DiskNames.hd(before.count)
  }

  /// What udev, hotplug or an installer loads when it looks for hardware.
  var hardwareDrivers: [String] { kernelModules.filter { !KernelModules.initiators.contains($0) } }

  func moduleBit(_ name: String) -> Int? { kernelModules.firstIndex(of: KernelModules.normalized(name)) }
  func loaded(_ name: String, _ s: MachineState) -> Bool {
    moduleBit(name).map { s.scsi.modules.has($0) } ?? false
  }

  /// The kernel runs: it finds its initramfs and starts it.
  func kernelStarted(_ s: inout MachineState, _ out: inout Out) {
    guard let selection = library.selection(s.firmware.selection) else { return }
    enter(.kernel, &s, &out)
    s.phase = .initramfs
    say("kernel", "Linux version \(selection.kernelVersion)", &out)
    say("kernel", "Command line: \(selection.commandLine)", &out)
    if s.firmware.ibft > 0 { say("kernel", "iBFT found", &out) }
    if let name = overflowingVariable(selection.commandLine) {
      say("kernel", "Kernel panic - not syncing: Too many boot env vars at `\(name)'", &out)
      return dead(
        .bootVariablesOverflow, .kernel, because: [.selection],
        "\(name)= is one word too many that the kernel does not know", &s, &out)
    }
    guard selection.initrdPath != nil else {
      say("kernel", "VFS: Cannot open root device", &out)
      say("kernel", "Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)", &out)
      return dead(
        selection.missesInitrd ? .kernelFileMissing : .initiatorNotInInitramfs, .rootMount,
        because: [.selection],
        "the kernel has no initramfs, and nothing else could log in to the root's target", &s, &out)
    }
    explainImage(selection, s, &out)
    startProgram(initramfsProgram(selection, s), &s, &out, after: Pace.about(3100))
  }

  /// Loads modules in order; their drivers announce the devices that are plugged in.
  func loadModules(_ names: [String], _ s: inout MachineState, _ out: inout Out) {
    for name in names {
      let module = KernelModules.normalized(name)
      guard let bit = moduleBit(module), !s.scsi.modules.has(bit) else { continue }
      s.scsi.modules.put(bit)
      for (index, nic) in scenario.machine.nics.enumerated()
      where KernelModules.normalized(nic.driver) == module && !s.network.present.has(index) {
        s.network.present.put(index)
        say("kernel", "\(nic.driver): \(nic.interface): \(nic.mac)", &out)
        out.note(.set(.interface))
      }
      for disk in inventory.disks.indices where drives(module, disk) && s.attached.has(disk) {
        announce(disk, &s, &out)
      }
      // What an adapter or a login found before has waited for the disks' own driver.
      if module == "sd_mod" {
        for disk in inventory.disks.indices where isFound(disk, s) { diskReady(disk, &s, &out) }
        for target in scenario.targets.indices where s.iscsi.session(target) == .loggedIn {
          probeLUs(of: target, &s, &out)
        }
      }
    }
  }

  private func isFound(_ disk: Int, _ s: MachineState) -> Bool {
    s.scsi.letters[disk] == 0 && !s.scsi.settling.has(disk) && s.attached.has(disk) && driven(disk, s)
  }

  func drives(_ module: String, _ disk: Int) -> Bool {
    switch inventory.disks[disk].bus {
    case .usb: module == "usb_storage"
    case .sata: KernelModules.sataAdapters.contains(module)
    case .ide: module == "ata_piix" || module == "ata_generic"
    case .scsi: KernelModules.scsiAdapters.contains(module)
    case .floppy, .cd, nil: false
    }
  }

  /// Is there a driver for a local disk in the running kernel?
  func driven(_ disk: Int, _ s: MachineState) -> Bool {
    kernelModules.indices.contains { s.scsi.modules.has($0) && drives(kernelModules[$0], disk) }
  }

  /// A driver has found a device; its disk comes after the device's own delay.
  func announce(_ disk: Int, _ s: inout MachineState, _ out: inout Out) {
    guard s.scsi.letters[disk] == 0, !s.scsi.settling.has(disk), !usesIDENames(disk, s) else { return }
    let device = inventory.disks[disk]
    s.scsi.settling.put(disk)
    if device.bus == .usb {
      say("kernel", "usb-storage: USB Mass Storage device detected (\(device.name))", &out)
      explain(
        "kernel", "the driver usb_storage finds \(device.name), which is plugged in", because: [.initramfs],
        sets: .disk(disk), to: &out)
      out.schedule(
        MachineEvent(.diskReady, disk),
        Window(
          .microseconds(device.settles.earliest), .microseconds(device.settles.latest),
          nominal: .microseconds(nominalSettle(device.settles))))
    } else {
      explain("kernel", "a driver finds the local disk \(device.name)", sets: .disk(disk), to: &out)
      // Before Linux 5.3 adapters were scanned one after the other.
      let order = Int64(disk) * 100
      out.schedule(
        MachineEvent(.diskReady, disk),
        probesAsynchronously(s)
          ? Pace.between(200, 1500, seen: 400 + order) : Window(.milliseconds(300 + order)))
    }
  }

  /// Sticks are seen to be nearer the beginning of the range than its middle (lab c: 1.3 s).
  private func nominalSettle(_ delay: Delay) -> Int64 { delay.earliest + (delay.latest - delay.earliest) / 4 }
}
