import Sim

/// The disks that a scenario speaks of, so that what the machine shows under an sd name can be called by the
/// scenario's name for it.
public struct DeviceTable: Sendable, Equatable {
  /// One disk of the scenario.
  public struct Device: Sendable, Equatable {
    /// Where it is.
    public enum Place: Sendable, Equatable {
      /// A LU of a target.
      case lu(target: String, lun: Int)
      /// A USB device.
      case usb
      /// A local disk on any other bus.
      case local
    }
    /// The scenario's name: "LUN 1", "usb0".
    public var name: String
    /// Where it is.
    public var place: Place
    /// Its size; nil: not known.
    public var bytes: Int64?

    /// A disk.
    public init(name: String, place: Place, bytes: Int64? = nil) {
      self.name = name
      self.place = place
      self.bytes = bytes
    }
  }

  /// A partition of a LU.
  public struct Place: Sendable, Equatable {
    /// The target's name; nil: there is one target only.
    public var target: String?
    /// The logical unit number.
    public var lun: Int
    /// As in sda2.
    public var partition: Int

    /// A partition of a LU.
    public init(target: String? = nil, lun: Int, partition: Int) {
      self.target = target
      self.lun = lun
      self.partition = partition
    }
  }

  /// All of them.
  public var devices: [Device]
  /// Where the root file system is; nil: on none of the LUs.
  public var root: Place?

  /// A table of these disks.
  public init(_ devices: [Device], root: Place?) {
    self.devices = devices
    self.root = root
  }

  /// The disks of a scenario, by the names that its reports give them.
  public init(_ scenario: Scenario) {
    devices = scenario.machine.disks.compactMap { disk in
      switch disk.bus {
      case .usb: Device(name: disk.name, place: .usb, bytes: disk.size)
      case .ide, .sata, .scsi: Device(name: disk.name, place: .local, bytes: disk.size)
      case .floppy, .cd: nil
      }
    }
    for target in scenario.targets {
      for unit in target.luns {
        let name = scenario.targets.count == 1 ? "LUN \(unit.lun)" : "\(target.iqn) LUN \(unit.lun)"
        devices.append(Device(name: name, place: .lu(target: target.iqn, lun: unit.lun), bytes: unit.size))
        let root = unit.content.partitions.first { $0.holds == "/" }
        if self.root == nil, let root {
          self.root = Place(target: target.iqn, lun: unit.lun, partition: root.number)
        }
      }
    }
  }

  /// The name of the disk with the root; nil: it is on none of the LUs.
  var rootName: String? {
    guard let root else { return nil }
    return devices.first { device in
      guard case .lu(let target, root.lun) = device.place else { return false }
      return root.target == nil || root.target == target
    }?.name
  }

  /// The name of a disk of which this is known: the only one of its kind, or else the only one of its size too.
  func name(of disk: SeenDisk) -> String? {
    let candidates = devices.filter { device in
      switch (device.place, disk.bus) {
      case (.lu(let target, let lun), .iscsi):
        (disk.target.map { $0 == target } ?? true) && (disk.lun.map { $0 == lun } ?? true)
      case (.usb, .usb), (.local, .other): true
      default: false
      }
    }
    if candidates.count == 1 { return candidates[0].name }
    let fitting = candidates.filter { device in
      // The kernel and the scenario may round to MiB in different ways.
      guard let bytes = device.bytes, let seen = disk.bytes else { return false }
      return abs(bytes - seen) < 1 << 20
    }
    return fitting.count == 1 ? fitting[0].name : nil
  }
}

/// What is seen of a disk.
struct SeenDisk: Equatable {
  enum Bus: String { case iscsi, usb, other }
  var bus: Bus
  var lun: Int?
  var target: String?
  var bytes: Int64?
  /// What the SCSI host's line says drives it, "usb-storage 2-1:1.0".
  var driver = ""

  /// What it is called when the scenario has no name for it.
  var description: String {
    let size = bytes.map { " of \($0 >> 20) MiB" } ?? ""
    return bus == .iscsi
      ? "an unknown LUN \(lun.map(String.init) ?? "?")\(size)" : "an unknown \(bus.rawValue) disk\(size)"
  }
}
