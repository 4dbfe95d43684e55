/// Disks getting their names, and what names resolve to.
extension MachineModel {
  /// A disk is there: it takes the lowest free sd number (drivers/scsi/sd.c, sd_index_ida), whatever host it is on.
  func diskReady(_ disk: Int, _ s: inout MachineState, _ out: inout Out) {
    s.scsi.settling.drop(disk)
    let device = inventory.disks[disk]
    if device.target != nil { return luReady(disk, &s, &out) }
    guard s.attached.has(disk) else { return }
    if device.bus == .floppy || device.bus == .cd || usesIDENames(disk, s) { return }
    name(disk, &s, &out)
  }

  func name(_ disk: Int, _ s: inout MachineState, _ out: inout Out) {
    guard s.scsi.letters[disk] == 0, loaded("sd_mod", s) else { return }
    var taken = Set64()
    for other in 0..<inventory.count where s.scsi.letters[other] > 0 {
      taken.put(Int(s.scsi.letters[other]) - 1)
    }
    let index = (0..<64).first { !taken.has($0) } ?? 63
    s.scsi.letters[disk] = UInt8(index + 1)
    let name = inventory.disks[disk].name
    say("kernel", "sd \(address(of: disk)): [\(DiskNames.sd(index))] Attached SCSI disk", &out)
    for partition in inventory.disks[disk].misread {
      say("kernel", "\(DiskNames.sd(index)): p\(partition.number) start is beyond EOD, truncated", &out)
    }
    if out.tracing {
      let earlier = inventory.disks.indices.filter { $0 != disk && s.scsi.letters[$0] > 0 }
      let why =
        earlier.isEmpty
        ? "nothing else was there before it"
        : "the lower letters were taken by "
          + earlier.map { inventory.disks[$0].name }.joined(separator: ", ")
      explain(
        "kernel", "\(name) becomes /dev/\(DiskNames.sd(index)): \(why)",
        because: earlier.map { .letter($0) } + [.disk(disk)],
        sets: .letter(disk), to: &out)
    }
  }

  /// The address of a target's first LU, as the kernel prints it.
  func firstAddress(of target: Int) -> String {
    inventory.lus(of: target).first.map(address) ?? "\(target + 2):0:0:0"
  }

  /// host:channel:target:lun, as the kernel prints it.
  private func address(of disk: Int) -> String {
    let device = inventory.disks[disk]
    if let target = device.target { return "\(target + 2):0:0:\(device.lun ?? 0)" }
    return "\(disk):0:0:0"
  }

  /// A disk that has been noticed and has no name yet will have none.
  func stopProbing(_ disk: Int, _ s: inout MachineState, _ out: inout Out) {
    guard s.scsi.settling.has(disk) else { return }
    s.scsi.settling.drop(disk)
    out.cancel(MachineEvent(.diskReady, disk))
  }

  /// The device goes: its letter is free again (nothing of ours holds an unplugged stick open).
  func removeDisk(_ disk: Int, _ s: inout MachineState, _ out: inout Out) {
    stopProbing(disk, &s, &out)
    if s.scsi.letters[disk] > 0 {
      say(
        "kernel",
        "sd \(address(of: disk)): [\(DiskNames.sd(Int(s.scsi.letters[disk]) - 1))] Synchronize Cache(10) failed: hostbyte=DID_NO_CONNECT",
        &out)
    }
    s.scsi.letters[disk] = 0
    out.note(.set(.letter(disk)))
  }

  /// The name a device has now ("sdb", "hda"), or nil.
  func deviceName(_ disk: Int, _ s: MachineState) -> String? {
    if usesIDENames(disk, s) { return ideName(disk, s) }
    let letter = s.scsi.letters[disk]
    return letter > 0 ? DiskNames.sd(Int(letter) - 1) : nil
  }

  /// Names and positions of all disks that have one.
  func namedDisks(_ s: MachineState) -> [(name: String, disk: Int)] {
    inventory.disks.indices.compactMap { disk in deviceName(disk, s).map { ($0, disk) } }
  }

  /// Where a name of a partition or whole disk leads to now; nil: no such node, link or label.
  func resolve(_ root: RootName, _ s: MachineState) -> Inventory.Location? {
    switch root {
    case .node(let node):
      guard let parsed = DiskNames.parse(node) else { return nil }
      let whole = parsed.prefix + DiskNames.letters(parsed.index)
      guard let disk = namedDisks(s).first(where: { $0.name == whole })?.disk else { return nil }
      guard let number = parsed.partition else { return Inventory.Location(disk: disk) }
      return inventory.disks[disk].content.partitions.first { $0.number == number }
        .map { Inventory.Location(disk: disk, partition: $0) }
    case .uuid(let uuid):
      return firstPartition(s) { $0.uuid?.lowercased() == uuid.lowercased() }
    case .label(let label):
      return firstPartition(s) { $0.label == label }
    case .other(let text):
      return text.dropping("/dev/disk/by-path/").flatMap { path(ofName: $0, s) }
    case .partuuid:
      return nil
    }
  }

  /// What udev's link for a LU leads to: `ip-10.0.2.2:3260-iscsi-iqn.2024-01.lab:disk-lun-1-part2` (seen in the lab).
  private func path(ofName name: String, _ s: MachineState) -> Inventory.Location? {
    for (_, disk) in namedDisks(s) {
      guard let target = inventory.disks[disk].target, let lun = inventory.disks[disk].lun else { continue }
      let spec = scenario.targets[target]
      let whole = "ip-\(Self.fullPortal(spec.portal))-iscsi-\(spec.iqn)-lun-\(lun)"
      guard let rest = name.dropping(whole) else { continue }
      if rest.isEmpty { return Inventory.Location(disk: disk) }
      guard let number = rest.dropping("-part").flatMap({ Int($0) }) else { continue }
      return inventory.disks[disk].content.partitions.first { $0.number == number }
        .map { Inventory.Location(disk: disk, partition: $0) }
    }
    return nil
  }

  private func firstPartition(_ s: MachineState, _ matches: (PartitionSpec) -> Bool) -> Inventory.Location? {
    for (_, disk) in namedDisks(s).sorted(by: { ($0.name.count, $0.name) < ($1.name.count, $1.name) }) {
      if let part = inventory.disks[disk].content.partitions.first(where: matches) {
        return Inventory.Location(disk: disk, partition: part)
      }
    }
    return nil
  }

  /// "/dev/sdb2" for a place.
  func nodeName(_ location: Inventory.Location, _ s: MachineState) -> String? {
    deviceName(location.disk, s).map { "/dev/\($0)" + (location.partition.map { String($0.number) } ?? "") }
  }
}
