import Sim

/// What the laboratory does to see for real what a scenario describes.
///
/// A pure value, made from the scenario by ``init(_:profile:image:kernel:)``; ``LabRun`` carries it out.
public struct LabPlan: Sendable, Equatable {
  /// The image recipe whose disk the machine's disks are clones of: the scenario's profile.
  var image: String
  /// MiB.
  var memory: Int
  /// Virtual processors.
  var processors: Int
  /// In the order of the bus.
  var adapters: [Adapter]
  /// What iPXE is told to do; nil: no adapter has a configured boot ROM.
  var script: String?
  /// A DHCP server answers on the machine's network.
  var hasDHCP: Bool
  /// The boot ROM has an address of its own.
  var hasStaticROM: Bool { script?.contains("set net0/ip ") == true }
  /// The changes of the image from which every disk is then cloned.
  var edit: ImageEdit
  /// The targets, with their LUs.
  var targets: [Target]
  /// Disks that are not behind iSCSI.
  var disks: [Disk]
  /// What is done, in order.
  var story: [StoryStep]
  /// What a rescue system has done before; nil: nothing.
  var rescue: RescueSetup?
  /// The system's own shutdown program and service manager are sysvinit's.
  var isSysV: Bool

  /// A network adapter.
  struct Adapter: Sendable, Equatable {
    /// The scenario's name.
    var name: String
    /// QEMU's model.
    var model: String
    var mac: String
    /// The PCI slot, which names the interface: 3 for ens3.
    var slot: Int
    /// Its place in the boot order, from 0; nil: the firmware does not boot from it.
    var bootIndex: Int?
    /// A cable is plugged in.
    var hasCable: Bool
  }

  /// What is on a disk or LU.
  struct Medium: Sendable, Equatable {
    /// The partitions of the image that are kept, by number; nil: not a clone of the image.
    var kept: [Int]?
    /// Bytes; of no meaning for a clone, which is as large as the image.
    var size: Int64
    /// Partitions that are made anew, in the order of their numbers.
    var made: [PartitionSpec]
  }

  /// A disk that is not behind iSCSI.
  struct Disk: Sendable, Equatable {
    /// The scenario's name.
    var name: String
    var bus: DiskSpec.Bus
    var medium: Medium
    /// There when the story begins.
    var isAttached: Bool
    /// Its place in the boot order, from 0.
    var bootIndex: Int?
  }

  /// A logical unit.
  struct Unit: Sendable, Equatable {
    var lun: Int
    var medium: Medium
    /// Reports a volatile write cache.
    var hasWriteCache: Bool
    /// Bytes; nil: 512.
    var blockSize: Int?
  }

  /// An iSCSI target.
  struct Target: Sendable, Equatable {
    var iqn: String
    /// IPv4 address of its portal.
    var address: String
    var port: Int
    var chap: Credentials?
    /// Initiator names admitted; nil: all.
    var acl: [String]?
    /// Sessions at one time; nil: no limit.
    var maxSessions: Int?
    var isRunning: Bool
    var units: [Unit]
  }
}

extension LabPlan {
  /// A target's host loses power, and with it what the write caches of its LUs hold.
  var losesCaches: Bool {
    story.contains { step in
      if case .targetCrash = step { return true }
      if case .after(_, .targetCrash) = step { return true }
      return false
    }
  }
}

/// Why the laboratory cannot do for real what a scenario describes: what is out of its reach, a sentence each.
public struct OutOfReach: Error, Equatable, CustomStringConvertible {
  /// What is missing, a sentence each.
  public var reasons: [String]

  /// These reasons.
  public init(reasons: [String]) { self.reasons = reasons }

  /// All of them in one line.
  public var description: String { reasons.joined(separator: "; ") }
}

/// Changes of the image's files, before the machine is first switched on.
struct ImageEdit: Sendable, Equatable {
  /// A file that is put in place.
  enum File: Sendable, Equatable {
    case text(String)
    case link(String)
    /// A program that the scenario only says is there: it has to be in the image already, or an empty file is made.
    case presence
  }

  /// By path, sorted.
  var files: [(path: String, file: File)]
  /// Paths that are removed.
  var removed: [String]
  /// The initramfs is made again afterwards, since what it is made from was changed.
  var rebuilds: Bool
  /// Modules that the initramfs has besides.
  var addedModules: [String]
  /// Modules that the initramfs does not have.
  var omittedModules: [String]
  /// The boot code of the disk that the option ROM shows, where it is not the image's own.
  var grub: GrubInstallation?
  /// There is no boot code, or one without a loader.
  var bootCode: DiskContent.BootCode

  /// Nothing to do.
  var isEmpty: Bool {
    files.isEmpty && removed.isEmpty && !rebuilds && addedModules.isEmpty && omittedModules.isEmpty
      && grub == nil
      && bootCode == .grub
  }

  static func == (left: Self, right: Self) -> Bool {
    left.files.elementsEqual(right.files) { $0.path == $1.path && $0.file == $1.file }
      && left.removed == right.removed
      && left.rebuilds == right.rebuilds && left.addedModules == right.addedModules
      && left.omittedModules == right.omittedModules && left.grub == right.grub
      && left.bootCode == right.bootCode
  }
}
