/// Every block device that can exist in a scenario: local ones and LUs, in one numbered list.
///
/// The state refers to a device by its number; names and contents stay here, outside of what is copied.
struct Inventory: Sendable {
  /// Where a block device is.
  enum Place: Hashable, Sendable {
    case local(DiskSpec.Bus)
    /// Behind target number `target` (index into the scenario's targets).
    case lu(target: Int, lun: Int)
  }

  struct Disk: Sendable {
    var name: String
    var place: Place
    var content: DiskContent
    var settles: Delay
    /// A LU with a volatile write cache gets a SYNCHRONIZE CACHE at shutdown (sd.c, sd_shutdown).
    var writeCache: Bool
    var attachedAtStart: Bool
    /// Bytes of a logical block.
    var blockSize = 512
    /// Partitions that are on it and that nobody finds.
    var misread: [PartitionSpec] = []

    var target: Int? { if case .lu(let target, _) = place { target } else { nil } }
    var lun: Int? { if case .lu(_, let lun) = place { lun } else { nil } }
    var bus: DiskSpec.Bus? { if case .local(let bus) = place { bus } else { nil } }
    /// It has boot code, or something of the system, be it found or not.
    var isOfTheSystem: Bool {
      content.bootCode != .none || (content.partitions + misread).contains { $0.holds != nil }
    }
    var isEmpty: Bool { content.bootCode == .none && content.partitions.isEmpty && misread.isEmpty }
  }

  /// A partition of a device; `partition` nil: the whole device.
  struct Location: Hashable, Sendable {
    var disk: Int
    var partition: PartitionSpec?

    static func == (a: Location, b: Location) -> Bool {
      a.disk == b.disk && a.partition?.number == b.partition?.number
    }
    func hash(into hasher: inout Hasher) {
      hasher.combine(disk)
      hasher.combine(partition?.number)
    }
  }

  /// As many as the sets of devices in the state have bits.
  static let limit = 64

  let disks: [Disk]

  /// For each device the first of those that only their names tell apart from it, itself where there is no other.
  ///
  /// LUs of one target are alike that are empty and stay so, and to which neither an option ROM nor another machine is
  /// sent by their number: whatever happens to one of them could happen to another, and nothing would be different.
  let alike: [Int]

  init(_ scenario: Scenario) {
    var disks = scenario.machine.disks.map {
      Disk(
        name: $0.name, place: .local($0.bus), content: $0.content, settles: $0.settles, writeCache: false,
        attachedAtStart: $0.attached)
    }
    for (index, target) in scenario.targets.enumerated() {
      for unit in target.luns.sorted(by: { $0.lun < $1.lun }) {
        disks.append(
          Disk(
            name: scenario.targets.count == 1 ? "LUN \(unit.lun)" : "\(target.iqn) LUN \(unit.lun)",
            place: .lu(target: index, lun: unit.lun), content: Self.seen(unit),
            settles: Delay(earliest: 0, latest: 0), writeCache: unit.writeCache, attachedAtStart: false,
            blockSize: unit.blockSize, misread: unit.blockSize == 512 ? [] : unit.content.partitions))
      }
    }
    self.disks = disks
    alike = Self.alike(disks, scenario)
  }

  /// The devices that are alike, where there is more than one.
  var groups: [[Int]] {
    disks.indices.compactMap { first in
      let group = disks.indices.filter { alike[$0] == first }
      return group.count > 1 ? group : nil
    }
  }

  private static func alike(_ disks: [Disk], _ scenario: Scenario) -> [Int] {
    let none = Array(disks.indices)
    var named = Set(scenario.machine.nics.compactMap { $0.optionROM?.lun })
    for step in scenario.story.map(\.plain) {
      switch step {
      // May write to a disk.
      case .installer, .install, .run, .rescue: return none
      case .otherMachine(let other): named.insert(other.lun)
      default: break
      }
    }
    return none.map { index in
      let disk = disks[index]
      guard let target = disk.target, let lun = disk.lun, !named.contains(lun), disk.isEmpty else {
        return index
      }
      let first = none.first { other in
        disks[other].target == target && disks[other].isEmpty && !named.contains(disks[other].lun ?? lun)
          && disks[other].writeCache == disk.writeCache && disks[other].blockSize == disk.blockSize
      }
      return first ?? index
    }
  }

  /// What is found on a LU: a partition table counts in blocks, so one that was written for blocks of 512 bytes leads
  /// nowhere where they have 4096 (F-09).
  private static func seen(_ unit: LUNSpec) -> DiskContent {
    guard unit.blockSize != 512 else { return unit.content }
    return DiskContent(bootCode: unit.content.bootCode, grub: unit.content.grub, partitions: [])
  }

  var count: Int { disks.count }
  func index(ofName name: String) -> Int? { disks.firstIndex { $0.name == name } }
  func lus(of target: Int) -> [Int] { disks.indices.filter { disks[$0].target == target } }
  func lu(target: Int, lun: Int) -> Int? { disks.firstIndex { $0.target == target && $0.lun == lun } }

  /// Directories of the system that have a partition of their own, longest first.
  var heldDirectories: [String] {
    var seen: Set<String> = []
    for disk in disks {
      for part in disk.content.partitions { if let held = part.holds { seen.insert(held) } }
    }
    return seen.sorted { ($0.count, $0) > ($1.count, $1) }
  }

  /// The path in the system's tree of `path` on a partition that holds `held`: nil when another partition is mounted over that place,
  /// so that the directory there is empty (S-49).
  func systemPath(_ path: String, onPartitionHolding held: String) -> String? {
    let inside = path.hasPrefix("/") ? path : "/" + path
    let full = held == "/" ? inside : held + inside
    let owner = heldDirectories.first { $0 == "/" || full == $0 || full.hasPrefix($0 + "/") }
    return owner == held ? full : nil
  }

  /// The directory holding `path` ("/boot/grub/menu.lst" is held by "/boot" where that has a partition of its own).
  func directoryHolding(_ path: String) -> String? {
    heldDirectories.first { $0 == "/" || path == $0 || path.hasPrefix($0 + "/") }
  }
}
