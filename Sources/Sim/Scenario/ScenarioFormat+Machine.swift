extension ScenarioFormat {
  static let credentials = Format<Credentials>.object("chap", "A CHAP name and secret.") { object in
    let username = object.needed("username", nonEmpty, "The CHAP name (CHAP_N).")
    let password = object.needed("password", nonEmpty, "The CHAP secret.")
    guard let username, let password else { return nil }
    return Credentials(username: username, password: password)
  }

  static let optionROM = Format<OptionROMSpec>.object("optionROM", "The iSCSI boot ROM of an adapter.") {
    object in
    let kind = object.value(
      "kind", choice(OptionROMSpec.Kind.self), "Whose ROM it is.", default: .ipxe, "\"ipxe\"")
    let initiator = object.optional(
      "initiator", nonEmpty, "The initiator name it logs in with; none: not configured.")
    let target = object.optional(
      "target", nonEmpty, "The IQN it logs in to; a wrong one is simulated, not refused.")
    let portal = object.optional(
      "portal", ScenarioFormat.portal, "Where the target is, as \"10.0.2.2:3260\".")
    let lun = object.value(
      "lun", integer(0...16383), "The one LU it exposes as a BIOS drive.", default: 0, "0")
    let address = object.value(
      "address", interfaceAddress, "\"dhcp\", or a static address as \"10.0.2.15/24\".", default: nil,
      "\"dhcp\"")
    let chap = object.optional("chap", credentials, "What it authenticates with.")
    let ibft = object.value(
      "ibft", boolean, "It leaves an iBFT for the operating system.", default: true, "true")
    return OptionROMSpec(
      kind: kind, initiator: initiator, target: target, portal: portal, lun: lun, address: address,
      chap: chap,
      ibft: ibft)
  }

  static let nic = Format<NICSpec>.object("nic", "A network adapter.") { object in
    let name = object.always("name", ScenarioFormat.name, "The name that the scenario uses for it.")
    let interface = object.optional(
      "interface", ScenarioFormat.name, "The name the running system gives it, as \"ens3\".",
      fallback: "the same as name")
    let mac = object.optional(
      "mac", ScenarioFormat.mac, "Its address.", fallback: "52:54:00:00:00:01 and so on")
    let driver = object.value(
      "driver", ScenarioFormat.name, "Its kernel module.", default: "e1000", "\"e1000\"")
    let cable = object.value("cable", boolean, "A cable with a link is plugged in.", default: true, "true")
    let rom = object.optional("optionROM", optionROM, "Its iSCSI boot ROM; none: it cannot boot.")
    guard let name else { return nil }
    return NICSpec(
      name: name, interface: interface ?? name, mac: mac ?? "", driver: driver, cable: cable, optionROM: rom)
  }

  /// The disks of one of the machine's lists; `buses` are those that the list may hold, the first by default.
  static func disk(
    _ definition: String, _ summary: String, buses: [DiskSpec.Bus], model: String, size: Int64
  ) -> Format<DiskDraft> {
    Format.object(definition, summary) { object in
      let name = object.always("name", ScenarioFormat.name, "The name that the scenario uses for it.")
      var bus = buses[0]
      if buses.count > 1 {
        bus = object.value(
          "bus", choice(DiskSpec.Bus.self, among: buses), "What it is connected to.", default: bus,
          "\"\(bus.rawValue)\"")
      }
      let model = object.value(
        "model", nonEmpty, "What the kernel's log calls it.", default: model, "\"\(model)\"")
      let attached = object.value(
        "attached", boolean, "It is plugged in when the story begins.", default: true, "true")
      let usual = bus == .usb ? Delay(earliest: 1_000_000, latest: 2_000_000) : Delay(earliest: 0, latest: 0)
      let settles = object.value(
        "settles", delay, "From its detection to the disk being there.", default: usual,
        bus == .usb ? "[\"1s\", \"2s\"]" : "\"0s\"")
      let content = contentFields(&object, fallbackSize: size)
      guard let name else { return nil }
      let empty = DiskContent(bootCode: .none, grub: nil, partitions: [])
      let spec = DiskSpec(
        name: name, bus: bus, model: model, size: size, attached: attached, settles: settles, content: empty)
      return DiskDraft(spec: spec, content: content)
    }
  }

  static let localDisk = disk(
    "disk", "A local disk.", buses: [.sata, .ide, .scsi], model: "QEMU HARDDISK", size: 8 << 30)
  static let usb = disk(
    "usb", "A USB mass storage device.", buses: [.usb], model: "USB Flash Disk", size: 64 << 20)
  static let floppy = disk(
    "floppy", "A floppy disk, of the floppy controller or IDE: it takes no sd letter.", buses: [.floppy],
    model: "Floppy", size: 2880 * 512)
  static let cd = disk(
    "cd", "A CD or DVD in its drive.", buses: [.cd], model: "QEMU DVD-ROM", size: 650 << 20)

  static let firmware = Format<[Located<String>]?>.object("firmware", "The BIOS.") { object in
    let order = object.optional(
      "bootOrder", name.located.list(),
      "Names of devices in boot order; what is not listed is not booted from.",
      fallback: "the adapters with an option ROM, then the disks")
    return .some(order)
  }

  static let machine = Format<MachineDraft>.object("machine", "The hardware.") { object in
    let bootOrder = object.value("firmware", firmware, "The BIOS.", default: nil, "{}")
    let memory = object.value("memory", ScenarioFormat.memory, "Its memory.", default: 1024, "\"1GiB\"")
    let nics = object.value(
      "nics", nic.located.list(identity: "name"), "Its network adapters, in the order of the bus.",
      default: [], "[]")
    var disks = object.value(
      "disks", localDisk.located.list(identity: "name"), "Its local disks, in the order of the bus.",
      default: [],
      "[]")
    disks += object.value("usb", usb.located.list(identity: "name"), "Its USB storage.", default: [], "[]")
    disks += object.value(
      "floppies", floppy.located.list(identity: "name"), "Its floppy disks.", default: [], "[]")
    disks += object.value("cds", cd.located.list(identity: "name"), "Its CDs.", default: [], "[]")
    return MachineDraft(bootOrder: bootOrder, memoryMiB: memory, nics: nics, disks: disks)
  }
}
